/* ticket.h - open tickets: what a pull found, kept for the push of the same batch (design D5).
 *
 * A ticket holds the ids and row handles of the request. It is dropped by its push, when its time
 * is over, or when tickets take more than bytes_max or TICKETS_MAX are open (the oldest first). If
 * a ticket was dropped, the worker only has to send a second message with the keys. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

#define TICKETS_MAX 8192u

struct ticket {
    uint64_t id;
    uint64_t expires_ms;
    size_t bytes;
    size_t total;      /* keys */
    uint64_t *ids;     /* [total] */
    uint32_t *handles; /* [total], HANDLE_NONE for rows missing at the pull */
    uint32_t *counts;  /* [fields] */
};

struct tickets {
    struct ticket **ring; /* [TICKETS_MAX], by id modulo TICKETS_MAX; NULL: dropped */
    uint64_t first, next; /* ids in the ring are [first, next) */
    size_t bytes, bytes_max;
    uint64_t open, expired;
    uint32_t live_ms;
};

/* `nonce` makes ids of one incarnation differ from those of another. */
enum status tickets_init(struct tickets *t, size_t bytes_max, uint32_t live_ms, uint64_t nonce);
void tickets_fini(struct tickets *t);
/* Opens a new ticket with copies of ids and counts and with room for handles; NULL if it does not
 * fit. */
struct ticket *tickets_open(struct tickets *t, const uint32_t *counts, uint32_t fields,
                            const uint64_t *ids, size_t total, uint64_t now_ms);
struct ticket *tickets_find(const struct tickets *t, uint64_t id); /* NULL: unknown */
void tickets_close(struct tickets *t, struct ticket *ticket);
void tickets_expire(struct tickets *t, uint64_t now_ms);
