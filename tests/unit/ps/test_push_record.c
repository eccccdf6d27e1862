#include "ps/push_record.h"

#include <string.h>
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SALT 0x1234567890abcdefull

static struct push_choice choices[] = {
    {.call = 1, .refused = true},
    {.call = 2, .evicts = true, .victim = UINT64_MAX},
    {.call = 700, .evicts = true, .refused = true, .victim = 0},
    {.call = UINT32_MAX, .refused = true},
};
static struct push_fence fences[] = {{0, 1}, {77, UINT64_MAX}, {UINT32_MAX, 5}};

static struct push_record a_push(void) {
    return (struct push_record){.kind = PUSH_RECORD_PUSH,
                                .number = 90210,
                                .name = {.epoch = 3, .shard = 1000000, .batch = 15},
                                .fence = 1ull << 40,
                                .shard_batches = 17,
                                .version = 12345678901,
                                .fields = 3,
                                .counts = {2, 0, 400},
                                .keys = "keys",
                                .keys_bytes = 4,
                                .values = VALUE_BF16,
                                .data = "gradients",
                                .data_bytes = 9,
                                .choices = choices,
                                .choice_count = 4};
}

/* The whole record as it lies in a file. */
static void put(const struct push_record *r, struct buf *out) {
    assert_int_equal(push_record_encode(r, SALT, out), OK);
    assert_int_equal(buf_put(out, r->keys, r->keys_bytes), OK);
    assert_int_equal(buf_put(out, r->data, r->data_bytes), OK);
}

static void a_push_comes_back(void **state) {
    (void)state;
    struct buf bytes = BUF_EMPTY;
    struct push_record a = a_push(), b = {0};
    size_t used = 0;
    put(&a, &bytes);
    const size_t length = bytes.len;
    put(&a, &bytes); /* what follows does not matter */
    assert_int_equal(push_record_decode(&b, SALT, bytes.data, bytes.len, &used), OK);
    assert_int_equal(used, length);
    assert_int_equal(b.kind, a.kind);
    assert_int_equal(b.number, a.number);
    assert_memory_equal(&b.name, &a.name, sizeof a.name);
    assert_int_equal(b.fence, a.fence);
    assert_int_equal(b.shard_batches, a.shard_batches);
    assert_int_equal(b.version, a.version);
    assert_int_equal(b.values, a.values);
    assert_int_equal(b.fields, a.fields);
    assert_memory_equal(b.counts, a.counts, sizeof a.counts);
    assert_int_equal(b.keys_bytes, 4);
    assert_memory_equal(b.keys, "keys", 4);
    assert_int_equal(b.data_bytes, 9);
    assert_memory_equal(b.data, "gradients", 9);
    assert_int_equal(b.choice_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(b.choices[i].call, choices[i].call);
        assert_int_equal(b.choices[i].refused, choices[i].refused);
        assert_int_equal(b.choices[i].evicts, choices[i].evicts);
        assert_int_equal(b.choices[i].victim, choices[i].victim);
    }
    push_record_fini(&b);
    buf_fini(&bytes);
}

static void leases_come_back(void **state) {
    (void)state;
    struct buf bytes = BUF_EMPTY;
    const struct push_record a = {
        .kind = PUSH_RECORD_FENCES, .number = 1, .fences = fences, .fence_count = 3};
    struct push_record b = {0};
    size_t used = 0;
    put(&a, &bytes);
    assert_int_equal(push_record_decode(&b, SALT, bytes.data, bytes.len, &used), OK);
    assert_int_equal(used, bytes.len);
    assert_int_equal(b.fence_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(b.fences[i].shard, fences[i].shard);
        assert_int_equal(b.fences[i].fence, fences[i].fence);
    }
    push_record_fini(&b);
    buf_fini(&bytes);
}

/* A beginning of a record asks for more; any changed bit is damage, also in the last record; so is
 * a good record of another file. */
static void beginnings_and_damage_differ(void **state) {
    (void)state;
    struct buf bytes = BUF_EMPTY;
    const struct push_record a = a_push();
    struct push_record b = {0};
    size_t used = 0;
    put(&a, &bytes);
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(push_record_decode(&b, SALT, bytes.data, n, &used), ERR_AGAIN);
        assert_int_equal(used, n < PUSH_RECORD_HEAD_BYTES ? PUSH_RECORD_HEAD_BYTES : bytes.len);
    }
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(push_record_decode(&b, SALT, bytes.data, bytes.len, &used), ERR_CORRUPT);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(push_record_decode(&b, SALT, bytes.data, bytes.len, &used), OK);
    assert_int_equal(push_record_decode(&b, SALT + 1, bytes.data, bytes.len, &used), ERR_CORRUPT);
    push_record_fini(&b);
    buf_fini(&bytes);
}

static void a_segment_says_what_it_belongs_to(void **state) {
    (void)state;
    struct push_log_head a = {.job = 7,
                              .base = 8,
                              .first = 9,
                              .segment = 10,
                              .partition = 11,
                              .partitions = 12,
                              .boot = "c4b4b4c4-0000-1111-2222-333344445555",
                              .endpoint = "tcp://db1:7001",
                              .end = 1ull << 33},
                         b;
    uint8_t bytes[PUSH_LOG_HEAD_BYTES];
    push_log_head_encode(&a, bytes);
    assert_int_equal(push_log_head_decode(&b, bytes, sizeof bytes), OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(push_log_head_decode(&b, bytes, sizeof bytes - 1), ERR_AGAIN);
    push_log_end_encode(a.salt, 777, bytes + PUSH_LOG_END_AT);
    assert_int_equal(push_log_head_decode(&b, bytes, sizeof bytes), OK);
    assert_int_equal(b.end, 777);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(push_log_head_decode(&b, bytes, sizeof bytes), ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_comes_back),
        cmocka_unit_test(leases_come_back),
        cmocka_unit_test(beginnings_and_damage_differ),
        cmocka_unit_test(a_segment_says_what_it_belongs_to),
    };
    return cmocka_run_group_tests_name("push_record", tests, NULL, NULL);
}
