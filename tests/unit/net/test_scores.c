/* Unit tests of common/net/scores.h: both frames there and back, and what is refused. */
#include "common/net/scores.h"

#include <math.h>

#include "common/base/rng.h"
#include "common/data/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define N 50u

static void sample_scores(struct score *s) {
    static const uint8_t labels[] = {0, LABEL_CLICK, LABEL_CLICK | LABEL_CONVERSION};
    for (uint32_t i = 0; i < N; i++) {
        s[i] = (struct score){.weight = 1,
                              .impression_id = rng_u64(1, i, 0),
                              .user = rng_u64(1, i, 1),
                              .a = (float)rng_normal(1, i, 2),
                              .b = (float)rng_normal(1, i, 3),
                              .labels = labels[i % 3]};
    }
}

static void scores_there_and_back(void **state) {
    (void)state;
    struct score in[N], out[N];
    struct buf frame = BUF_EMPTY;
    sample_scores(in);
    in[3].a = INFINITY; /* a diverged model is told as it is */
    assert_int_equal(wire_scores_pack(in, N, &frame), OK);
    assert_int_equal(frame.len, N * WIRE_SCORE_BYTES);
    assert_int_equal(wire_scores_unpack(frame.data, frame.len, N, out), OK);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(out[i].weight == 1);
        assert_true(in[i].impression_id == out[i].impression_id && in[i].user == out[i].user);
        assert_true(in[i].a == out[i].a && in[i].b == out[i].b && in[i].labels == out[i].labels);
    }
    assert_int_equal(wire_scores_unpack(NULL, 0, 0, out), OK);
    buf_fini(&frame);
}

/* Rows are longer only where an impression counts other than 1. */
static void weights_there_and_back(void **state) {
    (void)state;
    struct score in[N], out[N];
    struct buf frame = BUF_EMPTY;
    const float bad[] = {-1, NAN, INFINITY};
    sample_scores(in);
    in[0].weight = 0;
    in[N - 1].weight = 2.5f;
    assert_int_equal(wire_scores_pack(in, N, &frame), OK);
    assert_int_equal(frame.len, N * WIRE_SCORE_WEIGHED_BYTES);
    assert_int_equal(wire_scores_unpack(frame.data, frame.len, N, out), OK);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(in[i].impression_id == out[i].impression_id && in[i].user == out[i].user);
        assert_true(in[i].a == out[i].a && in[i].b == out[i].b && in[i].labels == out[i].labels);
        assert_true(in[i].weight == out[i].weight);
    }
    for (size_t k = 0; k < 3; k++) {
        memcpy(frame.data + 4 * WIRE_SCORE_WEIGHED_BYTES + 25, &bad[k], 4);
        assert_int_equal(wire_scores_unpack(frame.data, frame.len, N, out), ERR_PROTOCOL);
        assert_non_null(strstr(fail_text(), "score 4"));
    }
    buf_fini(&frame);
}

static void bad_scores_are_refused(void **state) {
    (void)state;
    struct score in[N], out[N];
    struct buf frame = BUF_EMPTY;
    sample_scores(in);
    assert_int_equal(wire_scores_pack(in, N, &frame), OK);
    assert_int_equal(wire_scores_unpack(frame.data, frame.len - 1, N, out), ERR_PROTOCOL);
    assert_int_equal(wire_scores_unpack(frame.data, frame.len, N - 1, out), ERR_PROTOCOL);
    assert_int_equal(wire_scores_unpack(frame.data, 0, SIZE_MAX / WIRE_SCORE_BYTES + 1, out),
                     ERR_PROTOCOL);
    for (uint32_t bits = 0; bits < 256; bits++) {
        frame.data[24] = (uint8_t)bits;
        bool good = bits == 0 || bits == LABEL_CLICK || bits == (LABEL_CLICK | LABEL_CONVERSION);
        assert_int_equal(wire_scores_unpack(frame.data, frame.len, N, out),
                         good ? OK : ERR_PROTOCOL);
    }
    frame.data[24] = 0;
    const float nan = NAN;
    memcpy(frame.data + 7 * WIRE_SCORE_BYTES + 20, &nan, 4);
    assert_int_equal(wire_scores_unpack(frame.data, frame.len, N, out), ERR_PROTOCOL);
    assert_non_null(strstr(fail_text(), "score 7"));
    buf_fini(&frame);
}

static struct metric_bins a, b, a2, b2;

static void bins_there_and_back(void **state) {
    (void)state;
    for (uint32_t round = 0; round < 4; round++) {
        struct buf frame = BUF_EMPTY;
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        for (uint32_t i = 0; i < round * 1000; i++) {
            metric_bins_add(&a, (float)(6 * rng_normal(round, i, 0)), i % 3 == 0);
            metric_bins_add(&b, (float)rng_normal(round, i, 1) - 9, i % 50 == 0);
        }
        a.positive[0] = round;
        a.negative[METRIC_BINS - 1] = round == 0 ? 0 : UINT32_MAX;
        assert_int_equal(wire_bins_pack(&a, &b, &frame), OK);
        memset(&a2, 1, sizeof a2);
        memset(&b2, 1, sizeof b2);
        assert_int_equal(wire_bins_unpack(frame.data, frame.len, &a2, &b2), OK);
        assert_memory_equal(&a, &a2, sizeof a);
        assert_memory_equal(&b, &b2, sizeof b);
        for (size_t n = 0; n < frame.len; n += 1 + frame.len / 200) {
            assert_int_equal(wire_bins_unpack(frame.data, n, &a2, &b2), ERR_PROTOCOL);
        }
        assert_int_equal(buf_put_u8(&frame, 0), OK);
        assert_int_equal(wire_bins_unpack(frame.data, frame.len, &a2, &b2), ERR_PROTOCOL);
        buf_fini(&frame);
    }
}

static void bins_outside_the_table_are_refused(void **state) {
    (void)state;
    const uint64_t gaps[][2] = {{0, 1}, {METRIC_BINS + 1, 1}, {UINT64_MAX, 1}, {METRIC_BINS, 2}};
    for (size_t k = 0; k < 4; k++) {
        struct buf frame = BUF_EMPTY;
        buf_put_varint(&frame, gaps[k][1]);
        for (uint64_t i = 0; i < gaps[k][1]; i++) {
            buf_put_varint(&frame, i == 0 ? gaps[k][0] : 1);
            buf_put_varint(&frame, 1);
            buf_put_varint(&frame, 1);
        }
        buf_put_varint(&frame, 0);
        assert_int_equal(wire_bins_unpack(frame.data, frame.len, &a, &b), ERR_PROTOCOL);
        buf_fini(&frame);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_there_and_back),
        cmocka_unit_test(weights_there_and_back),
        cmocka_unit_test(bad_scores_are_refused),
        cmocka_unit_test(bins_there_and_back),
        cmocka_unit_test(bins_outside_the_table_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
