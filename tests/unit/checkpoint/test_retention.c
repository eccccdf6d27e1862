/* Unit tests of common/checkpoint/retention.h: each rule by itself, and all of them against a slow
 * reading of the definition. */
#include "common/checkpoint/retention.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MAX 40u

static struct retention_item items[MAX];
static size_t count;

static void add(uint64_t step, double hours) {
    items[count++] = (struct retention_item){
        .step = step, .saved_at = 1.8e9 + hours * 3600, .cut = step, .figure = NAN};
}

/* The steps that stay, each with its bits. */
static void stay(struct retention r, uint64_t published, const char *want) {
    char got[512] = "";
    retention_decide(&r, published, items, count);
    for (size_t i = 0; i < count; i++) {
        if (items[i].kept != 0) {
            snprintf(got + strlen(got), sizeof got - strlen(got), "%llu:%u ",
                     (unsigned long long)items[i].step, items[i].kept);
        }
    }
    assert_string_equal(got, want);
}

static int clear(void **state) {
    (void)state;
    count = 0;
    return 0;
}

static void the_newest(void **state) {
    (void)state;
    stay((struct retention){.newest = 2}, 0, "");
    add(10, 0);
    add(20, 1);
    add(30, 2);
    stay((struct retention){.newest = 2}, 30, "20:1 30:1 ");
    stay((struct retention){.newest = 9}, 30, "10:1 20:1 30:1 ");
    stay((struct retention){.newest = 1}, 10, "10:1 30:1 "); /* a job that went back to 10 */
}

static void hours_and_days(void **state) {
    (void)state;
    add(1, 0.1); /* 1.8e9 is 8:00 on a day */
    add(2, 0.2);
    add(3, 1.5);
    add(4, 1.9);
    add(5, 20.0);
    add(6, 50.0);
    add(7, 50.5);
    stay((struct retention){.newest = 1, .hourly = 2}, 7, "5:2 7:3 ");
    stay((struct retention){.newest = 1, .hourly = 4}, 7, "2:2 4:2 5:2 7:3 ");
    stay((struct retention){.newest = 1, .daily = 2}, 7, "5:4 7:5 ");
    stay((struct retention){.newest = 1, .daily = 9}, 7, "4:4 5:4 7:5 ");
    stay((struct retention){.newest = 1, .hourly = 1, .daily = 1}, 7, "7:7 ");
}

static void the_best_and_pins(void **state) {
    (void)state;
    add(1, 0);
    add(2, 1);
    add(3, 2);
    add(4, 3);
    items[1].figure = 0.6;
    items[2].figure = 0.6; /* no better */
    items[3].figure = 0.5;
    items[0].pinned = true;
    stay((struct retention){.newest = 1, .best = BEST_CTR}, 4, "1:16 2:8 4:1 ");
    stay((struct retention){.newest = 1}, 4, "1:16 4:1 ");
}

static void bases_of_what_stays(void **state) {
    (void)state;
    for (uint64_t step = 1; step <= 6; step++) {
        add(step, (double)step);
        items[step - 1].base = step == 1 || step == 4 ? 0 : step - 1; /* 1 2 3, 4 5 6 */
    }
    stay((struct retention){.newest = 1}, 6, "4:32 5:32 6:1 ");
    stay((struct retention){.newest = 4}, 6, "1:32 2:32 3:1 4:33 5:33 6:1 ");
    items[5].base = 77; /* gone */
    stay((struct retention){.newest = 1}, 6, "6:1 ");
}

static void in_words(void **state) {
    (void)state;
    char text[96];
    retention_words(KEPT_NEWEST | KEPT_BEST | KEPT_BASE, BEST_CTCVR, text, sizeof text);
    assert_string_equal(text, "newest, best ctcvr, base");
    retention_words(KEPT_HOURLY | KEPT_DAILY | KEPT_PINNED, BEST_OFF, text, sizeof text);
    assert_string_equal(text, "hourly, daily, pinned");
    retention_words(0, BEST_OFF, text, sizeof text);
    assert_string_equal(text, "");
}

/* --- against the definition ------------------------------------------------------------------- */

static bool later(const struct retention_item *a, const struct retention_item *b) {
    return a->saved_at > b->saved_at || (a->saved_at == b->saved_at && a->step > b->step);
}

/* Whether x is the last of its period, and fewer than n later periods have one. */
static bool of_period(const struct retention_item *x, double seconds, uint32_t n) {
    const double mine = floor(x->saved_at / seconds);
    uint32_t newer = 0;
    for (size_t i = 0; i < count; i++) {
        const double p = floor(items[i].saved_at / seconds);
        bool first = p > mine;
        if (p == mine && later(&items[i], x)) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            first = first && floor(items[k].saved_at / seconds) != p;
        }
        newer += first;
    }
    return newer < n;
}

static uint32_t expected(const struct retention *r, const struct retention_item *x,
                         uint64_t published) {
    uint32_t newer = 0;
    bool best = !isnan(x->figure);
    for (size_t i = 0; i < count; i++) {
        newer += items[i].step > x->step;
        best = best && !(items[i].figure > x->figure) &&
               !(items[i].figure == x->figure && items[i].step < x->step);
    }
    return (newer < r->newest || x->step == published ? KEPT_NEWEST : 0) |
           (of_period(x, 3600, r->hourly) ? KEPT_HOURLY : 0) |
           (of_period(x, 86400, r->daily) ? KEPT_DAILY : 0) |
           (best && r->best != BEST_OFF ? KEPT_BEST : 0) | (x->pinned ? KEPT_PINNED : 0);
}

static void as_defined(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        count = 0;
        const uint64_t n = 1 + rng_below(seed, 1, 0, MAX);
        for (uint64_t step = 1; step <= n; step++) { /* the clock may go back a little */
            add(step, (double)step * (double)rng_below(seed, 2, 0, 8) / 2 -
                          (double)rng_below(seed, step, 1, 3));
            items[step - 1].figure =
                rng_below(seed, step, 2, 2) == 0 ? NAN : (double)rng_below(seed, step, 3, 5);
            items[step - 1].pinned = rng_below(seed, step, 4, 10) == 0;
        }
        const struct retention r = {.newest = 1 + (uint32_t)rng_below(seed, 3, 0, 5),
                                    .hourly = (uint32_t)rng_below(seed, 4, 0, 6),
                                    .daily = (uint32_t)rng_below(seed, 5, 0, 4),
                                    .best = rng_below(seed, 6, 0, 2) == 0 ? BEST_OFF : BEST_CTR};
        const uint64_t published = 1 + rng_below(seed, 7, 0, n);
        retention_decide(&r, published, items, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(items[i].step, i + 1);
            assert_int_equal(items[i].kept, expected(&r, &items[i], published));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(the_newest, clear),
                                       cmocka_unit_test_setup(hours_and_days, clear),
                                       cmocka_unit_test_setup(the_best_and_pins, clear),
                                       cmocka_unit_test_setup(bases_of_what_stays, clear),
                                       cmocka_unit_test(in_words),
                                       cmocka_unit_test(as_defined)};
    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
