/* Any bytes as counts of keys and a key frame. What unpacks is packed again and must come out the
 * same. Input: number of fields, their counts, the frame. */
#include "common/base/mem.h"
#include "common/net/wire.h"
#include "common/net/wire_keys.h"
#include "fuzz.h"

#define FIELDS 8u

static void repack(const uint32_t *counts, uint32_t fields, const uint64_t *ids, size_t total) {
    uint64_t *again = NULL;
    uint8_t *frame = NULL;
    FUZZ_MUST(mem_array(&again, total + 1) == OK);
    FUZZ_MUST(mem_array(&frame, wire_keys_bytes_max(total, fields) + 1) == OK);
    size_t bytes = wire_keys_pack(counts, fields, ids, frame);
    FUZZ_MUST(bytes <= wire_keys_bytes_max(total, fields));
    FUZZ_MUST(wire_keys_unpack(counts, fields, frame, bytes, again) == OK);
    FUZZ_MUST(total == 0 || memcmp(ids, again, total * sizeof *ids) == 0);
    mem_free(&again);
    mem_free(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint32_t counts[FIELDS] = {0};
    struct cursor c = cursor_of(data, bytes);
    const uint32_t fields = cursor_u8(&c) % (FIELDS + 1);
    size_t total = 0;
    for (uint32_t f = 0; f < fields; f++) {
        counts[f] = cursor_u8(&c);
        total += counts[f];
    }
    size_t left = c.bad ? 0 : cursor_left(&c);
    if (c.bad || total > left) { /* as the header asks callers to check */
        return 0;
    }
    uint64_t *ids = NULL;
    FUZZ_MUST(mem_array(&ids, total + 1) == OK);
    enum status status = wire_keys_unpack(counts, fields, c.at, left, ids);
    FUZZ_MUST(status == OK || status == ERR_PROTOCOL);
    if (status == OK) {
        repack(counts, fields, ids, total);
    }
    mem_free(&ids);
    return 0;
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    uint64_t ids[64];
    uint32_t counts[3] = {n * 4, 0, 9};
    if (n > 6) {
        return false;
    }
    for (uint32_t i = 0; i < n * 4 + 9; i++) {
        ids[i] = (i < n * 4 ? i : i - n * 4) * ((uint64_t)1 << (n * 9)) + n;
    }
    FUZZ_MUST(buf_put_u8(out, 3) == OK);
    for (int f = 0; f < 3; f++) {
        FUZZ_MUST(buf_put_u8(out, (uint8_t)counts[f]) == OK);
    }
    uint8_t frame[1024];
    FUZZ_MUST(wire_keys_bytes_max(n * 4 + 9, 3) <= sizeof frame);
    return buf_put(out, frame, wire_keys_pack(counts, 3, ids, frame)) == OK;
}
