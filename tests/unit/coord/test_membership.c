/* Unit tests of coord/membership.h. */
#include "coord/membership.h"

#include <stdio.h>

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define REPLACE_MS 3000u
#define LOST_MS    10000u

static struct membership members(void) {
    struct membership m;
    assert_int_equal(membership_init(&m, 2, 2, REPLACE_MS, LOST_MS, "1.0"), OK);
    return m;
}

static struct wire_hello hello_of(enum wire_role role, uint32_t index, uint64_t incarnation) {
    struct wire_hello h = {.role = role, .index = index, .pid = 7, .incarnation = incarnation};
    snprintf(h.build, sizeof h.build, "1.0");
    snprintf(h.host, sizeof h.host, "box");
    return h;
}

static enum hello_verdict say(struct membership *m, enum wire_role role, uint32_t index,
                              uint64_t incarnation, uint64_t now_ms, bool *fresh, char *why) {
    static const char endpoints[] = "ipc://a\0ipc://b"; /* two strings, each with its NUL */
    struct wire_hello h = hello_of(role, index, incarnation);
    bool server = role == ROLE_SERVER;
    return membership_hello(m, &h, server ? endpoints : NULL, server ? sizeof endpoints : 0, now_ms,
                            fresh, why);
}

static void beat(struct membership *m, enum wire_role role, uint32_t index, uint64_t incarnation,
                 uint64_t now_ms) {
    struct member *x = membership_heard(m, role, index, incarnation, now_ms);
    assert_non_null(x);
    struct wire_heartbeat b = {.role = role, .index = index};
    membership_beat(x, &b);
}

static void a_job_gathers(void **state) {
    (void)state;
    struct membership m = members();
    char text[512];
    bool fresh;
    membership_missing(&m, text, sizeof text);
    assert_string_equal(text, "server 0 (not heard of), server 1 (not heard of), "
                              "worker 0 (not heard of), worker 1 (not heard of)");
    assert_int_equal(say(&m, ROLE_SERVER, 0, 1, 0, &fresh, text), HELLO_WELCOME);
    assert_true(fresh);
    assert_int_equal(say(&m, ROLE_SERVER, 0, 1, 5, &fresh, text), HELLO_WELCOME);
    assert_false(fresh);
    assert_false(membership_servers_known(&m));
    assert_int_equal(say(&m, ROLE_SERVER, 1, 2, 5, &fresh, text), HELLO_WELCOME);
    assert_true(membership_servers_known(&m));
    assert_int_equal(say(&m, ROLE_WORKER, 0, 3, 5, &fresh, text), HELLO_WELCOME);
    assert_int_equal(say(&m, ROLE_WORKER, 1, 4, 5, &fresh, text), HELLO_WELCOME);
    beat(&m, ROLE_SERVER, 0, 1, 6);
    assert_false(membership_servers_serving(&m));
    membership_missing(&m, text, sizeof text);
    assert_string_equal(text, "server 1 (not serving yet)");
    beat(&m, ROLE_SERVER, 1, 2, 6);
    assert_true(membership_complete(&m));
    membership_fini(&m);
}

static void partitions_are_numbered_by_server(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    uint32_t first, count;
    struct wire_hello h = hello_of(ROLE_SERVER, 1, 9);
    assert_int_equal(membership_hello(&m, &h, "tcp://x:1", 10, 0, &fresh, why), HELLO_WELCOME);
    assert_int_equal(say(&m, ROLE_SERVER, 0, 1, 0, &fresh, why), HELLO_WELCOME);
    assert_int_equal(membership_partitions(&m), 3);
    membership_partition_range(&m, 1, &first, &count);
    assert_int_equal(first, 2);
    assert_int_equal(count, 1);
    char(*list)[WIRE_ENDPOINT_MAX] = NULL;
    assert_int_equal(membership_endpoints(&m, &list, &count), OK);
    assert_int_equal(count, 3);
    assert_string_equal(list[0], "ipc://a");
    assert_string_equal(list[1], "ipc://b");
    assert_string_equal(list[2], "tcp://x:1");
    mem_free(&list);
    membership_fini(&m);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX], longer[WIRE_ENDPOINT_MAX + 1];
    bool fresh;
    assert_int_equal(say(&m, ROLE_WORKER, 2, 1, 0, &fresh, why), HELLO_REFUSE);
    assert_string_equal(why, "worker 2 is not part of this job of 2 servers and 2 workers");
    struct wire_hello h = hello_of(ROLE_WORKER, 0, 1);
    snprintf(h.build, sizeof h.build, "0.9");
    assert_int_equal(membership_hello(&m, &h, NULL, 0, 0, &fresh, why), HELLO_REFUSE);
    assert_string_equal(why, "worker 0 runs version 0.9, the coordinator runs 1.0");
    h = hello_of(ROLE_SERVER, 0, 1);
    assert_int_equal(membership_hello(&m, &h, NULL, 0, 0, &fresh, why), HELLO_REFUSE);
    assert_int_equal(membership_hello(&m, &h, "a\0\0b", 4, 0, &fresh, why), HELLO_REFUSE);
    memset(longer, 'x', sizeof longer);
    assert_int_equal(membership_hello(&m, &h, longer, sizeof longer, 0, &fresh, why), HELLO_REFUSE);
    h = hello_of((enum wire_role)0, 0, 1);
    assert_int_equal(membership_hello(&m, &h, NULL, 0, 0, &fresh, why), HELLO_REFUSE);
    membership_fini(&m);
}

static void a_second_process_is_refused(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    say(&m, ROLE_WORKER, 0, 1, 0, &fresh, why);
    beat(&m, ROLE_WORKER, 0, 1, 100);
    assert_int_equal(say(&m, ROLE_WORKER, 0, 2, 200, &fresh, why), HELLO_WAIT);
    beat(&m, ROLE_WORKER, 0, 1, 900);
    assert_int_equal(say(&m, ROLE_WORKER, 0, 2, 1000, &fresh, why), HELLO_WAIT);
    beat(&m, ROLE_WORKER, 0, 1, 1900);
    assert_int_equal(say(&m, ROLE_WORKER, 0, 2, 2000, &fresh, why), HELLO_REFUSE);
    assert_string_equal(why, "worker 0 is already there (host box, pid 7): two processes have the "
                             "same index");
    assert_null(membership_heard(&m, ROLE_WORKER, 0, 2, 2000));
    membership_fini(&m);
}

static void a_successor_is_welcome(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    say(&m, ROLE_WORKER, 0, 1, 0, &fresh, why);
    beat(&m, ROLE_WORKER, 0, 1, 100);
    assert_int_equal(say(&m, ROLE_WORKER, 0, 2, 200, &fresh, why), HELLO_WAIT);
    assert_int_equal(say(&m, ROLE_WORKER, 0, 2, 100 + REPLACE_MS - 1, &fresh, why), HELLO_WAIT);
    assert_int_equal(say(&m, ROLE_WORKER, 0, 2, 100 + REPLACE_MS, &fresh, why), HELLO_WELCOME);
    assert_true(fresh);
    assert_null(membership_heard(&m, ROLE_WORKER, 0, 1, 4000));
    assert_non_null(membership_heard(&m, ROLE_WORKER, 0, 2, 4000));
    membership_fini(&m);
}

/* However long the holder has been silent: its last words may still be on their way. */
static void a_successor_waits_for_last_words(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    say(&m, ROLE_SERVER, 0, 1, 0, &fresh, why);
    assert_int_equal(say(&m, ROLE_SERVER, 0, 2, 9000, &fresh, why), HELLO_WAIT);
    assert_int_equal(say(&m, ROLE_SERVER, 0, 2, 9000 + REPLACE_MS / 3 - 1, &fresh, why),
                     HELLO_WAIT);
    beat(&m, ROLE_SERVER, 0, 1, 9000 + REPLACE_MS / 3 - 1);
    assert_int_equal(say(&m, ROLE_SERVER, 0, 2, 9000 + REPLACE_MS / 3, &fresh, why), HELLO_WAIT);
    assert_int_equal(say(&m, ROLE_SERVER, 0, 2, 9000 + 4 * REPLACE_MS / 3, &fresh, why),
                     HELLO_WELCOME);
    assert_true(fresh);
    membership_fini(&m);
}

static void a_new_life_gathers_again(void **state) {
    (void)state;
    struct membership m = members();
    char text[512];
    bool fresh;
    for (uint32_t i = 0; i < 2; i++) {
        say(&m, ROLE_SERVER, i, 1 + i, 0, &fresh, text);
        beat(&m, ROLE_SERVER, i, 1 + i, 0);
        say(&m, ROLE_WORKER, i, 3 + i, 0, &fresh, text);
        beat(&m, ROLE_WORKER, i, 3 + i, 0);
    }
    assert_true(membership_complete(&m));
    assert_int_equal(membership_next_lost_server(&m, 5001, 5000)->index, 0);
    assert_int_equal(membership_next_lost_server(&m, 5001, 5000)->index, 1);
    membership_heard(&m, ROLE_SERVER, 1, 2, 5002); /* it was only slow */
    membership_new_life(&m);
    assert_false(membership_servers_known(&m));
    assert_int_equal(membership_workers_alive(&m), 0);
    membership_missing(&m, text, sizeof text);
    assert_string_equal(text, "server 0 (lost), server 1 (not back yet), worker 0 (not back yet), "
                              "worker 1 (not back yet)");
    assert_int_equal(say(&m, ROLE_SERVER, 0, 9, 5003, &fresh, text), HELLO_WELCOME);
    assert_true(fresh);
    assert_int_equal(say(&m, ROLE_SERVER, 1, 2, 5003, &fresh, text), HELLO_WELCOME);
    assert_false(fresh);
    assert_true(membership_servers_known(&m));
    assert_false(membership_servers_serving(&m));
    struct wire_heartbeat restores = {.role = ROLE_SERVER, .reading = true};
    membership_beat(membership_heard(&m, ROLE_SERVER, 0, 9, 9000), &restores);
    beat(&m, ROLE_SERVER, 1, 2, 9000);
    assert_false(membership_servers_serving(&m));
    assert_null(membership_next_lost_server(&m, 14000, 5000)); /* who restores beats */
    beat(&m, ROLE_SERVER, 0, 9, 9001);
    assert_true(membership_servers_serving(&m));
    assert_int_equal(say(&m, ROLE_WORKER, 1, 4, 9002, &fresh, text), HELLO_WELCOME);
    assert_int_equal(membership_workers_alive(&m), 1);
    membership_fini(&m);
}

static void silence_and_failure(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    say(&m, ROLE_WORKER, 0, 1, 0, &fresh, why);
    say(&m, ROLE_WORKER, 1, 2, 0, &fresh, why);
    say(&m, ROLE_SERVER, 0, 3, 0, &fresh, why);
    beat(&m, ROLE_SERVER, 0, 3, 100);
    assert_null(membership_next_lost_server(&m, 5100, 5000));
    assert_int_equal(membership_next_lost_server(&m, 5101, 5000)->index, 0);
    assert_null(membership_next_lost_server(&m, 5101, 5000));
    assert_null(membership_next_lost(&m, LOST_MS));
    beat(&m, ROLE_WORKER, 1, 2, 5000);
    struct member *lost = membership_next_lost(&m, LOST_MS + 1);
    assert_int_equal(lost->index, 0);
    assert_null(membership_next_lost(&m, LOST_MS + 1));
    assert_int_equal(membership_workers_alive(&m), 1);
    beat(&m, ROLE_WORKER, 0, 1, LOST_MS + 2); /* it was only slow */
    assert_int_equal(membership_workers_alive(&m), 2);
    struct wire_heartbeat b = {.failing = true};
    snprintf(b.text, sizeof b.text, "disk on fire");
    membership_beat(membership_heard(&m, ROLE_WORKER, 1, 2, LOST_MS + 3), &b);
    lost = membership_next_lost(&m, LOST_MS + 3);
    assert_int_equal(lost->index, 1);
    assert_string_equal(lost->text, "disk on fire");
    beat(&m, ROLE_WORKER, 1, 2, LOST_MS + 4); /* no way back for the same process */
    assert_int_equal(membership_workers_alive(&m), 1);
    assert_int_equal(say(&m, ROLE_WORKER, 1, 8, LOST_MS + 5, &fresh, why), HELLO_WELCOME);
    assert_int_equal(membership_workers_alive(&m), 2);
    membership_beat(membership_heard(&m, ROLE_SERVER, 0, 3, LOST_MS + 6), &b);
    assert_true(membership_next_lost_server(&m, LOST_MS + 6, 5000)->failing);
    assert_null(membership_next_lost_server(&m, LOST_MS + 6, 5000));
    assert_int_equal(say(&m, ROLE_SERVER, 0, 4, LOST_MS + 7, &fresh, why), HELLO_WELCOME);
    membership_fini(&m);
}

/* A worker that was told to end keeps its place until it goes; then another may have it at once. */
static void one_that_leaves(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    say(&m, ROLE_WORKER, 1, 2, 0, &fresh, why);
    struct wire_heartbeat b = {.leaving = true};
    struct member *w = membership_heard(&m, ROLE_WORKER, 1, 2, 100);
    membership_beat(w, &b);
    assert_true(w->leaving);
    assert_null(membership_next_lost(&m, 100));
    b.failing = true;
    snprintf(b.text, sizeof b.text, "stop signal 15");
    membership_beat(membership_heard(&m, ROLE_WORKER, 1, 2, 200), &b);
    assert_ptr_equal(membership_next_lost(&m, 200), w);
    member_describe_loss(w, 200, why, sizeof why);
    assert_string_equal(why, "worker 1 (host box, pid 7) left: stop signal 15");
    assert_int_equal(say(&m, ROLE_WORKER, 1, 3, 200, &fresh, why), HELLO_WELCOME);
    assert_false(w->leaving || w->failing);
    member_describe_loss(w, 5200, why, sizeof why);
    assert_string_equal(why, "worker 1 (host box, pid 7) has been silent for 5000 ms");
    membership_fini(&m);
}

/* A worker that names no place gets one that nobody waits for, or whose worker has left. */
static void places_for_those_who_join(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    assert_int_equal(membership_place(&m, 9), WIRE_INDEX_ANY);
    assert_int_equal(say(&m, ROLE_WORKER, WIRE_INDEX_ANY, 9, 0, &fresh, why), HELLO_REFUSE);
    assert_string_equal(why, "all 2 places for workers are taken (--workers-max)");
    assert_int_equal(membership_room(&m, 1), OK); /* fewer than there are */
    assert_int_equal(m.workers, 2);
    assert_int_equal(membership_room(&m, 4), OK);
    assert_int_equal(membership_place(&m, 9), 2); /* 0 and 1 are awaited */
    assert_int_equal(say(&m, ROLE_WORKER, 2, 9, 0, &fresh, why), HELLO_WELCOME);
    assert_int_equal(membership_place(&m, 9), 2); /* it asks again */
    assert_int_equal(membership_place(&m, 10), 3);
    say(&m, ROLE_SERVER, 0, 1, 0, &fresh, why);
    say(&m, ROLE_SERVER, 1, 2, 0, &fresh, why);
    beat(&m, ROLE_SERVER, 0, 1, 0);
    beat(&m, ROLE_SERVER, 1, 2, 0);
    assert_false(membership_complete(&m));
    say(&m, ROLE_WORKER, 0, 3, 0, &fresh, why);
    say(&m, ROLE_WORKER, 1, 4, 0, &fresh, why);
    assert_true(membership_complete(&m)); /* with nobody in the last place */
    assert_int_equal(membership_workers_alive(&m), 3);
    say(&m, ROLE_WORKER, 3, 10, 0, &fresh, why);
    assert_int_equal(membership_place(&m, 11), WIRE_INDEX_ANY);
    struct wire_heartbeat b = {.failing = true};
    membership_beat(membership_heard(&m, ROLE_WORKER, 0, 3, 10), &b);
    assert_non_null(membership_next_lost(&m, 10));
    assert_int_equal(membership_place(&m, 11), WIRE_INDEX_ANY); /* it may be started again */
    b.leaving = true;
    membership_beat(membership_heard(&m, ROLE_WORKER, 1, 4, 10), &b);
    assert_non_null(membership_next_lost(&m, 10));
    assert_int_equal(membership_place(&m, 11), 1);
    assert_false(membership_all_left(&m));
    membership_beat(membership_heard(&m, ROLE_WORKER, 2, 9, 20), &b);
    membership_beat(membership_heard(&m, ROLE_WORKER, 3, 10, 20), &b);
    while (membership_next_lost(&m, 20) != NULL) {
    }
    assert_false(membership_all_left(&m)); /* one of them has failed */
    say(&m, ROLE_WORKER, 0, 12, 20, &fresh, why);
    membership_beat(membership_heard(&m, ROLE_WORKER, 0, 12, 20), &b);
    assert_non_null(membership_next_lost(&m, 20));
    assert_true(membership_all_left(&m));
    membership_fini(&m);
}

static void everybody_is_told(void **state) {
    (void)state;
    struct membership m = members();
    char why[WIRE_TEXT_MAX];
    bool fresh;
    assert_true(membership_all_told(&m));
    say(&m, ROLE_WORKER, 0, 1, 0, &fresh, why);
    say(&m, ROLE_WORKER, 1, 2, 0, &fresh, why);
    assert_false(membership_all_told(&m));
    m.worker[0].told_stop = true;
    m.worker[1].failing = true;
    assert_true(membership_all_told(&m));
    membership_fini(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_gathers),
        cmocka_unit_test(partitions_are_numbered_by_server),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_second_process_is_refused),
        cmocka_unit_test(a_successor_is_welcome),
        cmocka_unit_test(a_successor_waits_for_last_words),
        cmocka_unit_test(a_new_life_gathers_again),
        cmocka_unit_test(silence_and_failure),
        cmocka_unit_test(one_that_leaves),
        cmocka_unit_test(places_for_those_who_join),
        cmocka_unit_test(everybody_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
