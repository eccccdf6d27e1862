/* bytes.h - little-endian fields, varints, and a growing byte buffer.
 *
 * Decoders take (bytes, length) through struct cursor and never read past the end: the first read
 * beyond the end sets `bad`. From then on every read gives zero, so one check of `bad` at the end
 * suffices.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "status.h"

/* --- writing --- */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};
#define BUF_EMPTY ((struct buf){0})
void buf_fini(struct buf *b);
void buf_clear(struct buf *b);                       /* keeps the memory */
enum status buf_reserve(struct buf *b, size_t more); /* room for `more` bytes */
enum status buf_put(struct buf *b, const void *data, size_t bytes);
enum status buf_put_u8(struct buf *b, uint8_t v);
enum status buf_put_u32(struct buf *b, uint32_t v);
enum status buf_put_u64(struct buf *b, uint64_t v);
enum status buf_put_f32(struct buf *b, float v);
enum status buf_put_varint(struct buf *b, uint64_t v); /* LEB128, 1..10 bytes */
enum status buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* NUL kept after len */

/* Writes v as LEB128; `at` must have room for VARINT_BYTES_MAX bytes. Returns the end of what it
 * wrote. */
#define VARINT_BYTES_MAX 10u
static inline uint8_t *varint_put(uint8_t *at, uint64_t v) {
    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    return at;
}

/* --- reading --- */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};
static inline struct cursor cursor_of(const void *data, size_t bytes) {
    return (struct cursor){.at = data, .end = (const uint8_t *)data + bytes, .bad = false};
}
static inline size_t cursor_left(const struct cursor *c) {
    return (size_t)(c->end - c->at);
}
const uint8_t *cursor_take(struct cursor *c, size_t bytes); /* NULL and bad if short */
uint8_t cursor_u8(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
float cursor_f32(struct cursor *c);
uint64_t cursor_varint(struct cursor *c); /* bad if longer than 10 bytes or over 64 bits */

static inline uint64_t zigzag_encode(int64_t v) {
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t zigzag_decode(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
/* Bit i of an array of bytes. Bit 0 is the lowest bit of the first byte. */
static inline bool bit_get(const uint8_t *bits, size_t i) {
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}
static inline void bit_set(uint8_t *bits, size_t i) {
    bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << (i % 8));
}

/* Unaligned little-endian loads and stores (this program runs on little-endian machines only;
 * common/base/bytes.c asserts it at compile time). */
static inline uint32_t load_u32(const void *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t load_u64(const void *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline void store_u32(void *p, uint32_t v) {
    memcpy(p, &v, 4);
}
static inline void store_u64(void *p, uint64_t v) {
    memcpy(p, &v, 8);
}
