/* Unit tests of coord/cut.h. */
#include "coord/cut.h"

#include <stdio.h>

#include "common/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PARTS 3u
static const uint32_t plan[] = {4, 4};

static struct wire_part_done part_of(uint32_t partition, uint64_t cut) {
    struct wire_part_done d = {.partition = partition,
                               .cut = cut,
                               .ok = true,
                               .bucket_begin = BUCKETS * partition / PARTS,
                               .bucket_end = BUCKETS * (partition + 1) / PARTS,
                               .bytes = 100 + partition,
                               .checksum = 7,
                               .rows = 5,
                               .version = 9};
    snprintf(d.name, sizeof d.name, "part-%05u-of-%05u.bin", partition, PARTS);
    return d;
}

/* A part that has the batches of shard 0 given as bits. */
static void report(struct cut *c, const struct wire_part_done *d, uint32_t bits) {
    struct applied *a = NULL;
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(applied_create(&a, plan, 2), OK);
    for (uint32_t k = 0; k < 4; k++) {
        if ((bits >> k & 1) != 0) {
            assert_int_equal(applied_add(a, (struct batch_name){0, 0, k}), OK);
        }
    }
    assert_int_equal(applied_encode(a, &bytes), OK);
    cut_part(c, d, bytes.data, bytes.len, plan, 2);
    buf_fini(&bytes);
    applied_destroy(&a);
}

static void all_parts_make_a_checkpoint(void **state) {
    (void)state;
    struct cut c;
    assert_int_equal(cut_init(&c, PARTS, false), OK);
    assert_false(cut_wants(&c, 0, PARTS));
    assert_false(cut_over(&c, 0));
    cut_begin(&c, "/x/cut", 10, 1000);
    assert_int_equal(c.number, 1);
    assert_true(cut_wants(&c, 0, 1));
    const uint32_t bits[PARTS] = {7, 6, 15};
    for (uint32_t p = 0; p < PARTS; p++) {
        struct wire_part_done d = part_of(p, 1);
        assert_false(cut_over(&c, 20));
        report(&c, &d, bits[p]);
        report(&c, &d, 0); /* repeated: ignored */
    }
    assert_false(cut_wants(&c, 0, PARTS));
    assert_true(cut_over(&c, 20));
    assert_false(c.failed);
    assert_int_equal(applied_count(c.applied), 2); /* batches 1 and 2 */
    bool has;
    applied_has(c.applied, (struct batch_name){0, 0, 0}, &has);
    assert_false(has);
    assert_int_equal(c.part[1].bytes, 101);
    assert_string_equal(c.part[2].name, "part-00002-of-00003.bin");
    cut_end(&c);
    assert_false(cut_over(&c, 20));
    cut_fini(&c);
}

static void a_failed_part_fails_it_when_all_are_in(void **state) {
    (void)state;
    struct cut c;
    assert_int_equal(cut_init(&c, PARTS, false), OK);
    cut_begin(&c, "/x", 0, 1000);
    struct wire_part_done d = part_of(1, 1);
    d.ok = false;
    snprintf(d.text, sizeof d.text, "fsync: no space left");
    report(&c, &d, 0);
    assert_false(cut_over(&c, 1)); /* the others still write */
    assert_true(cut_wants(&c, 0, 1));
    d = part_of(0, 1);
    report(&c, &d, 1);
    d = part_of(2, 1);
    report(&c, &d, 1);
    assert_true(cut_over(&c, 1));
    assert_true(c.failed);
    assert_string_equal(c.text, "partition 1: fsync: no space left");
    cut_begin(&c, "/x", 2, 1000); /* the next one is a new start */
    assert_false(c.failed);
    assert_int_equal(c.number, 2);
    d = part_of(0, 1); /* of the cut before */
    report(&c, &d, 1);
    assert_int_equal(c.reports, 0);
    cut_fini(&c);
}

static void a_cut_has_a_deadline(void **state) {
    (void)state;
    struct cut c;
    assert_int_equal(cut_init(&c, PARTS, false), OK);
    cut_begin(&c, "/x", 0, 5000);
    struct wire_part_done d = part_of(0, 1);
    report(&c, &d, 1);
    assert_false(cut_over(&c, 4999));
    assert_true(cut_over(&c, 5000));
    assert_true(c.failed);
    assert_string_equal(c.text,
                        "partition 1 has not written its part after 5 s (1 of 3 parts are in)");
    cut_fini(&c);
}

static void odd_parts_fail_the_cut(void **state) {
    (void)state;
    struct cut c;
    assert_int_equal(cut_init(&c, PARTS, false), OK);
    struct wire_part_done d = part_of(0, 1);
    cut_begin(&c, "/x", 0, 5000);
    d.bucket_end--;
    report(&c, &d, 1);
    assert_true(c.failed);
    d = part_of(0, 2);
    cut_begin(&c, "/x", 0, 5000);
    snprintf(d.name, sizeof d.name, "../part");
    report(&c, &d, 1);
    assert_true(c.failed);
    d = part_of(0, 3);
    cut_begin(&c, "/x", 0, 5000);
    memset(d.name, 'p', sizeof d.name);
    report(&c, &d, 1);
    assert_true(c.failed);
    d = part_of(0, 4);
    cut_begin(&c, "/x", 0, 5000);
    cut_part(&c, &d, "nonsense", 8, plan, 2);
    assert_true(c.failed);
    d = part_of(PARTS, 5);
    cut_begin(&c, "/x", 0, 5000);
    report(&c, &d, 1);
    assert_int_equal(c.reports, 0);
    cut_fini(&c);
}

/* The names of a stream's first batch, by a partition that knows of `shards` shards, or a closed
 * set. */
static void event_log_of_stream(struct cut *c, uint32_t partition, const uint32_t *batches,
                                uint32_t shards, bool closed) {
    const struct wire_part_done d = part_of(partition, c->number);
    struct applied *a = NULL;
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(closed ? applied_create(&a, batches, shards) : applied_create_open(&a), OK);
    for (uint32_t s = 0; s < shards && !closed; s++) {
        assert_int_equal(batches[s] == 0 ? OK : applied_grow(a, s, batches[s]), OK);
    }
    assert_int_equal(applied_add(a, (struct batch_name){0, 0, 1}), OK);
    assert_int_equal(applied_encode(a, &bytes), OK);
    cut_part(c, &d, bytes.data, bytes.len, batches, shards);
    buf_fini(&bytes);
    applied_destroy(&a);
}

/* The plan of a stream grows between two reports, also by a shard of which the model trains
 * nothing. */
static void a_stream_grows_between_reports(void **state) {
    (void)state;
    const uint32_t batches[] = {4, 0, 3};
    struct cut c;
    assert_int_equal(cut_init(&c, PARTS, true), OK);
    cut_begin(&c, "/x", 0, 1000);
    for (uint32_t p = 0; p < PARTS; p++) {
        event_log_of_stream(&c, p, batches, p + 1, false);
    }
    assert_true(cut_over(&c, 1));
    if (c.failed) {
        print_error("%s\n", c.text);
    }
    assert_false(c.failed);
    assert_int_equal(applied_count(c.applied), 1);
    cut_fini(&c);
}

/* What a peer sends is no reason to end: the cut has failed, whichever report comes first. */
static void a_set_of_another_kind_fails_the_cut(void **state) {
    (void)state;
    const uint32_t batches[] = {4, 0, 3};
    for (uint32_t odd = 0; odd < PARTS; odd++) {
        struct cut c;
        assert_int_equal(cut_init(&c, PARTS, true), OK);
        cut_begin(&c, "/x", 0, 1000);
        for (uint32_t p = 0; p < PARTS; p++) {
            event_log_of_stream(&c, p, batches, 3, p == odd);
        }
        assert_true(cut_over(&c, 1));
        assert_true(c.failed);
        assert_non_null(strstr(c.text, "a fixed data set in a job on a stream"));
        cut_fini(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_make_a_checkpoint),
        cmocka_unit_test(a_failed_part_fails_it_when_all_are_in),
        cmocka_unit_test(a_cut_has_a_deadline),
        cmocka_unit_test(odd_parts_fail_the_cut),
        cmocka_unit_test(a_stream_grows_between_reports),
        cmocka_unit_test(a_set_of_another_kind_fails_the_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
