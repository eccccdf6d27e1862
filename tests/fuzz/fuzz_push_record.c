/* Any bytes as the head of a segment of a push log and as the records after it. The checksums
 * would keep nearly all inputs out, so an input whose first byte is odd has those of its first
 * record made good. What decodes is encoded again and must come out the same. */
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "fuzz.h"
#include "ps/push_record.h"

#define SALT 99u

/* Sets the checksums of a record as push_record.c computes them. */
static void make_good(uint8_t *head, size_t bytes) {
    uint8_t sums[60];
    if (bytes < PUSH_RECORD_HEAD_BYTES) {
        return;
    }
    const uint64_t first = load_u32(head + 16), keys = load_u32(head + 20),
                   data = load_u32(head + 24);
    store_u64(sums, SALT);
    memcpy(sums + 8, head, 28);
    store_u32(head + 28, (uint32_t)hash_bytes(sums, 36));
    if (first + keys + data > bytes - PUSH_RECORD_HEAD_BYTES) {
        return;
    }
    const uint8_t *at = head + PUSH_RECORD_HEAD_BYTES;
    store_u64(sums + 36, hash_bytes(at, first));
    store_u64(sums + 44, hash_bytes(at + first, keys));
    store_u64(sums + 52, hash_bytes(at + first + keys, data));
    store_u64(head + 32, hash_bytes(sums, sizeof sums));
}

static void encode_again(const struct push_record *r) {
    struct buf again = BUF_EMPTY;
    struct push_record b = {0};
    size_t used = 0;
    FUZZ_MUST(push_record_encode(r, SALT, &again) == OK);
    FUZZ_MUST(buf_put(&again, r->keys, r->keys_bytes) == OK);
    FUZZ_MUST(buf_put(&again, r->data, r->data_bytes) == OK);
    FUZZ_MUST(push_record_decode(&b, SALT, again.data, again.len, &used) == OK);
    FUZZ_MUST(used == again.len && b.kind == r->kind && b.number == r->number);
    FUZZ_MUST(b.choice_count == r->choice_count && b.fence_count == r->fence_count);
    FUZZ_MUST(b.fields == r->fields && b.version == r->version && b.fence == r->fence);
    for (size_t i = 0; i < b.choice_count; i++) {
        FUZZ_MUST(b.choices[i].call == r->choices[i].call);
        FUZZ_MUST(b.choices[i].victim == r->choices[i].victim);
    }
    push_record_fini(&b);
    buf_fini(&again);
}

static void decode(const uint8_t *data, size_t bytes) {
    struct push_record r = {0};
    struct push_log_head h;
    size_t used = 0;
    const enum status head = push_log_head_decode(&h, data, bytes);
    FUZZ_MUST(head == OK || head == ERR_AGAIN || head == ERR_CORRUPT);
    for (size_t at = 0; at < bytes; at += used) {
        const enum status status = push_record_decode(&r, SALT, data + at, bytes - at, &used);
        FUZZ_MUST(status == OK || status == ERR_AGAIN || status == ERR_CORRUPT);
        FUZZ_MUST(used >= PUSH_RECORD_HEAD_BYTES);
        if (status != OK) {
            break;
        }
        FUZZ_MUST(used <= bytes - at);
        encode_again(&r);
    }
    push_record_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint8_t *copy = NULL;
    if (bytes == 0) {
        return 0;
    }
    FUZZ_MUST(mem_array(&copy, bytes) == OK);
    memcpy(copy, data, bytes);
    if ((copy[0] & 1) != 0) {
        make_good(copy + 1, bytes - 1);
    }
    decode(copy + 1, bytes - 1);
    mem_free(&copy);
    return 0;
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    struct push_choice choices[] = {{.call = 1, .refused = true},
                                    {.call = 300, .evicts = true, .victim = 77}};
    struct push_fence fences[] = {{0, 1}, {5, 900}, {77777, 3}};
    const struct push_record push = {.kind = PUSH_RECORD_PUSH,
                                     .number = n,
                                     .name = {n, 2 * n, 3 * n},
                                     .fence = 1000 * n,
                                     .version = 5,
                                     .fields = n,
                                     .counts = {n, 200, 0, 1},
                                     .keys = "some keys",
                                     .keys_bytes = n,
                                     .values = VALUE_F32,
                                     .data = "some data",
                                     .data_bytes = n,
                                     .choices = choices,
                                     .choice_count = n % 3};
    const struct push_record leases = {
        .kind = PUSH_RECORD_FENCES, .number = n, .fences = fences, .fence_count = n % 4};
    const struct push_record *r = n % 2 == 0 ? &push : &leases;
    if (n > 8) {
        return false;
    }
    FUZZ_MUST(buf_put_u8(out, 1) == OK);
    FUZZ_MUST(push_record_encode(r, SALT, out) == OK);
    FUZZ_MUST(buf_put(out, r->keys, r->keys_bytes) == OK);
    return buf_put(out, r->data, r->data_bytes) == OK;
}
