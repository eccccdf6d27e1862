#include "read_ahead.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

/* --- leases ----------------------------------------------------------------------------------- */

enum status reading_create(struct reading **out, const struct wire_lease *lease, const void *done,
                           size_t done_bytes) {
    struct reading *x = NULL;
    *out = NULL;
    TRY(mem_new(&x));
    enum status status = mem_array(&x->done, done_bytes);
    if (status != OK) {
        mem_free(&x);
        return status;
    }
    x->lease = *lease;
    x->done_bytes = done_bytes;
    if (done_bytes > 0) {
        memcpy(x->done, done, done_bytes);
    }
    *out = x;
    return OK;
}

void reading_destroy(struct reading **x) {
    if (*x == NULL) {
        return;
    }
    if ((*x)->filled) {
        shard_free(&(*x)->shard);
    }
    mem_free(&(*x)->done);
    mem_free(x);
}

enum status read_ahead_init(struct read_ahead *a, struct batch *batches, uint32_t pool) {
    *a = (struct read_ahead){.pool = pool};
    TRY(mem_array(&a->free, pool));
    TRY(mem_array(&a->items, pool + READ_LEASES_MAX));
    for (uint32_t i = 0; i < pool; i++) {
        a->free[a->free_count++] = &batches[i];
    }
    return OK;
}

void read_ahead_fini(struct read_ahead *a) {
    while (a->first != NULL) {
        struct reading *x = a->first;
        a->first = x->next;
        reading_destroy(&x);
    }
    mem_free(&a->free);
    mem_free(&a->items);
}

static enum status failure_of(const struct read_ahead *a) {
    return a->failure.status == OK ? ERR_CLOSED : cause_again(&a->failure);
}

enum status read_ahead_lease(struct read_ahead *a, struct reading *x) {
    if (a->closed) {
        return a->failure.status == OK ? fail(ERR_CLOSED, "the reader has ended") : failure_of(a);
    }
    if (a->leases == READ_LEASES_MAX) {
        return fail(ERR_LIMIT, "the reader holds %u leases already", a->leases);
    }
    struct reading **at = &a->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = x;
    a->leases++;
    return OK;
}

/* --- loading ---------------------------------------------------------------------------------- */

struct reading *read_ahead_load(struct read_ahead *a) {
    uint32_t in_memory = 0;
    struct reading *x = a->first;
    for (; x != NULL && x->stage != READING_WAITING; x = x->next) {
        in_memory++;
    }
    if (a->closed || x == NULL || in_memory == READ_SHARDS_MAX) {
        return NULL;
    }
    x->stage = READING_LOADING;
    return x;
}

void read_ahead_loaded(struct reading *x) {
    assert(x->stage == READING_LOADING);
    x->stage = READING_LOADED;
}

/* --- cutting ---------------------------------------------------------------------------------- */

static bool is_done(const struct reading *x, uint32_t batch) {
    return batch / 8 < x->done_bytes && bit_get(x->done, batch);
}

bool read_ahead_cut(struct read_ahead *a, struct read_cut *cut) {
    struct reading *x = a->first;
    if (a->closed || x == NULL || x->stage < READING_LOADED) {
        return false;
    }
    const uint32_t end = x->batches < x->lease.batch_limit ? x->batches : x->lease.batch_limit;
    while (x->at < end && is_done(x, x->at)) {
        x->at++;
    }
    if (x->at < end && a->free_count == 0) {
        return false;
    }
    *cut = (struct read_cut){.lease = x, .begins = x->stage == READING_LOADED};
    x->stage = READING_CUTTING;
    if (x->at < end) {
        cut->batch = a->free[--a->free_count];
    }
    return true;
}

static void queue_item(struct read_ahead *a, struct reader_item item) {
    const uint32_t cap = a->pool + READ_LEASES_MAX;
    assert(a->item_count < cap);
    a->items[(a->item_first + a->item_count++) % cap] = item;
}

void read_ahead_batch(struct read_ahead *a, const struct read_cut *cut) {
    struct reading *x = cut->lease;
    assert(x == a->first && x->stage == READING_CUTTING);
    x->at++;
    x->queued++;
    queue_item(a, (struct reader_item){.batch = cut->batch, .lease = x->lease});
}

void read_ahead_end(struct read_ahead *a, const struct read_cut *cut) {
    struct reading *x = cut->lease;
    assert(x == a->first && x->stage == READING_CUTTING);
    queue_item(a, (struct reader_item){.lease = x->lease, .lease_batches = x->queued});
    a->first = x->next;
    reading_destroy(&x);
}

/* --- for the trainers ------------------------------------------------------------------------- */

enum status read_ahead_take(struct read_ahead *a, struct reader_item *item) {
    if (a->item_count == 0) {
        return a->closed ? failure_of(a) : ERR_TIMEOUT;
    }
    *item = a->items[a->item_first];
    a->item_first = (a->item_first + 1) % (a->pool + READ_LEASES_MAX);
    a->item_count--;
    a->leases -= item->batch == NULL;
    return OK;
}

void read_ahead_give_back(struct read_ahead *a, struct batch *b) {
    assert(a->free_count < a->pool);
    a->free[a->free_count++] = b;
}

bool read_ahead_waits(const struct read_ahead *a) {
    const struct reading *x = a->first;
    while (x != NULL && x->stage != READING_LOADING) {
        x = x->next;
    }
    return x != NULL && a->free_count == a->pool;
}

void read_ahead_close(struct read_ahead *a, enum status status) {
    a->closed = true;
    if (status != ERR_CLOSED) {
        cause_keep(&a->failure, status);
    }
}
