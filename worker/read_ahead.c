#include "read_ahead.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

/* --- leases ----------------------------------------------------------------------------------- */

enum status reading_create(struct reading **out, const struct wire_lease *lease,
                           const struct reading_place *place, const void *done, size_t done_bytes) {
    struct reading *x = NULL;
    *out = NULL;
    TRY(mem_new(&x));
    enum status status = mem_array(&x->done, done_bytes);
    if (status != OK) {
        mem_free(&x);
        return status;
    }
    x->lease = *lease;
    x->place = *place;
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
    mem_free(&(*x)->done);
    batch_share_fini(&(*x)->share);
    mem_free(x);
}

void read_window_free(struct read_window *w) {
    shard_free(&w->shard);
    mem_free(&w->runs);
    w->run_count = w->batches = 0;
}

enum status read_ahead_init(struct read_ahead *a, bool mixed, struct batch *batches,
                            uint32_t pool) {
    *a = (struct read_ahead){.mixed = mixed, .pool = pool};
    TRY(mem_array(&a->free, pool));
    TRY(mem_array(&a->items, pool + READ_LEASES_MAX));
    for (uint32_t i = 0; i < pool; i++) {
        a->free[a->free_count++] = &batches[i];
    }
    return OK;
}

void read_ahead_share(struct read_ahead *a, uint32_t trainers) {
    assert(trainers >= 1 && trainers <= READ_TRAINERS_MAX && 2 * trainers <= a->pool);
    a->trainers = trainers;
    for (uint32_t t = 0; t < trainers; t++) {
        a->has[t].kind = LEASE_WAIT;
    }
}

void read_ahead_fini(struct read_ahead *a) {
    while (a->first != NULL) {
        struct reading *x = a->first;
        a->first = x->next;
        reading_destroy(&x);
    }
    for (uint32_t i = 0; i < READ_PLACES; i++) {
        read_window_free(&a->window[i]);
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
    if (x->lease.kind == LEASE_TRAIN) {
        a->recent = x->place.window;
        a->ahead = x->place.ahead;
    }
    return OK;
}

/* --- loading ---------------------------------------------------------------------------------- */

static bool same_window(struct window_key a, struct window_key b) {
    return a.kind == b.kind && a.epoch == b.epoch && a.window == b.window;
}

/* The window, loaded or being loaded; NULL: it is not in memory. */
static struct read_window *find_window(struct read_ahead *a, struct window_key key) {
    for (uint32_t i = 0; i < READ_PLACES; i++) {
        if (same_window(a->window[i].key, key)) {
            return &a->window[i];
        }
    }
    return NULL;
}

/* The first lease on the window, as its number in the list from 0; without one, their count. */
static uint32_t leased_at(const struct read_ahead *a, struct window_key key, bool *leased) {
    uint32_t at = 0;
    const struct reading *x = a->first;
    for (; x != NULL && !same_window(x->place.window, key); x = x->next) {
        at++;
    }
    *leased = x != NULL;
    return at;
}

/* When a window is needed next: by the lease of this number. After all leases comes what may be
 * leased next; UINT32_MAX: not at all. */
static uint32_t needed_at(const struct read_ahead *a, struct window_key key) {
    bool leased;
    const uint32_t at = leased_at(a, key, &leased);
    const bool soon = same_window(a->recent, key) || same_window(a->ahead, key);
    return leased || soon ? at : UINT32_MAX;
}

/* The window to be loaded; LEASE_WAIT: none. *after: only a window that is needed after the lease
 * of this number may go for it. The first lease may drive out windows of later ones: nothing can be
 * cut until it has its own. Any other waits until one is idle. */
static struct window_key next_window(struct read_ahead *a, uint32_t *after) {
    struct window_key next = {.kind = LEASE_WAIT};
    uint32_t leases = 0;
    for (const struct reading *x = a->first; x != NULL; x = x->next, leases++) {
        if (next.kind == LEASE_WAIT && find_window(a, x->place.window) == NULL) {
            next = x->place.window;
        }
    }
    if (next.kind != LEASE_WAIT) {
        *after = same_window(next, a->first->place.window) ? 0 : leases - 1;
        return next;
    }
    *after = leases;
    return find_window(a, a->ahead) == NULL ? a->ahead : next;
}

/* The place to load a window of this kind into: an empty one, else the one whose window is needed
 * last, if that is after the lease `after`; of several the one loaded first. NULL: there is
  * none. */
static struct read_window *find_place(struct read_ahead *a, enum lease_kind kind, uint32_t after) {
    const uint32_t begin = a->mixed && kind == LEASE_EVAL ? READ_WINDOWS_MAX : 0;
    const uint32_t end = begin + (a->mixed ? READ_WINDOWS_MAX : READ_SHARDS_MAX);
    struct read_window *last = NULL;
    uint32_t last_needed = after;
    for (uint32_t i = begin; i < end; i++) {
        struct read_window *w = &a->window[i];
        if (w->key.kind == LEASE_WAIT) {
            return w;
        }
        const uint32_t at = w == a->cutting ? 0 : needed_at(a, w->key);
        if (at > last_needed || (last != NULL && at == last_needed && w->serial < last->serial)) {
            last = w;
            last_needed = at;
        }
    }
    return last;
}

struct read_window *read_ahead_load(struct read_ahead *a) {
    uint32_t after;
    if (a->closed || a->loading) {
        return NULL;
    }
    const struct window_key key = next_window(a, &after);
    struct read_window *w = key.kind == LEASE_WAIT ? NULL : find_place(a, key.kind, after);
    if (w != NULL) {
        w->key = key;
        w->loaded = false;
        w->serial = ++a->loads;
        a->loading = true;
    }
    return w;
}

void read_ahead_loaded(struct read_ahead *a, struct read_window *w) {
    assert(a->loading && !w->loaded);
    a->loading = false;
    w->loaded = true;
}

/* --- cutting ---------------------------------------------------------------------------------- */

static bool is_done(const struct reading *x, uint32_t batch) {
    return batch / 8 < x->done_bytes && bit_get(x->done, batch);
}

/* The batches of the lease's range. */
static uint32_t range_batches(const struct reading *x, const struct read_window *w) {
    const uint32_t left = w->batches < x->place.first ? 0 : w->batches - x->place.first;
    return left < x->place.count ? left : x->place.count;
}

static bool lease_shares(const struct read_ahead *a, const struct wire_lease *lease) {
    return a->trainers > 0 && lease->kind == LEASE_TRAIN;
}

/* Goes on to the first batch below `end` that is not done. If bags are shared, all are done or none
 * counts as done. */
static void skip_done(const struct read_ahead *a, struct reading *x, uint32_t end) {
    const bool shares = lease_shares(a, &x->lease);
    uint32_t at = x->at;
    while (at < end && is_done(x, at)) {
        at++;
    }
    x->at = !shares || (x->at == 0 && at == end) ? at : x->at;
}

static bool same_lease(const struct wire_lease *a, const struct wire_lease *b) {
    return a->kind == b->kind && a->epoch == b->epoch && a->shard == b->shard &&
           a->fence == b->fence;
}

/* Whether another batch of the lease may be cut now. */
static bool may_cut(const struct read_ahead *a, const struct reading *x) {
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < a->item_count && a->trainers > 0; i++) {
        waiting += same_lease(&a->items[i].lease, &x->lease);
    }
    return a->free_count > 0 && (a->trainers == 0 || waiting < a->pool / (2 * a->trainers));
}

/* Whether anything is to be done for the lease now: a batch, or its end mark. */
static bool cut_of(struct read_ahead *a, struct reading *x, struct read_cut *cut) {
    const struct read_window *w = find_window(a, x->place.window);
    if (w == NULL || !w->loaded) {
        return false;
    }
    const uint32_t batches = range_batches(x, w);
    const uint32_t end = batches < x->lease.batch_limit ? batches : x->lease.batch_limit;
    skip_done(a, x, end);
    if (x->at < end && !may_cut(a, x)) {
        return false;
    }
    *cut = (struct read_cut){
        .lease = x, .window = w, .shares = lease_shares(a, &x->lease), .lease_batches = batches};
    if (x->at < end) {
        cut->batch = a->free[--a->free_count];
        cut->begins = w->serial != a->cut_serial;
        a->cut_serial = w->serial;
    }
    a->cutting = w;
    return true;
}

bool read_ahead_cut(struct read_ahead *a, struct read_cut *cut) {
    const uint32_t in_turn = a->trainers > 0 ? a->trainers : 1;
    struct reading *x = a->closed ? NULL : a->first;
    for (uint32_t i = 0; i < in_turn && x != NULL; i++, x = x->next) {
        if (cut_of(a, x, cut)) {
            return true;
        }
    }
    return false;
}

static void queue_item(struct read_ahead *a, struct reader_item item) {
    assert(a->item_count < a->pool + READ_LEASES_MAX);
    a->items[a->item_count++] = item;
    a->cutting = NULL;
}

void read_ahead_batch(struct read_ahead *a, const struct read_cut *cut) {
    struct reading *x = cut->lease;
    x->at++;
    x->queued++;
    queue_item(a, (struct reader_item){.batch = cut->batch, .lease = x->lease});
}

void read_ahead_end(struct read_ahead *a, const struct read_cut *cut) {
    struct reading *x = cut->lease, **at = &a->first;
    queue_item(a, (struct reader_item){.lease = x->lease, .lease_batches = x->queued});
    while (*at != x) {
        at = &(*at)->next;
    }
    *at = x->next;
    reading_destroy(&x);
}

/* --- for the trainers ------------------------------------------------------------------------- */

static bool is_taken(const struct read_ahead *a, const struct wire_lease *lease) {
    uint32_t t = 0;
    while (t < a->trainers && !same_lease(&a->has[t], lease)) {
        t++;
    }
    return t < a->trainers;
}

/* The first item that the trainer may take; item_count: there is none. One that has a lease takes
 * nothing of others. */
static uint32_t find_item(const struct read_ahead *a, uint32_t trainer) {
    uint32_t i = 0;
    if (a->trainers == 0 || a->has[trainer].kind == LEASE_WAIT) {
        while (i < a->item_count && is_taken(a, &a->items[i].lease)) {
            i++;
        }
        return i;
    }
    while (i < a->item_count && !same_lease(&a->items[i].lease, &a->has[trainer])) {
        i++;
    }
    return i;
}

enum status read_ahead_take(struct read_ahead *a, uint32_t trainer, struct reader_item *item) {
    const uint32_t i = find_item(a, trainer);
    if (i == a->item_count) {
        return a->closed ? failure_of(a) : ERR_TIMEOUT;
    }
    *item = a->items[i];
    memmove(&a->items[i], &a->items[i + 1], (--a->item_count - i) * sizeof *a->items);
    a->leases -= item->batch == NULL;
    if (lease_shares(a, &item->lease)) {
        a->has[trainer] = item->lease;
        a->has[trainer].kind = item->batch == NULL ? LEASE_WAIT : LEASE_TRAIN;
    }
    return OK;
}

void read_ahead_give_back(struct read_ahead *a, struct batch *b) {
    assert(a->free_count < a->pool);
    a->free[a->free_count++] = b;
}

bool read_ahead_waits(const struct read_ahead *a) {
    if (!a->loading || a->free_count < a->pool) {
        return false;
    }
    const struct read_window *w = a->window;
    while (w->key.kind == LEASE_WAIT || w->loaded) {
        w++;
    }
    bool leased;
    leased_at(a, w->key, &leased);
    return leased;
}

void read_ahead_close(struct read_ahead *a, enum status status) {
    a->closed = true;
    if (status != ERR_CLOSED) {
        cause_keep(&a->failure, status);
    }
}
