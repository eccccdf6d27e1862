#include "tools/common/pipeline.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED           20260203u
#define NEVER          UINT64_MAX
#define ITEMS(threads) ((threads) + 2u)

struct slot {
    void *memory; /* made once a slot */
    uint64_t piece;
    uint64_t value;
};
struct run {
    uint64_t pieces, filled, taken, delays;
    uint64_t make_fails, take_fails; /* at this piece */
    bool slow;
    atomic_int slots; /* with memory now */
};

/* Of every third piece it says first that it is not there yet. */
static enum status fill(void *arg, void *s) {
    struct run *r = arg;
    if (r->filled % 3 == 1 && r->delays++ % 2 == 0) {
        return ERR_AGAIN;
    }
    ((struct slot *)s)->piece = r->filled;
    return r->filled++ < r->pieces ? OK : ERR_CLOSED;
}

static enum status make(void *arg, void *s) {
    struct run *r = arg;
    struct slot *slot = s;
    const uint64_t piece = slot->piece;
    if (slot->memory == NULL) {
        TRY(mem_alloc(&slot->memory, 100));
        atomic_fetch_add(&r->slots, 1);
    }
    if (piece == r->make_fails) {
        return (fail)(ERR_LIMIT, "made to fail at %llu", (unsigned long long)piece);
    }
    if (r->slow) {
        clock_sleep_ms(rng_below(SEED, piece, 0, 3));
    }
    slot->value = rng_u64(SEED, piece, 1);
    return OK;
}

static enum status take(void *arg, void *s) {
    struct run *r = arg;
    const struct slot *slot = s;
    const uint64_t piece = slot->piece;
    assert_int_equal(piece, r->taken);
    assert_true(slot->value == rng_u64(SEED, piece, 1));
    if (piece == r->take_fails) {
        return (fail)(ERR_IO, "disk full at %llu", (unsigned long long)piece);
    }
    r->taken++;
    return OK;
}

static atomic_int freed;

static void slot_fini(void *s) {
    struct slot *slot = s;
    atomic_fetch_add(&freed, slot->memory != NULL);
    mem_free(&slot->memory);
}

static enum status run_pipeline(struct run *r, uint32_t threads, uint64_t pieces) {
    const struct pipeline job = {.name = "test",
                                 .threads = threads,
                                 .items = ITEMS(threads),
                                 .item_bytes = sizeof(struct slot),
                                 .fill = fill,
                                 .work = make,
                                 .take = take,
                                 .fini = slot_fini,
                                 .arg = r};
    r->pieces = pieces;
    atomic_store(&freed, 0);
    const enum status status = pipeline_run(&job);
    assert_int_equal(atomic_load(&freed), atomic_load(&r->slots));
    return status;
}

static void pieces_come_in_order(void **state) {
    static const uint32_t threads[] = {1, 2, 3, 8, 64};
    static const uint64_t pieces[] = {0, 1, 2, 7, 100};
    (void)state;
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
            struct run r = {.make_fails = NEVER, .take_fails = NEVER, .slow = t == 3};
            assert_int_equal(run_pipeline(&r, threads[t], pieces[p]), OK);
            assert_int_equal(r.taken, pieces[p]);
            assert_true((uint64_t)atomic_load(&r.slots) <= ITEMS(threads[t]));
        }
    }
}

/* The maker's cause arrives; all before it was taken. */
static void a_maker_fails(void **state) {
    (void)state;
    for (uint64_t at = 0; at < 20; at += 3) {
        struct run r = {.make_fails = at, .take_fails = NEVER};
        assert_int_equal(run_pipeline(&r, 3, 20), ERR_LIMIT);
        assert_non_null(strstr(fail_text(), "made to fail"));
        assert_true(r.taken <= at);
    }
}

static void the_taker_fails(void **state) {
    (void)state;
    for (uint64_t at = 0; at < 20; at += 3) {
        struct run r = {.make_fails = NEVER, .take_fails = at};
        assert_int_equal(run_pipeline(&r, 3, 20), ERR_IO);
        assert_non_null(strstr(fail_text(), "disk full"));
        assert_int_equal(r.taken, at);
    }
}

static void failing_memory(void **state) {
    bool done = false;
    (void)state;
    for (size_t n = 1; n < 50 && !done; n++) {
        struct run r = {.make_fails = NEVER, .take_fails = NEVER};
        mem_fail_after(n);
        const enum status status = run_pipeline(&r, 3, 10);
        mem_fail_after(0);
        done = status == OK;
        assert_true(done || status == ERR_MEMORY);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_in_order),
        cmocka_unit_test(a_maker_fails),
        cmocka_unit_test(the_taker_fails),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
