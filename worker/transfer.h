/* transfer.h - what client.c and transfer.c share; callers use client.h alone.
 *
 * A transfer has one `ask` per partition: the request that is out to it, if any, and what the last
 * answer said. Keys of partition k are keys[begin, begin + n), in slot order and within a slot in
 * the batch's order; row[] says, for each of them, which row of its slot it is.
 */
#ifndef WORKER_TRANSFER_H
#define WORKER_TRANSFER_H

#include "client.h"

struct ask {
    bool waiting;
    bool with_keys; /* a push that repeats its keys */
    bool queued;    /* the last attempt to send it was taken by the socket */
    uint64_t id;
    uint64_t first_ms; /* of the first attempt */
    uint64_t sent_ms;  /* of the last one that was taken (at first: first_ms) */
    uint64_t tried_ms; /* of the last one */
    uint64_t wait_ms;  /* from being taken to the next attempt */
    uint32_t attempts;
    uint64_t ticket;  /* of the answer that had the rows */
    uint64_t version; /* of the rows, of the dense vector */
    uint64_t dense_version;
    uint32_t *counts;    /* [fields] keys of each slot */
    size_t begin, n;     /* keys */
    size_t row_floats;   /* of all its rows */
    size_t dense_floats; /* of its slice of the dense vector */
    uint8_t *push;       /* packed gradients, kept until acknowledged */
    size_t push_bytes, push_cap;
};

struct transfer {
    struct client *client;
    struct transfer *next; /* in the client's list */
    enum transfer_state state;
    bool train;
    bool wants_rows, wants_dense; /* of the pull */
    uint32_t asks_waiting;
    struct batch_name name;
    uint64_t fence;
    uint32_t shard_batches;
    struct transfer_outcome outcome;
    struct ask *ask;  /* [partitions] */
    uint32_t *counts; /* [partitions][fields], behind ask[].counts */
    uint64_t *keys;   /* [key_cap], by partition */
    uint32_t *row;    /* [key_cap] */
    uint8_t *missing; /* [key_cap] of each key in the batch's order: has it no row? */
    uint16_t *home;   /* [key_cap] scratch: partition of each key, in the batch's order */
    size_t key_cap;
    float *values; /* [value_cap] rows of all slots, then dense */
    size_t value_cap;
    size_t slot_at[FIELDS_MAX];  /* where a slot's rows begin in values */
    size_t slot_key[FIELDS_MAX]; /* where a slot's keys begin in the batch's order */
    size_t dense_at;
    uint32_t slot_count[FIELDS_MAX];
};

struct client {
    struct client_spec spec;
    uint32_t partitions, fields;
    struct port **ports;       /* [partitions] */
    bool *ready;               /* [partitions] scratch of port_poll */
    uint64_t *heard_ms;        /* [partitions] last word from it */
    uint64_t *dense_begin;     /* [partitions + 1] slices of the dense vector */
    uint16_t home_of[BUCKETS]; /* partition of a bucket */
    struct transfer *transfers;
    uint64_t last_id;
    uint64_t resent, tickets_unknown;
    struct port_message in;
    struct wire_msg out;
    struct buf keys; /* scratch: a packed keys frame */
    struct laps own; /* when the maker gave none */
};

/* Sends (or sends again) the request of partition k that the transfer's state calls for. */
enum status transfer_send(struct transfer *x, uint32_t k, uint64_t now_ms);
/* When that is due next, if no answer comes. */
uint64_t transfer_due_ms(const struct ask *a);
/* Takes the answer to a waiting ask. ERR_PROTOCOL. */
enum status transfer_take(struct transfer *x, uint32_t k, const struct port_message *m);

#endif
