#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>

#include "mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian");

void buf_fini(struct buf *b) {
    mem_free(&b->data);
    *b = BUF_EMPTY;
}

void buf_clear(struct buf *b) {
    b->len = 0;
}

enum status buf_reserve(struct buf *b, size_t more) {
    if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
        return fail(ERR_MEMORY, "buffer of %zu bytes cannot grow by %zu", b->len, more);
    }
    size_t need = b->len + more;
    if (need <= b->cap) {
        return OK;
    }
    size_t cap = b->cap * 2 > need ? b->cap * 2 : need;
    cap = cap < 64 ? 64 : cap;
    void *data = b->data;
    TRY(mem_resize(&data, b->len, cap));
    b->data = data;
    b->cap = cap;
    return OK;
}

enum status buf_put(struct buf *b, const void *data, size_t bytes) {
    TRY(buf_reserve(b, bytes));
    if (bytes > 0) {
        memcpy(b->data + b->len, data, bytes);
    }
    b->len += bytes;
    return OK;
}

enum status buf_put_u8(struct buf *b, uint8_t v) {
    return buf_put(b, &v, 1);
}

enum status buf_put_u32(struct buf *b, uint32_t v) {
    return buf_put(b, &v, 4);
}

enum status buf_put_u64(struct buf *b, uint64_t v) {
    return buf_put(b, &v, 8);
}

enum status buf_put_f32(struct buf *b, float v) {
    return buf_put(b, &v, 4);
}

enum status buf_put_varint(struct buf *b, uint64_t v) {
    uint8_t bytes[VARINT_BYTES_MAX];
    return buf_put(b, bytes, (size_t)(varint_put(bytes, v) - bytes));
}

enum status buf_printf(struct buf *b, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (need < 0) {
        return fail(ERR_FORMAT, "cannot format '%s'", fmt);
    }
    TRY(buf_reserve(b, (size_t)need + 1));
    va_start(args, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)need + 1, fmt, args);
    va_end(args);
    b->len += (size_t)need;
    return OK;
}

const uint8_t *cursor_take(struct cursor *c, size_t bytes) {
    if (c->bad || cursor_left(c) < bytes) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += bytes;
    return at;
}

uint8_t cursor_u8(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 1);
    return p == NULL ? 0 : *p;
}

uint32_t cursor_u32(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 4);
    return p == NULL ? 0 : load_u32(p);
}

uint64_t cursor_u64(struct cursor *c) {
    const uint8_t *p = cursor_take(c, 8);
    return p == NULL ? 0 : load_u64(p);
}

float cursor_f32(struct cursor *c) {
    uint32_t bits = cursor_u32(c);
    float v;
    memcpy(&v, &bits, 4);
    return v;
}

uint64_t cursor_varint(struct cursor *c) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = cursor_u8(c);
        if (shift == 63 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return c->bad ? 0 : v;
        }
    }
    c->bad = true;
    return 0;
}
