/* Memory that comes back: rows that move, under open tickets and cuts, and in an order that follows
 * from the pushes alone where that was promised. */
#include "ps/upkeep.h"

#include "ps/eviction.h"
#include "tests/world.h"

#define SEED  77u
#define MANY  300000u /* rows: more than one slab */
#define FIRST 1000000u
#define FENCE 1u

struct fixture {
    struct world *w;
    struct world_job job;
    struct partition *p;
    struct store *s; /* of the first field */
    struct snapshot_writer *writer;
    char dir[64];
};

static void begin(struct fixture *x, bool deterministic) {
    x->w = world_create(SEED);
    x->w->config.deterministic = deterministic;
    world_finish(x->w);
    world_start(&x->job, x->w, 1);
    x->p = x->job.p[0];
    x->s = &x->p->fields[0].rows;
    world_dir(x->dir);
    assert_int_equal(snapshot_writer_start(&x->writer), OK);
}

static void end(struct fixture *x) {
    world_stop(&x->job);
    snapshot_writer_stop(&x->writer);
    world_dir_remove(x->dir);
    mem_free(&x->w);
}

static uint32_t handle_of(const struct fixture *x, uint64_t id) {
    uint32_t handle;
    table_find(x->s->table, &id, 1, &handle);
    return handle;
}

/* Rows that no batch holds; the value tells the id. */
static void make_many(struct fixture *x) {
    for (uint64_t id = FIRST; id < FIRST + MANY; id++) {
        const uint32_t handle = rows_create(x->p, x->s, id, 0);
        assert_int_not_equal(handle, HANDLE_NONE);
        partition_before_write(x->p, x->s, handle);
        table_row(x->s->table, handle)->step = 1;
        table_row(x->s->table, handle)->data[0] = (float)(id - FIRST);
    }
}

static bool stays(uint64_t id) {
    return rng_below(SEED, id, 0, 4) == 0;
}

static void free_most(struct fixture *x) {
    for (uint64_t id = FIRST; id < FIRST + MANY; id++) {
        if (!stays(id)) {
            rows_free(x->p, x->s, handle_of(x, id));
        }
    }
}

static void check_many(const struct fixture *x) {
    for (uint64_t id = FIRST; id < FIRST + MANY; id++) {
        const uint32_t handle = handle_of(x, id);
        assert_int_equal(handle != HANDLE_NONE, stays(id));
        if (stays(id)) {
            assert_true(handle < table_slots(x->s->table));
            assert_true(table_row(x->s->table, handle)->id == id);
            assert_true(table_row(x->s->table, handle)->data[0] == (float)(id - FIRST));
        }
    }
}

static uint64_t bytes_of(const struct fixture *x) {
    struct partition_stats s;
    partition_stats(x->p, &s);
    assert_int_equal(s.table_bytes, table_bytes(x->p->fields[0].rows.table) +
                                        table_bytes(x->p->fields[1].rows.table) +
                                        table_bytes(x->p->fields[2].rows.table));
    return s.table_bytes;
}

static uint32_t ticks(struct fixture *x) {
    uint32_t n = 0;
    for (bool busy = true; busy; n++) {
        assert_int_equal(partition_tick(x->p, 0, &busy), OK);
    }
    return n;
}

static void test_idle(void **state) {
    (void)state;
    struct fixture x;
    begin(&x, false);
    make_many(&x);
    assert_true(ticks(&x) < 1000); /* the index may be growing */
    const uint64_t full = bytes_of(&x);
    free_most(&x);
    assert_int_equal(bytes_of(&x), full);
    const uint32_t n = ticks(&x);
    assert_in_range(n, 100, 2000); /* in many slices */
    assert_true(bytes_of(&x) < full / 2);
    check_many(&x);
    assert_int_equal(ticks(&x), 1); /* it has settled */
    end(&x);
}

/* A ticket whose rows move, or whose slots go, while it is open. */
static void test_ticket(void **state) {
    (void)state;
    struct fixture x, plain;
    begin(&x, false);
    begin(&plain, false);
    make_many(&x);
    for (uint32_t n = 0; n < 20; n++) { /* these rows lie behind the others */
        world_push(x.w, x.p, n);
        world_push(plain.w, plain.p, n);
    }
    static struct world_request r;
    static float values[WORLD_FLOATS_MAX];
    const struct world_batch b = world_batch(x.w, 20);
    struct pull_result pulled;
    struct push_result pushed;
    world_request(x.w, &b, x.p, &r);
    assert_int_equal(partition_serve_pull(x.p, &r.keys, true, true, 0, values, &pulled), OK);
    const uint32_t slots = table_slots(x.s->table);
    for (uint64_t id = FIRST; id < FIRST + MANY; id++) {
        rows_free(x.p, x.s, handle_of(&x, id));
    }
    ticks(&x);
    assert_true(table_slots(x.s->table) < slots / 2);
    assert_int_equal(
        partition_push(x.p, b.name, FENCE, pulled.ticket, NULL, r.gradients, r.floats, &pushed),
        OK);
    world_push(plain.w, plain.p, 20);
    struct world_dump one = world_dump(&x.job), other = world_dump(&plain.job);
    world_same(&one, &other, "with and without rows that moved");
    world_dump_free(&one);
    world_dump_free(&other);
    end(&x);
    end(&plain);
}

/* Cuts while rows would move. Elsewhere they wait; in deterministic jobs pushes move them, and the
 * file has the state at the cut all the same. */
static void run_cut(bool deterministic) {
    struct fixture x;
    struct part_info info;
    struct world_job restored;
    struct applied *names = NULL;
    begin(&x, deterministic);
    make_many(&x);
    world_push(x.w, x.p, 0);
    free_most(&x);
    struct world_dump at_cut = world_dump(&x.job);
    const uint32_t slots = table_slots(x.s->table);
    assert_int_equal(partition_cut(x.p, x.writer, x.dir, 0, 1, 0), OK);
    for (uint32_t n = 1; n < 40; n++) {
        world_push(x.w, x.p, n);
    }
    assert_int_equal(table_slots(x.s->table) < slots, deterministic);
    assert_int_equal(world_cut_wait(x.p, &info, &names), OK);
    applied_destroy(&names);
    for (uint32_t n = 40; n < 50; n++) {
        world_push(x.w, x.p, n);
    }
    assert_true(table_slots(x.s->table) < slots);
    world_restore(&restored, x.w, 1, x.dir, &info, 1);
    struct world_dump d = world_dump(&restored);
    world_same(&at_cut, &d, "the part and the state at the cut");
    world_dump_free(&d);
    world_dump_free(&at_cut);
    world_stop(&restored);
    check_many(&x);
    end(&x);
}

static void test_cut(void **state) {
    (void)state;
    run_cut(false);
    run_cut(true);
}

/* Deterministic jobs: the bytes of a part file follow from the pushes, whenever ticks come. */
static void test_order(void **state) {
    (void)state;
    struct part_info info[2];
    for (uint32_t run = 0; run < 2; run++) {
        struct fixture x;
        struct applied *names = NULL;
        begin(&x, true);
        make_many(&x);
        free_most(&x);
        const uint32_t slots = table_slots(x.s->table);
        for (uint32_t n = 0; n < 50; n++) {
            bool busy;
            world_push(x.w, x.p, n);
            for (uint32_t t = 0; run == 1 && t < n; t++) {
                assert_int_equal(partition_tick(x.p, 0, &busy), OK);
            }
        }
        assert_true(table_slots(x.s->table) < slots);
        assert_int_equal(partition_cut(x.p, x.writer, x.dir, 0, 1, 0), OK);
        assert_int_equal(world_cut_wait(x.p, &info[run], &names), OK);
        applied_destroy(&names);
        end(&x);
    }
    assert_int_equal(info[0].bytes, info[1].bytes);
    assert_int_equal(info[0].checksum, info[1].checksum);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_ticket),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests_name("upkeep", tests, NULL, NULL);
}
