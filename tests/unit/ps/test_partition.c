#include "ps/partition.h"

#include <math.h>
#include <string.h>

#include "common/base/thread.h"
#include "ps/eviction.h"
#include "tests/world.h"
#include "common/job/row_initial.h"

#define SEED  2024u
#define FENCE 1u

/* --- the naive partition: one array per field, indexed by id ---------------------------------- */

#define ORACLE_IDS 600u
struct oracle_row {
    uint32_t step, last;      /* step 0: no row */
    uint32_t seen, seen_last; /* sightings */
    float data[15];
};
struct oracle {
    const struct world *w;
    struct oracle_row rows[WORLD_FIELDS][ORACLE_IDS];
    uint32_t clock;
    float *dense, *s; /* [count], adam's m then v */
};

static bool gone(uint32_t age, uint32_t clock, uint32_t last) {
    return age != 0 && clock - last >= age;
}

static void oracle_fresh(const struct oracle *o, uint32_t f, uint64_t id, float *data) {
    const struct table_config c = config_table(&o->w->config, o->w->schema.fields[f].name);
    row_initial(o->w->config.seed, hash_key(o->w->schema.fields[f].salt, id), c.init_scale, c.dim,
                data);
    optimizer_state_init(&c.opt, c.dim, data, data + c.dim);
}

static void oracle_read(const struct oracle *o, uint32_t f, uint64_t id, float *out) {
    const struct table_config c = config_table(&o->w->config, o->w->schema.fields[f].name);
    const struct oracle_row *r = &o->rows[f][id];
    float data[15];
    oracle_fresh(o, f, id, data);
    if (r->step != 0 && !gone(c.evict_age, o->clock, r->last)) {
        memcpy(data, r->data, sizeof data);
    }
    memcpy(out, data, c.dim * sizeof(float));
}

static void oracle_sight(struct oracle *o, uint32_t f, uint64_t id, const float *g, float warm) {
    const struct table_config c = config_table(&o->w->config, o->w->schema.fields[f].name);
    struct oracle_row *r = &o->rows[f][id];
    if (r->step != 0 && gone(c.evict_age, o->clock, r->last)) {
        r->step = 0;
    }
    if (r->step == 0) {
        const uint32_t seen =
            r->seen != 0 && gone(c.evict_age, o->clock, r->seen_last) ? 0 : r->seen;
        r->seen = seen + 1;
        r->seen_last = o->clock + 1;
        if (r->seen < c.admit_after) {
            return;
        }
        r->seen = 0;
        oracle_fresh(o, f, id, r->data);
    }
    r->step++;
    r->last = o->clock + 1;
    const uint32_t t = c.opt.correction == CORRECT_ROW ? r->step : (uint32_t)o->clock + 1;
    optimizer_apply(&c.opt, c.dim, c.opt.lr * warm, t, r->data, r->data + c.dim, g);
}

static void oracle_push(struct oracle *o, const struct world_batch *b) {
    const struct config *c = &o->w->config;
    float warm = c->warmup_steps == 0 ? 1.0f : (float)(o->clock + 1) / (float)c->warmup_steps;
    warm = warm > 1.0f ? 1.0f : warm;
    size_t at = 0;
    for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
        for (uint32_t i = 0; i < b->counts[f]; i++, at++) {
            float g[5];
            for (uint32_t k = 0; k < o->w->layout.dim[f]; k++) {
                g[k] = world_gradient(o->w, b->name, f, b->ids[at], k);
            }
            oracle_sight(o, f, b->ids[at], g, warm);
        }
    }
    const size_t n = (size_t)o->w->layout.count;
    for (size_t k = 0; k < n; k++) {
        const float g = world_gradient(o->w, b->name, WORLD_FIELDS, k, 0);
        optimizer_apply_arrays(&c->dense, 1, c->dense.lr * warm, o->clock + 1, &o->dense[k],
                               &o->s[k], &o->s[n + k], &g);
    }
    o->clock++;
}

static struct oracle *oracle_create(const struct world *w) {
    struct oracle *o = NULL;
    assert_int_equal(mem_new(&o), OK);
    o->w = w;
    assert_int_equal(mem_array(&o->dense, (size_t)w->layout.count), OK);
    assert_int_equal(mem_array(&o->s, 2 * (size_t)w->layout.count), OK);
    layout_initial(&w->layout, w->config.seed, 0, w->layout.count, o->dense);
    return o;
}

static void oracle_destroy(struct oracle **o) {
    mem_free(&(*o)->dense);
    mem_free(&(*o)->s);
    mem_free(o);
}

/* A pull of everything there could be, at every partition, equals the oracle bit by bit. */
static void check_pull(const struct oracle *o, struct world_job *job) {
    static uint64_t ids[WORLD_FIELDS * ORACLE_IDS];
    static float got[WORLD_FIELDS * ORACLE_IDS * 5 + 1000];
    for (uint32_t i = 0; i < job->count; i++) {
        struct partition *p = job->p[i];
        uint32_t counts[WORLD_FIELDS] = {0};
        struct key_list keys = {.counts = counts, .ids = ids};
        struct pull_result result;
        for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
            for (uint64_t id = 0; id < ORACLE_IDS; id++) {
                const uint32_t bucket = key_bucket(&p->fields[f], id);
                if (bucket >= p->spec.bucket_begin && bucket < p->spec.bucket_end) {
                    ids[keys.total++] = id;
                    counts[f]++;
                }
            }
        }
        const size_t floats = partition_pull_floats(p, &keys, true);
        assert_int_equal(partition_pull(p, &keys, true, got, &result), OK);
        assert_int_equal(result.version, o->clock);
        size_t at = 0, key = 0;
        for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
            for (uint32_t k = 0; k < counts[f]; k++, key++) {
                float want[5];
                oracle_read(o, f, ids[key], want);
                assert_memory_equal(got + at, want, o->w->layout.dim[f] * sizeof(float));
                at += o->w->layout.dim[f];
            }
        }
        const size_t dense = (size_t)(p->dense.end - p->dense.begin);
        assert_int_equal(floats, at + dense);
        assert_memory_equal(got + at, o->dense + p->dense.begin, dense * sizeof(float));
    }
}

static void run_against_oracle(const char *const *settings, uint32_t partitions) {
    struct world *w = world_create(SEED);
    struct world_job job;
    for (; *settings != NULL; settings++) {
        world_set(w, *settings);
    }
    world_finish(w);
    world_start(&job, w, partitions);
    struct oracle *o = oracle_create(w);
    for (uint32_t n = 0; n < 130; n++) {
        const struct world_batch b = world_batch(w, n);
        world_push_all(&job, n);
        oracle_push(o, &b);
        if (n % 13 == 0 || n == 129) {
            check_pull(o, &job);
        }
    }
    oracle_destroy(&o);
    world_stop(&job);
    mem_free(&w);
}

/* Optimizers, admission, ages and warm-up, on one and on several partitions. */
static void test_against_oracle(void **state) {
    (void)state;
    static const char *const cases[][5] = {
        {"train.warmup_steps=0", NULL},
        {"train.warmup_steps=40", "table.optimizer=adagrad", "field.item.dim=3", NULL},
        {"table.admit_after=3", "table.optimizer=sgd", "dense.optimizer=sgd", NULL},
        {"table.evict_age=9", "table.optimizer=rowwise_adagrad", NULL},
        {"table.optimizer=rmsprop", "table.bias_correction=row", "table.decay=0.1", NULL},
        {"table.optimizer=rowwise_rmsprop", "table.admit_after=2", "train.warmup_steps=9", NULL},
        {"table.evict_age=6", "table.admit_after=2", "field.shop.admit_after=1",
         "field.user.evict_age=0", NULL},
        {"table.optimizer=ftrl", "table.l2=0.01", "table.evict_age=20", "train.warmup_steps=9",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_against_oracle(cases[i], 1);
        run_against_oracle(cases[i], 3);
    }
}

static struct row *row_of(const struct partition *p, uint32_t field, uint64_t id) {
    uint32_t handle;
    table_find(p->fields[field].rows.table, &id, 1, &handle);
    return handle == HANDLE_NONE ? NULL : table_row(p->fields[field].rows.table, handle);
}

/* A feature has a row or sightings, never both. */
static void check_admission(const struct world_job *job, const struct world_dump *d) {
    size_t sightings = 0;
    for (size_t i = 0; i < d->count; i++) {
        const uint32_t unit = d->records[i].unit;
        for (uint32_t k = 0; k < job->count && unit % 2 != 0; k++) {
            assert_null(row_of(job->p[k], unit / 2, d->records[i].id));
            sightings++;
        }
    }
    assert_true(sightings > 0);
}

/* Any number of partitions holds the same rows, sightings and dense values. */
static void test_number_of_partitions(void **state) {
    (void)state;
    struct world *w = world_create(SEED);
    world_set(w, "table.evict_age=12");
    world_set(w, "table.admit_after=2");
    world_finish(w);
    struct world_dump one = {0};
    for (uint32_t count = 1; count <= 5; count++) {
        struct world_job job;
        world_start(&job, w, count);
        for (uint32_t n = 0; n < 120; n++) {
            world_push_all(&job, n);
        }
        struct world_dump d = world_dump(&job);
        if (count == 1) {
            one = d;
            assert_true(d.count > 300);
            check_admission(&job, &d);
        } else {
            world_same(&one, &d, "partitions");
            world_dump_free(&d);
        }
        world_stop(&job);
    }
    world_dump_free(&one);
    mem_free(&w);
}

/* A name is applied once, with keys or ticket, also when batches come in another order. */
static void test_exactly_once(void **state) {
    (void)state;
    struct world *w = world_create(SEED);
    struct world_job once, more;
    world_start(&once, w, 1);
    world_start(&more, w, 1);
    for (uint32_t n = 0; n < 60; n++) {
        assert_false(world_push(w, once.p[0], n).duplicate);
        assert_false(world_push(w, more.p[0], n).duplicate);
        const uint32_t again = (uint32_t)rng_below(SEED, n, 1, n + 1);
        const struct push_result r = world_push(w, more.p[0], again);
        assert_true(r.duplicate);
        assert_int_equal(r.version, n + 1);
    }
    struct world_dump a = world_dump(&once), b = world_dump(&more);
    world_same(&a, &b, "resent");
    struct partition_stats s;
    partition_stats(more.p[0], &s);
    assert_int_equal(s.duplicates, 60);
    assert_int_equal(s.pushes, 60);
    assert_int_equal(s.version, 60);
    world_dump_free(&a);
    world_dump_free(&b);
    world_stop(&once);
    world_stop(&more);
    mem_free(&w);
}

/* --- single requests -------------------------------------------------------------------------- */

struct fixture {
    struct world *w;
    struct world_job job;
    struct partition *p;
    struct world_request r;
    struct world_batch b;
    struct pull_result pulled;
    struct push_result pushed;
    float values[WORLD_FLOATS_MAX];
};

static struct fixture *begin(const char *setting) {
    struct fixture *x = NULL;
    assert_int_equal(mem_new(&x), OK);
    x->w = world_create(SEED);
    if (setting != NULL) {
        world_set(x->w, setting);
        world_finish(x->w);
    }
    world_start(&x->job, x->w, 1);
    x->p = x->job.p[0];
    return x;
}

static void end(struct fixture *x) {
    world_stop(&x->job);
    mem_free(&x->w);
    mem_free(&x);
}

static void load(struct fixture *x, uint32_t n) {
    x->b = world_batch(x->w, n);
    world_request(x->w, &x->b, x->p, &x->r);
}

static enum status pull(struct fixture *x, uint64_t now_ms) {
    return partition_serve_pull(x->p, &x->r.keys, true, true, now_ms, x->values, &x->pulled);
}

static enum status push_ticket(struct fixture *x) {
    return partition_push(x->p, x->b.name, FENCE, x->pulled.ticket, NULL, x->r.gradients,
                          x->r.floats, &x->pushed);
}

static enum status push_keys(struct fixture *x, uint64_t fence) {
    return partition_push(x->p, x->b.name, fence, 0, &x->r.keys, x->r.gradients, x->r.floats,
                          &x->pushed);
}

/* A pull changes nothing. */
static void test_pull_is_read_only(void **state) {
    (void)state;
    struct fixture *x = begin(NULL);
    struct partition_stats s;
    for (uint32_t n = 0; n < 5; n++) {
        load(x, n);
        assert_int_equal(pull(x, 0), OK);
    }
    partition_stats(x->p, &s);
    assert_int_equal(s.rows_total, 0);
    assert_int_equal(s.version, 0);
    assert_int_equal(s.pulls, 5);
    assert_int_equal(s.missing_keys, s.pulled_keys);
    assert_int_equal(s.tickets_open, 5);
    end(x);
}

struct puller {
    const struct partition *p;
    const struct key_list *keys;
    float values[WORLD_FLOATS_MAX];
    struct pull_result result;
};

static enum status pull_often(void *arg) {
    struct puller *u = arg;
    for (uint32_t i = 0; i < 50; i++) {
        TRY(partition_pull(u->p, u->keys, true, u->values, &u->result));
    }
    return OK;
}

/* Any number of threads may pull from a partition that nobody writes to: all see what a worker
 * sees, and nothing is counted. */
static void test_pulls_at_once(void **state) {
    (void)state;
    struct fixture *x = begin(NULL);
    struct partition_stats before, after;
    static struct puller pullers[3];
    struct thread threads[3] = {0};
    for (uint32_t n = 0; n < 20; n++) {
        world_push(x->w, x->p, n);
    }
    load(x, 21);
    assert_int_equal(pull(x, 0), OK);
    partition_stats(x->p, &before);
    for (uint32_t i = 0; i < 3; i++) {
        pullers[i] = (struct puller){.p = x->p, .keys = &x->r.keys};
        assert_int_equal(thread_start(&threads[i], "puller", pull_often, &pullers[i]), OK);
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(thread_join(&threads[i]), OK);
        assert_memory_equal(pullers[i].values, x->values, x->r.floats * sizeof(float));
        assert_int_equal(pullers[i].result.version, x->pulled.version);
        assert_int_equal(pullers[i].result.missing, x->pulled.missing);
        assert_int_equal(pullers[i].result.ticket, 0);
    }
    partition_stats(x->p, &after);
    assert_memory_equal(&before, &after, sizeof before);
    end(x);
}

/* --- who copies while it serves --------------------------------------------------------------- */

#define WATCHED_SLOTS 4096u
static bool announced[2 * WORLD_FIELDS][WATCHED_SLOTS];
static uint32_t steps, abandoned;

static void watch_write(struct partition *p, uint32_t unit, uint32_t handle) {
    (void)p;
    assert_true(unit < 2 * WORLD_FIELDS && handle < WATCHED_SLOTS);
    announced[unit][handle] = true;
}
static bool watch_step(struct partition *p) {
    (void)p;
    return ++steps % 2 != 0;
}
static uint64_t watch_bytes(const struct partition *p) {
    (void)p;
    return 12345;
}
static void watch_abandon(struct partition *p) {
    p->hooks = NULL;
    abandoned++;
}

/* Compares a store with its records at the start: what differs was announced, but for the links of
 * slots that are and were free. */
static uint32_t count_changed(const struct store *s, const uint8_t *old, uint32_t slots) {
    const uint32_t bytes = table_row_bytes(s->table);
    uint32_t changed = 0;
    for (uint32_t h = 0; h < slots; h++) {
        const struct row *was = (const struct row *)(const void *)(old + (size_t)h * bytes);
        const bool free = table_row(s->table, h)->step == 0 && was->step == 0;
        if (!free && memcmp(table_row(s->table, h), was, bytes) != 0) {
            assert_true(announced[s->unit][h]);
            changed++;
        }
    }
    return changed;
}

/* Updates, admission, ages and the memory limit: no slot changes without the hook's being told. */
static void test_changes_are_announced(void **state) {
    (void)state;
    static const struct snapshot_hooks hooks = {watch_write, watch_step, watch_bytes,
                                                watch_abandon};
    struct fixture *x = begin("table.evict_age=12");
    struct partition_stats before, after;
    bool busy;
    for (uint32_t n = 0; n < 30; n++) {
        world_push(x->w, x->p, n);
    }
    const struct store *s = &x->p->fields[0].rows;
    const uint32_t slots = table_slots(s->table), bytes = table_row_bytes(s->table);
    uint8_t *old = NULL;
    assert_int_equal(mem_array_of((void **)&old, slots, bytes), OK);
    for (uint32_t h = 0; h < slots; h++) {
        memcpy(old + (size_t)h * bytes, table_row(s->table, h), bytes);
    }
    partition_stats(x->p, &before);
    x->p->hooks = &hooks;
    partition_stats(x->p, &after);
    assert_int_equal(after.bytes_total, before.bytes_total + 12345);
    for (uint32_t n = 30; n < 60; n++) {
        world_push(x->w, x->p, n);
        assert_int_equal(partition_tick(x->p, n, &busy), OK);
        assert_int_equal(busy, n % 2 == 0);
    }
    partition_stats(x->p, &after);
    assert_true(after.evicted_age > before.evicted_age);
    assert_true(count_changed(s, old, slots) > 0);
    mem_free(&old);
    end(x);
    assert_int_equal(abandoned, 1);
}

static void test_ticket_expires(void **state) {
    (void)state;
    struct fixture *x = begin("server.ticket_ms=100");
    struct partition_stats s;
    bool busy;
    load(x, 1);
    assert_int_equal(pull(x, 1000), OK);
    assert_int_equal(partition_tick(x->p, 1099, &busy), OK);
    partition_stats(x->p, &s);
    assert_int_equal(s.tickets_open, 1);
    assert_int_equal(partition_tick(x->p, 1100, &busy), OK);
    assert_false(busy);
    assert_int_equal(push_ticket(x), ERR_TICKET);
    partition_stats(x->p, &s);
    assert_int_equal(s.tickets_open, 0);
    assert_int_equal(s.tickets_expired, 1);
    assert_int_equal(s.tickets_unknown, 1);
    assert_int_equal(s.version, 0);
    assert_int_equal(push_keys(x, FENCE), OK); /* the worker's answer to it */
    assert_false(x->pushed.duplicate);
    end(x);
}

/* Beyond ticket_bytes the oldest tickets go, and the account returns to where it was. */
static void test_ticket_bytes(void **state) {
    (void)state;
    struct fixture *x = begin("server.ticket_bytes=65536");
    struct partition_stats s;
    uint64_t tickets[400];
    partition_stats(x->p, &s);
    const uint64_t idle = s.bytes_total;
    load(x, 1);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(pull(x, 0), OK);
        tickets[i] = x->pulled.ticket;
        partition_stats(x->p, &s);
        assert_true(s.bytes_total <= idle + 65536);
    }
    assert_true(s.tickets_expired > 0 && s.tickets_open + s.tickets_expired == 400);
    x->pulled.ticket = tickets[s.tickets_expired - 1];
    assert_int_equal(push_ticket(x), ERR_TICKET);
    x->pulled.ticket = tickets[s.tickets_expired];
    assert_int_equal(push_ticket(x), OK);
    bool busy;
    assert_int_equal(partition_tick(x->p, UINT64_MAX, &busy), OK);
    partition_stats(x->p, &s);
    assert_int_equal(s.tickets_open, 0);
    end(x);
}

/* The handles of a ticket go stale: rows are made, and evicted, between the pull and the push. */
static void test_stale_ticket(void **state) {
    (void)state;
    struct fixture *x = begin("table.evict_age=3");
    struct world_job plain;
    world_start(&plain, x->w, 1);
    for (uint32_t n = 0; n < 30; n++) {
        world_push(x->w, plain.p[0], n);
    }
    world_push(x->w, plain.p[0], 31);
    world_push(x->w, plain.p[0], 30);
    for (uint32_t n = 0; n < 15; n++) {
        world_push(x->w, x->p, n);
    }
    load(x, 30);
    assert_int_equal(pull(x, 0), OK);
    const uint64_t ticket = x->pulled.ticket;
    for (uint32_t n = 15; n < 30; n++) {
        world_push(x->w, x->p, n);
    }
    world_push(x->w, x->p, 31);
    load(x, 30);
    x->pulled.ticket = ticket;
    assert_int_equal(push_ticket(x), OK);
    struct world_dump a = world_dump(&plain), b = world_dump(&x->job);
    world_same(&a, &b, "stale ticket");
    world_dump_free(&a);
    world_dump_free(&b);
    world_stop(&plain);
    end(x);
}

/* The slot of a ticket's handle was freed, or freed and taken by another row. */
static void test_freed_slots(void **state) {
    (void)state;
    for (int taken = 0; taken <= 1; taken++) {
        struct fixture *x = begin(NULL);
        struct store *s = &x->p->fields[0].rows;
        const uint64_t other = 123456789;
        uint32_t handle, at;
        world_push(x->w, x->p, 0);
        load(x, 0);
        x->b.name = world_batch(x->w, 1).name; /* the same keys as another batch */
        assert_true(x->r.counts[0] > 0);
        assert_int_equal(pull(x, 0), OK);
        table_find(s->table, &x->r.ids[0], 1, &handle);
        rows_free(x->p, s, handle);
        if (taken == 1) {
            at = rows_create(x->p, s, other, 0);
            assert_int_equal(at, handle);
            table_row(s->table, at)->step = 50;
            table_row(s->table, at)->data[0] = 0.25f;
        }
        assert_int_equal(push_ticket(x), OK);
        assert_non_null(row_of(x->p, 0, x->r.ids[0]));
        assert_int_equal(row_of(x->p, 0, x->r.ids[0])->step, 1);
        if (taken == 1) {
            assert_int_equal(row_of(x->p, 0, other)->step, 50);
            assert_true(row_of(x->p, 0, other)->data[0] == 0.25f);
        }
        end(x);
    }
}

static void test_fence(void **state) {
    (void)state;
    struct fixture *x = begin(NULL);
    load(x, 0);
    assert_int_equal(push_keys(x, 5), OK);
    load(x, 1);
    assert_int_equal(push_keys(x, 4), ERR_FENCED);
    assert_int_equal(push_keys(x, 5), OK);
    load(x, world_plan[0]); /* another shard has its own leases */
    assert_int_equal(x->b.name.shard, 1);
    assert_int_equal(push_keys(x, 4), OK);
    struct partition_stats s;
    partition_stats(x->p, &s);
    assert_int_equal(s.fenced, 1);
    assert_int_equal(s.version, 3);
    end(x);
}

/* A stream's shards are learnt from their pushes, whichever comes first; a plan that is fixed does
 * not grow. Rows, clocks and names are those of a job that knew all shards. */
/* Counts that a checkpoint may hold: a bias correction beyond 2^32 updates is 1, not that of none.
 */
static void test_four_billion_updates(void **state) {
    (void)state;
    struct fixture *x = begin("dense.optimizer=adam");
    for (uint32_t n = 0; n < 3; n++) {
        struct domain *d = &x->job.p[0]->domains.list[0];
        d->dense_step = UINT32_MAX - 1 + (uint64_t)n;
        d->clock = d->dense_step;
        load(x, n);
        assert_int_equal(push_keys(x, 1), OK);
        assert_false(x->pushed.duplicate);
    }
    end(x);
}

static void test_growing(void **state) {
    (void)state;
    struct world *w = world_create(SEED);
    struct world_job fresh, knows;
    w->stream = true;
    world_start(&fresh, w, 2);
    world_start_known(&knows, w, 2, WORLD_STREAM_SHARDS);
    const uint64_t before = partition_bytes(fresh.p[0]);
    for (uint32_t n = 0; n < 60; n++) {
        const uint32_t at = n < 20 ? n + 20 : n < 40 ? n - 20 : n; /* later shards before earlier */
        world_push_all(&fresh, at);
        world_push_all(&knows, at);
    }
    assert_int_equal(fresh.p[0]->spec.shards, world_batch(w, 59).name.shard + 1);
    assert_true(partition_bytes(fresh.p[0]) > before);
    const uint32_t again = world_batch(w, 0).name.shard;
    assert_int_equal(partition_grow(fresh.p[0], again, world_stream_plan[again]), OK);
    assert_int_equal(partition_grow(fresh.p[0], again, 99), ERR_PROTOCOL);
    assert_int_equal(partition_grow(fresh.p[0], 3000000000u, 1), ERR_PROTOCOL);
    for (uint32_t s = 0; s < WORLD_STREAM_SHARDS; s++) {
        assert_int_equal(partition_grow(fresh.p[0], s, world_stream_plan[s]), OK);
        assert_int_equal(partition_grow(fresh.p[1], s, world_stream_plan[s]), OK);
    }
    struct world_dump a = world_dump(&fresh), b = world_dump(&knows);
    world_same(&a, &b, "a plan that grew");
    world_dump_free(&a);
    world_dump_free(&b);
    world_stop(&fresh);
    world_stop(&knows);
    w->stream = false;
    world_start(&fresh, w, 1);
    assert_int_equal(partition_grow(fresh.p[0], WORLD_SHARDS, 5), ERR_PROTOCOL);
    world_stop(&fresh);
    mem_free(&w);
}

/* Whatever is wrong with a request, nothing has changed. */
static void test_bad_requests(void **state) {
    (void)state;
    struct fixture *x = begin(NULL);
    struct world_job two;
    world_start(&two, x->w, 2);
    load(x, 0);
    x->r.floats--;
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    x->r.floats += 2;
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    x->r.floats--;
    x->r.keys.total--;
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    assert_int_equal(pull(x, 0), ERR_PROTOCOL);
    x->r.keys.total += 2;
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    assert_int_equal(pull(x, 0), ERR_PROTOCOL);
    x->r.keys.total--;
    x->r.counts[0] = UINT32_MAX;
    x->r.counts[1] = UINT32_MAX;
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    load(x, 0);
    x->b.name.batch = world_plan[x->b.name.shard];
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    x->b.name = (struct batch_name){.shard = WORLD_SHARDS};
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    x->b.name = (struct batch_name){0};
    x->pulled.ticket = 12345;
    assert_int_equal(push_ticket(x), ERR_TICKET);
    x->pulled.ticket = 0;
    assert_int_equal(push_ticket(x), ERR_TICKET);
    struct partition_stats s;
    partition_stats(x->p, &s);
    assert_int_equal(s.version, 0);
    assert_int_equal(s.rows_total, 0);
    /* Keys of another partition. */
    struct partition *mine = x->p;
    load(x, 0);
    x->p = two.p[1];
    assert_int_equal(pull(x, 0), ERR_PROTOCOL);
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    x->p = mine;
    world_stop(&two);
    end(x);
}

/* A row with a bad value is dropped whole, others of the batch are applied; so is the dense part.
 * */
static void test_not_finite(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f};
    for (int i = 0; i < 4; i++) {
        struct fixture *x = begin(NULL);
        struct partition_stats s;
        load(x, 0);
        x->r.gradients[5 * 2 + 3] = bad[i]; /* the third row of dim 5 */
        x->r.gradients[x->r.floats - 1] = bad[3 - i];
        assert_int_equal(push_keys(x, FENCE), OK);
        partition_stats(x->p, &s);
        assert_int_equal(s.rows_total, x->r.keys.total - 1);
        assert_int_equal(x->pushed.dropped_values, 5 + x->w->layout.count);
        assert_int_equal(s.dropped_values, 5 + x->w->layout.count);
        assert_int_equal(s.version, 1);
        float *initial = x->values;
        layout_initial(&x->w->layout, x->w->config.seed, 0, x->w->layout.count, initial);
        assert_memory_equal(x->p->dense.w, initial, (size_t)x->w->layout.count * sizeof(float));
        end(x);
    }
}

/* The same id twice in a request is no reason to break the table. */
static void test_repeated_id(void **state) {
    (void)state;
    struct fixture *x = begin(NULL);
    struct partition_stats s;
    load(x, 0);
    for (size_t i = 1; i < x->r.counts[0]; i++) {
        x->r.ids[i] = x->r.ids[0];
    }
    const uint64_t rows = x->r.keys.total - x->r.counts[0] + 1;
    assert_int_equal(push_keys(x, FENCE), OK);
    partition_stats(x->p, &s);
    assert_int_equal(s.rows_total, rows);
    end(x);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* The newest rows are there, and the others are hardly older than if the oldest always went: ages
 * then run from 0 to rows / (rows a batch), half of that in the mean. */
static void check_survivors(const struct world *w, const struct partition *p) {
    const struct world_batch b = world_batch(w, 398);
    for (size_t i = 0; i < b.counts[0]; i++) {
        assert_non_null(row_of(p, 0, b.ids[i]));
    }
    const struct table *t = p->fields[0].rows.table;
    double ages = 0;
    for (uint32_t h = 0; h < table_slots(t); h++) {
        ages += table_row(t, h)->step == 0 ? 0 : 399 - table_row(t, h)->last;
    }
    const double rows = (double)table_rows(t), rows_a_batch = WORLD_IDS_MAX / 2.0;
    const double best = rows / rows_a_batch / 2;
    if (ages / rows > 1.5 * best) {
        fail_msg("mean age %.1f, the best %.1f", ages / rows, best);
    }
}

static void run_limited(const char *policy, struct partition_stats *s) {
    struct world *w = world_create(SEED);
    struct world_job job;
    world_set(w, policy);
    w->id_space = 1u << 30; /* nearly every id is new */
    w->memory_bytes = 400000;
    world_start(&job, w, 1);
    for (uint32_t n = 0; n < 399; n++) {
        world_push(w, job.p[0], n);
        partition_stats(job.p[0], s);
        if (s->bytes_total > w->memory_bytes) {
            fail_msg("%llu bytes after batch %u", (unsigned long long)s->bytes_total, n);
        }
    }
    if (w->config.memory_policy == MEMORY_EVICT) {
        check_survivors(w, job.p[0]);
    }
    world_stop(&job);
    mem_free(&w);
}

/* Rows of the running push never make room for each other: they are refused. */
static void test_push_larger_than_memory(void **state) {
    (void)state;
    struct fixture *x = begin("server.memory_policy=evict");
    struct partition_stats s;
    x->w->id_space = 1u << 30;
    partition_stats(x->p, &s);
    x->p->spec.memory_bytes = s.bytes_total + 5000; /* some 32 rows of the first field alone */
    for (uint32_t n = 0; n < 30; n++) {
        load(x, n);
        const uint64_t refused = s.refused, evicted = s.evicted_memory;
        assert_int_equal(push_keys(x, FENCE), OK);
        partition_stats(x->p, &s);
        uint64_t now = 0;
        for (uint32_t h = 0; h < table_slots(x->p->fields[0].rows.table); h++) {
            const struct row *row = table_row(x->p->fields[0].rows.table, h);
            now += row->step != 0 && row->last == n + 1;
        }
        const uint64_t want = x->r.counts[0], room = table_slots(x->p->fields[0].rows.table);
        assert_int_equal(now, want < room ? want : room);
        for (uint32_t i = 0; i < now; i++) { /* first come, first served */
            assert_non_null(row_of(x->p, 0, x->r.ids[i]));
        }
        assert_true(s.refused >= refused && s.evicted_memory >= evicted);
    }
    assert_true(s.refused > 0 && s.evicted_memory > 0);
    end(x);
}

static void test_memory_limit(void **state) {
    (void)state;
    struct partition_stats s;
    run_limited("server.memory_policy=refuse", &s);
    assert_true(s.refused > 1000 && s.evicted_memory == 0);
    assert_int_equal(s.rows_total, s.created);
    assert_int_equal(s.version, 399);
    run_limited("server.memory_policy=evict", &s);
    assert_true(s.evicted_memory > 1000);
    assert_int_equal(s.rows_total, s.created - s.evicted_memory);
    const struct partition_stats first = s;
    run_limited("server.memory_policy=evict", &s); /* the same pushes, the same rows */
    assert_memory_equal(&s.rows, &first.rows, sizeof s.rows);
    assert_int_equal(s.evicted_memory, first.evicted_memory);
}

/* Age eviction frees what nobody asks for: rows stay bounded though ids never repeat. */
static void test_age_frees(void **state) {
    (void)state;
    struct fixture *x = begin("table.evict_age=4");
    struct partition_stats s;
    uint64_t most = 0;
    x->w->id_space = 1u << 30;
    for (uint32_t n = 0; n < 1500; n++) {
        world_push(x->w, x->p, n);
        partition_stats(x->p, &s);
        most = s.rows_total > most ? s.rows_total : most;
    }
    assert_true(s.evicted_age > 1000);
    assert_int_equal(s.rows_total, s.created - s.evicted_age);
    assert_true(most < s.created * 3 / 4);
    end(x);
}

/* Whichever allocation of a push fails, the name tells the truth, and the next attempt repairs. */
static void test_memory_fails(void **state) {
    (void)state;
    for (size_t nth = 1; nth < 40; nth++) {
        struct fixture *x = begin("table.admit_after=2");
        struct partition_stats s;
        for (uint32_t n = 0; n < 4; n++) {
            load(x, n);
            mem_fail_after(n == 2 ? nth : 0);
            const enum status status = push_keys(x, FENCE);
            mem_fail_after(0);
            partition_stats(x->p, &s);
            assert_true(status == OK || status == ERR_MEMORY);
            if (status == ERR_MEMORY) {
                assert_int_equal(s.version, n);
                assert_int_equal(push_keys(x, FENCE), OK);
                assert_false(x->pushed.duplicate);
            }
        }
        partition_stats(x->p, &s);
        assert_int_equal(s.version, 4);
        end(x);
        struct world *w = world_create(SEED);
        struct partition *p = NULL;
        const struct partition_spec spec = world_spec(w, 0, 1);
        mem_fail_after(nth);
        const enum status status = partition_create(&p, &spec);
        mem_fail_after(0);
        assert_true(status == OK ? p != NULL : p == NULL);
        partition_destroy(&p);
        mem_free(&w);
    }
}

/* Serves reads, keeps no state, refuses pushes. */
static void test_read_only(void **state) {
    (void)state;
    struct fixture *x = begin("table.admit_after=2");
    struct partition_spec spec = world_spec(x->w, 0, 1);
    struct partition *p = NULL, *mine = x->p;
    spec.read_only = true;
    assert_int_equal(partition_create(&p, &spec), OK);
    x->p = p;
    load(x, 0);
    assert_int_equal(pull(x, 0), OK);
    assert_int_equal(x->pulled.ticket, 0);
    assert_int_equal(push_keys(x, FENCE), ERR_PROTOCOL);
    struct partition_stats s;
    partition_stats(p, &s);
    assert_int_equal(s.row_bytes[0], 40);
    partition_destroy(&p);
    x->p = mine;
    end(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_oracle),
        cmocka_unit_test(test_number_of_partitions),
        cmocka_unit_test(test_exactly_once),
        cmocka_unit_test(test_pull_is_read_only),
        cmocka_unit_test(test_pulls_at_once),
        cmocka_unit_test(test_changes_are_announced),
        cmocka_unit_test(test_ticket_expires),
        cmocka_unit_test(test_ticket_bytes),
        cmocka_unit_test(test_stale_ticket),
        cmocka_unit_test(test_freed_slots),
        cmocka_unit_test(test_fence),
        cmocka_unit_test(test_push_larger_than_memory),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_repeated_id),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_age_frees),
        cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_four_billion_updates),
    };
    return cmocka_run_group_tests_name("partition", tests, NULL, NULL);
}
