#include "common/base/queue.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED        11u
#define LONG_MS     30000u /* never reached unless something is broken */
#define PRODUCERS   4u
#define CONSUMERS   3u
#define ITEMS       5000u /* of each producer */
#define TOTAL_ITEMS (PRODUCERS * ITEMS)

static void first_in_is_first_out(void **state) {
    (void)state;
    struct queue q;
    int item[5];
    void *got = NULL;
    assert_int_equal(queue_init(&q, 3), OK);
    for (int round = 0; round < 10; round++) { /* the ring turns over */
        for (int i = 0; i < 2; i++) {
            assert_int_equal(queue_put(&q, &item[i], 0), OK);
        }
        assert_int_equal(queue_count(&q), 2);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(queue_take(&q, &got, 0), OK);
            assert_ptr_equal(got, &item[i]);
        }
    }
    assert_int_equal(queue_count(&q), 0);
    queue_fini(&q);
    queue_fini(&q);
}

static void a_full_or_empty_queue_times_out(void **state) {
    (void)state;
    struct queue q;
    void *got = &q;
    assert_int_equal(queue_init(&q, 1), OK);
    assert_int_equal(queue_take(&q, &got, 0), ERR_TIMEOUT);
    assert_ptr_equal(got, &q); /* untouched */
    uint64_t before = clock_mono_ms();
    assert_int_equal(queue_take(&q, &got, 30), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - before >= 29);
    assert_int_equal(queue_put(&q, NULL, 0), OK);
    assert_int_equal(queue_put(&q, NULL, 0), ERR_TIMEOUT);
    before = clock_mono_ms();
    assert_int_equal(queue_put(&q, NULL, 30), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - before >= 29);
    assert_int_equal(queue_count(&q), 1);
    assert_int_equal(queue_take(&q, &got, 0), OK);
    assert_null(got);
    queue_fini(&q);
}

static void a_closed_queue_gives_what_is_left(void **state) {
    (void)state;
    struct queue q;
    int item[2];
    void *got = NULL;
    assert_int_equal(queue_init(&q, 2), OK);
    assert_int_equal(queue_put(&q, &item[0], 0), OK);
    assert_int_equal(queue_put(&q, &item[1], 0), OK);
    queue_close(&q);
    queue_close(&q);
    assert_int_equal(queue_put(&q, &item[0], LONG_MS), ERR_CLOSED);
    assert_int_equal(queue_take(&q, &got, LONG_MS), OK);
    assert_ptr_equal(got, &item[0]);
    assert_int_equal(queue_put(&q, &item[0], LONG_MS), ERR_CLOSED); /* although there is room */
    assert_int_equal(queue_take(&q, &got, LONG_MS), OK);
    assert_ptr_equal(got, &item[1]);
    assert_int_equal(queue_take(&q, &got, LONG_MS), ERR_CLOSED);
    assert_int_equal(queue_take(&q, &got, 0), ERR_CLOSED);
    queue_fini(&q);
}

static void no_memory_is_reported(void **state) {
    (void)state;
    struct queue q;
    mem_fail_after(1);
    const enum status status = queue_init(&q, 8);
    mem_fail_after(0);
    assert_int_equal(status, ERR_MEMORY);
    queue_fini(&q);
}

static enum status take_one(void *arg) {
    void *got;
    return queue_take(arg, &got, LONG_MS);
}

static enum status put_one(void *arg) {
    return queue_put(arg, arg, LONG_MS);
}

static void closing_wakes_all_who_wait(void **state) {
    (void)state;
    for (int full = 0; full < 2; full++) {
        struct queue q;
        struct thread threads[4] = {0};
        assert_int_equal(queue_init(&q, 1), OK);
        if (full) {
            assert_int_equal(queue_put(&q, &q, 0), OK);
        }
        const uint64_t before = clock_mono_ms();
        for (int i = 0; i < 4; i++) {
            assert_int_equal(thread_start(&threads[i], "waiter", full ? put_one : take_one, &q),
                             OK);
        }
        clock_sleep_ms(20);
        queue_close(&q);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(thread_join(&threads[i]), ERR_CLOSED);
        }
        assert_true(clock_mono_ms() - before < LONG_MS / 2);
        queue_fini(&q);
    }
}

static void an_item_wakes_one_who_waits(void **state) {
    (void)state;
    struct queue q;
    struct thread waiter = {0};
    void *got;
    assert_int_equal(queue_init(&q, 1), OK);
    const uint64_t before = clock_mono_ms();
    assert_int_equal(thread_start(&waiter, "taker", take_one, &q), OK);
    clock_sleep_ms(10);
    assert_int_equal(queue_put(&q, &q, LONG_MS), OK);
    assert_int_equal(thread_join(&waiter), OK);
    assert_int_equal(queue_put(&q, &q, LONG_MS), OK);
    assert_int_equal(thread_start(&waiter, "putter", put_one, &q), OK);
    clock_sleep_ms(10);
    assert_int_equal(queue_take(&q, &got, LONG_MS), OK);
    assert_int_equal(thread_join(&waiter), OK);
    assert_int_equal(queue_count(&q), 1);
    assert_true(clock_mono_ms() - before < LONG_MS / 2);
    queue_fini(&q);
}

/* --- many on both sides --------------------------------------------------------------------------
 */

struct item {
    uint32_t producer, number;
    uint32_t taken; /* plain: the queue must order the accesses, and the thread sanitizer looks */
};

struct crowd {
    struct queue queue;
    struct item items[PRODUCERS][ITEMS];
    struct producer {
        struct crowd *crowd;
        uint32_t id;
        struct thread thread;
    } producers[PRODUCERS];
    struct consumer {
        struct crowd *crowd;
        uint64_t taken;
        uint64_t out_of_order;
        struct thread thread;
    } consumers[CONSUMERS];
};

static enum status produce(void *arg) {
    struct producer *p = arg;
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct item *item = &p->crowd->items[p->id][i];
        *item = (struct item){.producer = p->id, .number = i};
        const uint64_t timeout_ms = rng_below(SEED, p->id, i, 3) == 0 ? 0 : LONG_MS;
        enum status status;
        do {
            status = queue_put(&p->crowd->queue, item, timeout_ms);
        } while (status == ERR_TIMEOUT && timeout_ms == 0);
        TRY(status);
    }
    return OK;
}

static enum status consume(void *arg) {
    struct consumer *c = arg;
    uint32_t next[PRODUCERS] = {0};
    for (;;) {
        void *got = NULL;
        const enum status status = queue_take(&c->crowd->queue, &got, LONG_MS);
        if (status != OK) {
            return status == ERR_CLOSED ? OK : status;
        }
        struct item *item = got;
        item->taken++;
        c->out_of_order += item->number < next[item->producer];
        next[item->producer] = item->number + 1;
        c->taken++;
    }
}

static void run_crowd(size_t cap) {
    struct crowd *crowd = NULL;
    assert_int_equal(mem_new(&crowd), OK);
    assert_int_equal(queue_init(&crowd->queue, cap), OK);
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        crowd->consumers[i].crowd = crowd;
        assert_int_equal(
            thread_start(&crowd->consumers[i].thread, "consumer", consume, &crowd->consumers[i]),
            OK);
    }
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        crowd->producers[i].crowd = crowd;
        crowd->producers[i].id = i;
        assert_int_equal(
            thread_start(&crowd->producers[i].thread, "producer", produce, &crowd->producers[i]),
            OK);
    }
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        assert_int_equal(thread_join(&crowd->producers[i].thread), OK);
    }
    queue_close(&crowd->queue);
    uint64_t taken = 0;
    for (uint32_t i = 0; i < CONSUMERS; i++) {
        assert_int_equal(thread_join(&crowd->consumers[i].thread), OK);
        assert_int_equal(crowd->consumers[i].out_of_order, 0);
        taken += crowd->consumers[i].taken;
    }
    assert_int_equal(taken, TOTAL_ITEMS);
    for (uint32_t i = 0; i < TOTAL_ITEMS; i++) {
        assert_int_equal(crowd->items[i / ITEMS][i % ITEMS].taken, 1);
    }
    queue_fini(&crowd->queue);
    mem_free(&crowd);
}

static void each_item_is_taken_once_and_in_order(void **state) {
    (void)state;
    const size_t caps[] = {1, 2, 7, 1000};
    for (size_t i = 0; i < 4; i++) {
        run_crowd(caps[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_is_first_out),
        cmocka_unit_test(a_full_or_empty_queue_times_out),
        cmocka_unit_test(a_closed_queue_gives_what_is_left),
        cmocka_unit_test(no_memory_is_reported),
        cmocka_unit_test(closing_wakes_all_who_wait),
        cmocka_unit_test(an_item_wakes_one_who_waits),
        cmocka_unit_test(each_item_is_taken_once_and_in_order),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
