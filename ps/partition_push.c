/* partition_push.c - applies a push exactly once (see partition.h).
 *
 * Everything that can be wrong with a request is found before anything changes. Then the name is
 * added to each domain that lacks it. After that nothing fails: a row refused by memory, or a
 * gradient that is not finite, is left out and counted. So a name is in the set of a domain if and
 * only if the rows of the domain have seen the batch.
 *
 * If memory fails while a name is being added, the push is applied to the domains before, but not
 * to this one or later ones, and the worker gets the error: its next attempt applies the rest.
 */
#include "partition_state.h"

#include <math.h>
#include <string.h>
#include "admission.h"
#include "common/base/log.h"
#include "common/fault/fault.h"
#include "eviction.h"
#include "upkeep.h"

/* Rows are prefetched so many bytes ahead: about as many cache lines as a core can wait for. */
#define WRITE_AHEAD_BYTES 3072u
#define WRITE_AHEAD_MIN   4u
#define WRITE_AHEAD_MAX   24u
/* Rows of u8: few lines, and the row is what misses (24 rows took 6 ns more at 30 M rows). */
#define WRITE_AHEAD_CODED 48u

struct push {
    struct partition *p;
    const uint32_t *counts;
    const uint64_t *ids;
    const uint32_t *handles; /* NULL: unknown */
    size_t total;
    const float *g;
    uint64_t dropped;
};

/* Whether every g is finite and its square too: |g| < 2^63. Compares integers, so that the loop has
 * no early exit and is vectorised. */
static bool usable(const float *g, size_t n) {
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &g[i], sizeof bits);
        bad |= (bits & 0x7fffffffu) >= 0x5f000000u;
    }
    return bad == 0;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* A handle may be stale: the row was evicted or moved since the pull, and another row took its
 * slot, or the slot is gone. */
static uint32_t current_handle(const struct table *t, uint64_t id, uint32_t handle) {
    if (handle < table_slots(t)) {
        const struct row *row = table_row(t, handle);
        if (row->id == id && row->step != 0) {
            return handle;
        }
    }
    table_find(t, &id, 1, &handle);
    return handle;
}

/* A count of updates, in the form that the rules take. A checkpoint may hold a count beyond 2^32,
 * where a bias correction has long been 1: the count must not wrap around to 0. */
static uint32_t step_of(uint64_t updates) {
    return updates < UINT32_MAX ? (uint32_t)updates : UINT32_MAX;
}

static void push_row(struct push *u, struct field_rows *f, uint64_t id, uint32_t handle,
                     const float *g) {
    struct partition *p = u->p;
    const uint32_t dim = f->config.dim;
    const struct domain *d = key_domain(p, f, id);
    if (!d->takes) {
        return;
    }
    if (!usable(g, dim)) {
        u->dropped += dim;
        return;
    }
    handle = current_handle(f->rows.table, id, handle);
    if (handle != HANDLE_NONE &&
        row_expired(table_row(f->rows.table, handle), f->rows.evict_age, d->clock)) {
        rows_free(p, &f->rows, handle);
        p->counts.evicted_age++;
        handle = HANDLE_NONE;
    }
    if (handle == HANDLE_NONE) {
        handle = admission_sight(p, f, id, d->clock);
        if (handle == HANDLE_NONE) {
            return;
        }
    }
    partition_before_write(p, &f->rows, handle);
    struct row *row = table_row(f->rows.table, handle);
    row->step += row->step < UINT32_MAX;
    row->last = (uint32_t)d->clock + 1;
    const uint32_t t = f->config.opt.correction == CORRECT_ROW ? row->step : step_of(d->clock + 1);
    table_update(f->rows.table, row, f->config.opt.lr * d->lr_scale, t, g);
}

static void prefetch_known(const struct table *t, uint32_t handle) {
    if (handle != HANDLE_NONE) {
        table_prefetch(t, handle);
    }
}

static size_t write_ahead(const struct table *t) {
    const uint32_t rows = WRITE_AHEAD_BYTES / table_row_bytes(t);
    if (table_layout(t)->state == CELLS_U8) {
        return WRITE_AHEAD_CODED;
    }
    if (rows < WRITE_AHEAD_MIN) {
        return WRITE_AHEAD_MIN;
    }
    return rows < WRITE_AHEAD_MAX ? rows : WRITE_AHEAD_MAX;
}

static void push_field(struct push *u, struct field_rows *f, const uint64_t *ids,
                       const uint32_t *known, size_t n, const float *g) {
    uint32_t block[KEYS_BLOCK];
    const size_t ahead = write_ahead(f->rows.table);
    for (size_t at = 0; at < n; at += KEYS_BLOCK) {
        const size_t some = n - at < KEYS_BLOCK ? n - at : KEYS_BLOCK;
        const uint32_t *handles = block;
        if (known != NULL) {
            handles = known + at;
        } else {
            table_find(f->rows.table, ids + at, some, block);
        }
        for (size_t i = 0; i < some && i < ahead; i++) {
            prefetch_known(f->rows.table, handles[i]);
        }
        for (size_t i = 0; i < some; i++) {
            if (i + ahead < some) {
                prefetch_known(f->rows.table, handles[i + ahead]);
            }
            push_row(u, f, ids[at + i], handles[i], g + (at + i) * f->config.dim);
        }
    }
}

static void push_rows(struct push *u) {
    size_t at = 0;
    for (uint32_t f = 0; f < u->p->field_count; f++) {
        const size_t n = u->counts[f];
        push_field(u, &u->p->fields[f], u->ids + at, u->handles == NULL ? NULL : u->handles + at, n,
                   u->g);
        at += n;
        u->g += n * u->p->fields[f].config.dim;
    }
}

static void push_dense(struct push *u) {
    struct partition *p = u->p;
    const size_t n = dense_floats(&p->dense);
    if (!usable(u->g, n)) {
        u->dropped += n;
        return;
    }
    for (uint32_t i = 0; i < p->domains.count; i++) {
        struct domain *d = &p->domains.list[i];
        if (d->takes) {
            const uint64_t begin = layout_slice(p->spec.layout, d->bucket_begin);
            const uint64_t end = layout_slice(p->spec.layout, d->bucket_end);
            d->dense_step++;
            dense_apply(&p->dense, begin, end, p->spec.config->dense.lr * d->lr_scale,
                        step_of(d->dense_step), u->g + (begin - p->dense.begin));
        }
    }
}

/* --- names ------------------------------------------------------------------------------------ */

static enum status check_fence(struct partition *p, struct batch_name name, uint64_t fence) {
    if (name.shard >= p->spec.shards) {
        return fail(ERR_PROTOCOL, "push of shard %u; the plan has %u", name.shard, p->spec.shards);
    }
    if (fence < p->fences[name.shard]) {
        p->counts.fenced++;
        return fail(ERR_FENCED, "push of shard %u with lease %llu; lease %llu has been seen",
                    name.shard, (unsigned long long)fence,
                    (unsigned long long)p->fences[name.shard]);
    }
    return OK;
}

/* Whether some domain has not seen the batch. */
static enum status is_new(const struct partition *p, struct batch_name name, bool *fresh) {
    *fresh = false;
    for (uint32_t i = 0; i < p->domains.count && !*fresh; i++) {
        bool has = false;
        TRY(applied_has(p->domains.list[i].applied, name, &has));
        *fresh = !has;
    }
    return OK;
}

/* lr grows linearly over the first warmup_steps batches. */
static float warmup(const struct config *config, uint64_t clock) {
    const float part = (float)(clock + 1) / (float)config->warmup_steps;
    return config->warmup_steps == 0 || part > 1.0f ? 1.0f : part;
}

/* Adds the name to the domains that lack it; `takes` marks these domains. */
static enum status open_domains(struct partition *p, struct batch_name name) {
    enum status status = OK;
    for (uint32_t i = 0; i < p->domains.count; i++) {
        struct domain *d = &p->domains.list[i];
        bool has = true;
        d->takes = false;
        if (status == OK) {
            status = applied_has(d->applied, name, &has);
        }
        if (status == OK && !has) {
            status = applied_add(d->applied, name);
            d->takes = status == OK;
            d->lr_scale = warmup(p->spec.config, d->clock);
        }
    }
    return status;
}

static void close_domains(struct partition *p) {
    for (uint32_t i = 0; i < p->domains.count; i++) {
        p->domains.list[i].clock += p->domains.list[i].takes;
    }
    if (p->domains.count > 1) {
        domains_merge(&p->domains);
    }
}

/* --- the push --------------------------------------------------------------------------------- */

static enum status locate_keys(struct push *u, struct ticket *ticket, const struct key_list *keys) {
    if (keys != NULL) {
        TRY(partition_check_keys(u->p, keys));
        u->counts = keys->counts;
        u->ids = keys->ids;
        u->total = keys->total;
        return OK;
    }
    if (ticket == NULL) {
        u->p->counts.tickets_unknown++;
        return fail(ERR_TICKET, "the ticket has expired; send the keys");
    }
    u->counts = ticket->counts;
    u->ids = ticket->ids;
    u->handles = ticket->handles;
    u->total = ticket->total;
    return OK;
}

static enum status check_floats(const struct push *u, size_t floats) {
    const struct key_list keys = {.counts = u->counts, .ids = u->ids, .total = u->total};
    const size_t expected = partition_pull_floats(u->p, &keys, true);
    if (floats != expected) {
        return fail(ERR_PROTOCOL, "push of %zu keys has %zu floats, expected %zu", u->total, floats,
                    expected);
    }
    return OK;
}

static void note_dropped(struct partition *p, struct batch_name name, uint64_t dropped) {
    p->counts.dropped_values += dropped;
    if (dropped > 0) {
        log_limited(&p->dropped, LOG_WARN,
                    "batch (epoch %u, shard %u, batch %u): %llu gradient values "
                    "of rows that are not finite were dropped; %llu so far",
                    name.epoch, name.shard, name.batch, (unsigned long long)dropped,
                    (unsigned long long)p->counts.dropped_values);
    }
}

static void tell(const struct push *u, const struct push_note *note) {
    if (u->p->told != NULL) {
        u->p->told(u->p->listener, note);
    }
}

static void tell_push(const struct push *u, struct batch_name name, uint64_t fence, bool whole) {
    const struct choices *c = &u->p->choices;
    tell(u, &(struct push_note){.applied = true,
                                .name = name,
                                .fence = fence,
                                .version = domains_version(&u->p->domains),
                                .fields = u->p->field_count,
                                .counts = u->counts,
                                .ids = u->ids,
                                .total = u->total,
                                .choices = c->list,
                                .choice_count = c->count,
                                .incomplete = !whole || c->failed});
}

static void choices_clear(struct choices *c) {
    c->count = c->again ? c->count : 0;
    c->next = 0;
    c->calls = 0;
    c->failed = false;
}

static enum status push_new(struct push *u, struct batch_name name, uint64_t fence,
                            struct ticket *ticket) {
    struct partition *p = u->p;
    choices_clear(&p->choices);
    const enum status status = open_domains(p, name);
    FAULT("ps.push.named");
    push_rows(u);
    FAULT("ps.push.rows");
    push_dense(u);
    FAULT("ps.push.dense");
    close_domains(p);
    upkeep_push(p);
    p->counts.pushes++;
    p->counts.pushed_keys += u->total;
    note_dropped(p, name, u->dropped);
    tell_push(u, name, fence, status == OK);
    if (ticket != NULL) {
        tickets_close(&p->tickets, ticket);
    }
    return status;
}

/* Raises the fence of the batch's shard; true: it was lower. */
static bool raise_fence(struct partition *p, struct batch_name name, uint64_t fence) {
    const bool raised = fence > p->fences[name.shard];
    p->fences[name.shard] = fence;
    return raised;
}

/* Finds the rows of a new push and checks its sizes. */
static enum status prepare(struct push *u, struct ticket *ticket, const struct key_list *keys,
                           size_t floats) {
    TRY(locate_keys(u, ticket, keys));
    return check_floats(u, floats);
}

enum status partition_push(struct partition *p, struct batch_name name, uint64_t fence,
                           uint64_t ticket, const struct key_list *keys, const float *gradients,
                           size_t floats, struct push_result *result) {
    struct push u = {.p = p, .g = gradients};
    struct ticket *open = tickets_find(&p->tickets, ticket);
    bool fresh = false;
    *result = (struct push_result){0};
    if (p->spec.read_only) {
        return fail(ERR_PROTOCOL, "push to a partition that only serves reads");
    }
    TRY(check_fence(p, name, fence));
    const bool raised = raise_fence(p, name, fence);
    enum status status = is_new(p, name, &fresh);
    if (status == OK && fresh) {
        status = prepare(&u, open, keys, floats);
    }
    if (raised && (status != OK || !fresh)) {
        tell(&u, &(struct push_note){.name = name, .fence = fence});
    }
    TRY(status);
    if (fresh) {
        TRY(push_new(&u, name, fence, open));
    } else {
        p->counts.duplicates++;
        result->duplicate = true;
    }
    result->version = domains_version(&p->domains);
    result->dropped_values = u.dropped;
    return OK;
}
