/* wire_keys.c - the coding of feature ids in a keys frame.
 *
 * A batch's ids are distinct and ascending within a field, and so is every partition's share of
 * them. Neighbours are close (ten million ids, tens of thousands of them in a batch), so a field is
 * sent as LEB128 differences: about two bytes per id instead of eight. Differences of hashed ids,
 * which fill all 64 bits, can take more than eight bytes. So a field that would grow, or that is
 * not ascending, is sent raw. A byte before each field gives its coding:
 *
 *     per field with keys, in slot order:   u8 coding, then
 *         0 raw      count times u64
 *         1 delta    varint of the first id, then of each id minus the one before
 *
 * A key takes at least one byte, so a frame must not announce more keys than it has bytes. This
 * bounds the memory for a hostile frame.
 */
#include "wire_keys.h"
#include "common/base/bytes.h"

#include <string.h>

enum coding { CODING_RAW = 0, CODING_DELTA = 1 };

size_t wire_keys_bytes_max(size_t n, uint32_t fields) {
    return n * sizeof(uint64_t) + fields;
}

/* Writes the field's deltas to `out`. Returns 0 if the raw form is not longer or an id is below its
 * predecessor. Never writes beyond the raw form's n * 8 bytes. */
static size_t keys_put_deltas(const uint64_t *ids, uint32_t n, uint8_t *out) {
    const size_t raw = (size_t)n * sizeof *ids;
    uint8_t *at = out;
    uint64_t last = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] < last || (size_t)(at - out) + 10 > raw) {
            return 0;
        }
        at = varint_put(at, ids[i] - last);
        last = ids[i];
    }
    return (size_t)(at - out);
}

size_t wire_keys_pack(const uint32_t *counts, uint32_t fields, const uint64_t *ids, void *out) {
    uint8_t *at = out;
    for (uint32_t f = 0; f < fields; f++) {
        const uint32_t n = counts[f];
        if (n == 0) {
            continue;
        }
        size_t bytes = keys_put_deltas(ids, n, at + 1);
        *at = bytes > 0 ? CODING_DELTA : CODING_RAW;
        if (bytes == 0) {
            bytes = (size_t)n * sizeof *ids;
            memcpy(at + 1, ids, bytes);
        }
        at += 1 + bytes;
        ids += n;
    }
    return (size_t)(at - (uint8_t *)out);
}

/* Nearly all deltas take one or two bytes; the cursor reads the longer ones. */
static void keys_take_deltas(struct cursor *c, uint32_t n, uint64_t *ids) {
    uint64_t id = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (cursor_left(c) >= 2 && c->at[0] < 0x80) {
            id += *c->at++;
        } else if (cursor_left(c) >= 2 && c->at[1] < 0x80) {
            id += (uint64_t)(c->at[0] & 0x7f) | (uint64_t)c->at[1] << 7;
            c->at += 2;
        } else {
            id += cursor_varint(c);
        }
        ids[i] = id;
    }
}

static enum status keys_take_field(struct cursor *c, uint32_t n, uint64_t *ids) {
    const uint8_t coding = cursor_u8(c);
    if (coding == CODING_DELTA) {
        keys_take_deltas(c, n, ids);
    } else if (coding == CODING_RAW) {
        const uint8_t *raw = cursor_take(c, (size_t)n * sizeof *ids);
        if (raw != NULL) {
            memcpy(ids, raw, (size_t)n * sizeof *ids);
        }
    } else {
        return fail(ERR_PROTOCOL, "keys frame: coding %u, expected 0 or 1", coding);
    }
    return c->bad ? fail(ERR_PROTOCOL, "keys frame: ends within a field of %u keys", n) : OK;
}

enum status wire_keys_unpack(const uint32_t *counts, uint32_t fields, const void *data,
                             size_t bytes, uint64_t *ids) {
    struct cursor c = cursor_of(data, bytes);
    for (uint32_t f = 0; f < fields; f++) {
        if (counts[f] > 0) {
            TRY(keys_take_field(&c, counts[f], ids));
            ids += counts[f];
        }
    }
    return cursor_left(&c) == 0
               ? OK
               : fail(ERR_PROTOCOL, "keys frame: %zu bytes after the last key", cursor_left(&c));
}

size_t wire_bits_pack(uint8_t *flags, size_t n) {
    for (size_t i = 0; i < n; i++) { /* flag i / 8 has already been read, or is read now */
        const uint8_t bit = (uint8_t)(flags[i] << (i % 8));
        flags[i / 8] = i % 8 == 0 ? bit : (uint8_t)(flags[i / 8] | bit);
    }
    return (n + 7) / 8;
}
