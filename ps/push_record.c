/* push_record.c - see push_record.h.
 *
 * The head of a record has a checksum of its own, so that its lengths can be trusted before the
 * rest is read. */
#include "push_record.h"

#include <string.h>
#include "common/base/hash.h"
#include "common/base/mem.h"

#define RECORD_MARK  0x43455250u /* "PREC" */
#define HEAD_CHECKED 28u         /* bytes of a record's head before its own checksum */
#define TEXTS_AT     56u         /* in the head of a segment */
#define SALT_AT      224u

static const uint8_t segment_magic[8] = {'E', 'S', 'M', 'M', 'L', 'O', 'G', '\n'};

/* --- the head of a segment -------------------------------------------------------------------- */

void push_log_head_encode(struct push_log_head *h, uint8_t *out) {
    memset(out, 0, PUSH_LOG_HEAD_BYTES);
    memcpy(out, segment_magic, sizeof segment_magic);
    store_u32(out + 8, PUSH_LOG_VERSION);
    store_u32(out + 12, h->segment);
    store_u64(out + 16, h->job);
    store_u64(out + 24, h->base);
    store_u64(out + 32, h->first);
    store_u32(out + 40, h->partition);
    store_u32(out + 44, h->partitions);
    memcpy(out + TEXTS_AT, h->boot, strnlen(h->boot, sizeof h->boot - 1));
    memcpy(out + TEXTS_AT + sizeof h->boot, h->endpoint,
           strnlen(h->endpoint, sizeof h->endpoint - 1));
    h->salt = hash_bytes(out, SALT_AT);
    store_u64(out + SALT_AT, h->salt);
    push_log_end_encode(h->salt, h->end, out + PUSH_LOG_END_AT);
}

void push_log_end_encode(uint64_t salt, uint64_t end, uint8_t out[PUSH_LOG_END_BYTES]) {
    const uint64_t words[2] = {salt, end};
    store_u64(out, end);
    store_u64(out + 8, hash_bytes(words, sizeof words));
}

/* Whether the bytes that no checksum covers are 0, and the checksums right. */
static bool head_is_whole(const uint8_t *in) {
    uint8_t end[PUSH_LOG_END_BYTES];
    const uint64_t salt = load_u64(in + SALT_AT);
    push_log_end_encode(salt, load_u64(in + PUSH_LOG_END_AT), end);
    return memcmp(in, segment_magic, sizeof segment_magic) == 0 &&
           salt == hash_bytes(in, SALT_AT) && load_u64(in + SALT_AT + 8) == 0 &&
           memcmp(in + PUSH_LOG_END_AT, end, sizeof end) == 0;
}

enum status push_log_head_decode(struct push_log_head *h, const void *data, size_t bytes) {
    const uint8_t *in = data;
    *h = (struct push_log_head){0};
    if (bytes < PUSH_LOG_HEAD_BYTES) {
        return ERR_AGAIN;
    }
    if (!head_is_whole(in)) {
        return fail(ERR_CORRUPT, "expected the head of a push log");
    }
    if (load_u32(in + 8) != PUSH_LOG_VERSION) {
        return fail(ERR_CORRUPT, "a push log of version %u, this program reads %u",
                    load_u32(in + 8), PUSH_LOG_VERSION);
    }
    h->segment = load_u32(in + 12);
    h->job = load_u64(in + 16);
    h->base = load_u64(in + 24);
    h->first = load_u64(in + 32);
    h->partition = load_u32(in + 40);
    h->partitions = load_u32(in + 44);
    memcpy(h->boot, in + TEXTS_AT, sizeof h->boot - 1);
    memcpy(h->endpoint, in + TEXTS_AT + sizeof h->boot, sizeof h->endpoint - 1);
    h->salt = load_u64(in + SALT_AT);
    h->end = load_u64(in + PUSH_LOG_END_AT);
    return OK;
}

/* --- checksums -------------------------------------------------------------------------------- */

static uint32_t head_sum(uint64_t salt, const uint8_t *head) {
    uint8_t bytes[8 + HEAD_CHECKED];
    store_u64(bytes, salt);
    memcpy(bytes + 8, head, HEAD_CHECKED);
    return (uint32_t)hash_bytes(bytes, sizeof bytes);
}

/* The checksum of the pieces, which are hashed apart from each other. */
static uint64_t body_sum(uint64_t salt, const uint8_t *head, const uint64_t piece[3]) {
    uint8_t bytes[8 + HEAD_CHECKED + 3 * 8];
    store_u64(bytes, salt);
    memcpy(bytes + 8, head, HEAD_CHECKED);
    memcpy(bytes + 8 + HEAD_CHECKED, piece, 3 * sizeof *piece);
    return hash_bytes(bytes, sizeof bytes);
}

/* --- writing ---------------------------------------------------------------------------------- */

static enum status put_push(const struct push_record *r, struct buf *out) {
    TRY(buf_reserve(out, (8 + (size_t)r->fields) * VARINT_BYTES_MAX));
    uint8_t *at = out->data + out->len;
    at = varint_put(at, r->name.epoch);
    at = varint_put(at, r->name.shard);
    at = varint_put(at, r->name.batch);
    at = varint_put(at, r->fence);
    at = varint_put(at, r->shard_batches);
    at = varint_put(at, r->version);
    *at++ = (uint8_t)r->values;
    at = varint_put(at, r->fields);
    for (uint32_t f = 0; f < r->fields; f++) {
        at = varint_put(at, r->counts[f]);
    }
    out->len = (size_t)(at - out->data);
    TRY(buf_put_varint(out, r->choice_count));
    uint32_t call = 0;
    for (size_t i = 0; i < r->choice_count; i++) {
        const struct push_choice *c = &r->choices[i];
        TRY(buf_put_varint(out, c->call - call));
        TRY(buf_put_u8(out, (uint8_t)((c->refused ? 1 : 0) | (c->evicts ? 2 : 0))));
        TRY(c->evicts ? buf_put_u64(out, c->victim) : OK);
        call = c->call;
    }
    return OK;
}

static enum status put_fences(const struct push_record *r, struct buf *out) {
    TRY(buf_put_varint(out, r->fence_count));
    for (size_t i = 0; i < r->fence_count; i++) {
        TRY(buf_put_varint(out, r->fences[i].shard));
        TRY(buf_put_varint(out, r->fences[i].fence));
    }
    return OK;
}

enum status push_record_encode(const struct push_record *r, uint64_t salt, struct buf *out) {
    const size_t start = out->len;
    TRY(buf_reserve(out, PUSH_RECORD_HEAD_BYTES));
    out->len += PUSH_RECORD_HEAD_BYTES;
    TRY(r->kind == PUSH_RECORD_PUSH ? put_push(r, out) : put_fences(r, out));
    uint8_t *head = out->data + start;
    const uint8_t *first = head + PUSH_RECORD_HEAD_BYTES;
    const size_t first_bytes = out->len - start - PUSH_RECORD_HEAD_BYTES;
    if (first_bytes > UINT32_MAX || r->keys_bytes > UINT32_MAX || r->data_bytes > UINT32_MAX) {
        return fail(ERR_LIMIT, "a push of %zu bytes is too long for a push log",
                    r->keys_bytes + r->data_bytes);
    }
    store_u32(head, RECORD_MARK);
    store_u32(head + 4, (uint32_t)r->kind);
    store_u64(head + 8, r->number);
    store_u32(head + 16, (uint32_t)first_bytes);
    store_u32(head + 20, (uint32_t)r->keys_bytes);
    store_u32(head + 24, (uint32_t)r->data_bytes);
    store_u32(head + HEAD_CHECKED, head_sum(salt, head));
    const uint64_t piece[3] = {hash_bytes(first, first_bytes), hash_bytes(r->keys, r->keys_bytes),
                               hash_bytes(r->data, r->data_bytes)};
    store_u64(head + HEAD_CHECKED + 4, body_sum(salt, head, piece));
    return OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

void push_record_fini(struct push_record *r) {
    mem_free(&r->choice_room);
    mem_free(&r->fence_room);
}

static enum status malformed(const char *what) {
    return fail(ERR_CORRUPT, "a record of a push log with %s", what);
}

static uint32_t take_u32(struct cursor *c) {
    const uint64_t v = cursor_varint(c);
    c->bad = c->bad || v > UINT32_MAX;
    return (uint32_t)v;
}

static enum status take_choices(struct push_record *r, struct cursor *c) {
    const uint64_t count = cursor_varint(c);
    uint32_t call = 0;
    if (count > cursor_left(c) / 2) { /* each takes two bytes at least */
        return malformed("more choices than it has room for");
    }
    TRY(mem_room(&r->choice_room, &r->choice_cap, (size_t)count));
    for (size_t i = 0; i < count; i++) {
        const uint32_t step = take_u32(c);
        const uint8_t bits = cursor_u8(c);
        c->bad = c->bad || step == 0 || step > UINT32_MAX - call || bits < 1 || bits > 3;
        call += step;
        r->choice_room[i] = (struct push_choice){
            .call = call, .refused = (bits & 1) != 0, .evicts = (bits & 2) != 0};
        r->choice_room[i].victim = r->choice_room[i].evicts ? cursor_u64(c) : 0;
    }
    r->choices = r->choice_room;
    r->choice_count = (size_t)count;
    return OK;
}

static enum status take_push(struct push_record *r, struct cursor *c) {
    r->name.epoch = take_u32(c);
    r->name.shard = take_u32(c);
    r->name.batch = take_u32(c);
    r->fence = cursor_varint(c);
    r->shard_batches = take_u32(c);
    r->version = cursor_varint(c);
    const uint8_t values = cursor_u8(c);
    r->fields = take_u32(c);
    if (values > VALUE_BF16 || r->fields > FIELDS_MAX) {
        return malformed("unknown values or too many fields");
    }
    r->values = (enum value_type)values;
    for (uint32_t f = 0; f < r->fields; f++) {
        r->counts[f] = take_u32(c);
    }
    return take_choices(r, c);
}

static enum status take_fences(struct push_record *r, struct cursor *c) {
    const uint64_t count = cursor_varint(c);
    if (count > cursor_left(c) / 2) {
        return malformed("more leases than it has room for");
    }
    TRY(mem_room(&r->fence_room, &r->fence_cap, (size_t)count));
    for (size_t i = 0; i < count; i++) {
        r->fence_room[i].shard = take_u32(c);
        r->fence_room[i].fence = cursor_varint(c);
    }
    r->fences = r->fence_room;
    r->fence_count = (size_t)count;
    return OK;
}

/* Forgets all but the arrays. */
static void record_clear(struct push_record *r) {
    *r = (struct push_record){.choice_room = r->choice_room,
                              .choice_cap = r->choice_cap,
                              .fence_room = r->fence_room,
                              .fence_cap = r->fence_cap};
}

static enum status take_first(struct push_record *r, const uint8_t *first, size_t bytes) {
    struct cursor c = cursor_of(first, bytes);
    TRY(r->kind == PUSH_RECORD_PUSH ? take_push(r, &c) : take_fences(r, &c));
    return c.bad || cursor_left(&c) > 0 ? malformed("a first piece of another form") : OK;
}

static enum status check_head(uint64_t salt, const uint8_t *head) {
    const uint32_t kind = load_u32(head + 4);
    if (load_u32(head) != RECORD_MARK || load_u32(head + HEAD_CHECKED) != head_sum(salt, head)) {
        return fail(ERR_CORRUPT, "expected the head of a record");
    }
    return kind == PUSH_RECORD_PUSH || kind == PUSH_RECORD_FENCES ? OK
                                                                  : malformed("an unknown kind");
}

enum status push_record_decode(struct push_record *r, uint64_t salt, const void *data, size_t bytes,
                               size_t *used) {
    const uint8_t *head = data;
    record_clear(r);
    *used = PUSH_RECORD_HEAD_BYTES;
    if (bytes < PUSH_RECORD_HEAD_BYTES) {
        return ERR_AGAIN;
    }
    TRY(check_head(salt, head));
    const size_t first_bytes = load_u32(head + 16);
    r->kind = (enum push_record_kind)load_u32(head + 4);
    r->number = load_u64(head + 8);
    r->keys_bytes = load_u32(head + 20);
    r->data_bytes = load_u32(head + 24);
    *used += first_bytes + r->keys_bytes + r->data_bytes;
    if (bytes < *used) {
        return ERR_AGAIN;
    }
    const uint8_t *first = head + PUSH_RECORD_HEAD_BYTES;
    r->keys = first + first_bytes;
    r->data = first + first_bytes + r->keys_bytes;
    const uint64_t piece[3] = {hash_bytes(first, first_bytes), hash_bytes(r->keys, r->keys_bytes),
                               hash_bytes(r->data, r->data_bytes)};
    if (load_u64(head + HEAD_CHECKED + 4) != body_sum(salt, head, piece)) {
        return fail(ERR_CORRUPT, "the checksum of a record of %zu bytes is wrong", *used);
    }
    return take_first(r, first, first_bytes);
}
