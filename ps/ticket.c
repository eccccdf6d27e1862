/* ticket.c - a ring of tickets in order of opening (see ticket.h). */
#include "ticket.h"

#include <string.h>
#include "common/base/mem.h"
#include "common/base/rng.h"

enum status tickets_init(struct tickets *t, size_t bytes_max, uint32_t live_ms, uint64_t nonce) {
    *t = (struct tickets){.bytes_max = bytes_max, .live_ms = live_ms};
    /* Starts between 2^32 and 2^62: ids are never 0, never wrap around, and those of two
     * incarnations do not meet by accident. */
    t->first = ((rng_mix(nonce) >> 2) | (uint64_t)1 << 32);
    t->next = t->first;
    return mem_array(&t->ring, TICKETS_MAX);
}

void tickets_fini(struct tickets *t) {
    for (uint64_t id = t->first; t->ring != NULL && id < t->next; id++) {
        mem_free(&t->ring[id % TICKETS_MAX]);
    }
    mem_free(&t->ring);
}

static void skip_closed(struct tickets *t) {
    while (t->first < t->next && t->ring[t->first % TICKETS_MAX] == NULL) {
        t->first++;
    }
}

void tickets_close(struct tickets *t, struct ticket *ticket) {
    t->ring[ticket->id % TICKETS_MAX] = NULL;
    t->bytes -= ticket->bytes;
    t->open--;
    mem_free(&ticket);
    skip_closed(t);
}

static void expire_oldest(struct tickets *t) {
    t->expired++;
    tickets_close(t, t->ring[t->first % TICKETS_MAX]);
}

/* Keeps this rule: `first` is never a closed ticket unless the ring is empty. */
struct ticket *tickets_open(struct tickets *t, const uint32_t *counts, uint32_t fields,
                            const uint64_t *ids, size_t total, uint64_t now_ms) {
    struct ticket *k = NULL;
    const size_t bytes =
        sizeof *k + total * (sizeof *k->ids + sizeof *k->handles) + fields * sizeof *k->counts;
    if (bytes > t->bytes_max) {
        return NULL;
    }
    while (t->first < t->next &&
           (t->next - t->first == TICKETS_MAX || t->bytes + bytes > t->bytes_max)) {
        expire_oldest(t);
    }
    if (mem_alloc((void **)&k, bytes) != OK) {
        return NULL;
    }
    *k = (struct ticket){
        .id = t->next, .expires_ms = now_ms + t->live_ms, .bytes = bytes, .total = total};
    k->ids = (uint64_t *)(void *)(k + 1);
    k->handles = (uint32_t *)(k->ids + total);
    k->counts = k->handles + total;
    if (total > 0) {
        memcpy(k->ids, ids, total * sizeof *ids);
    }
    memcpy(k->counts, counts, fields * sizeof *counts);
    t->ring[t->next % TICKETS_MAX] = k;
    t->next++;
    t->bytes += bytes;
    t->open++;
    return k;
}

struct ticket *tickets_find(const struct tickets *t, uint64_t id) {
    return id >= t->first && id < t->next ? t->ring[id % TICKETS_MAX] : NULL;
}

void tickets_expire(struct tickets *t, uint64_t now_ms) {
    while (t->first < t->next && t->ring[t->first % TICKETS_MAX]->expires_ms <= now_ms) {
        expire_oldest(t);
    }
}
