/* replay.c - see replay.h.
 *
 * A segment says where its last record ends. Up to there everything must decode; what lies behind,
 * of a push that nobody was told of or of an earlier use of the file, counts for nothing. */
#include "replay.h"

#include "common/base/mem.h"
#include "common/net/wire_keys.h"
#include "common/net/wire_values.h"

#define READ_BYTES ((size_t)1 << 20)

struct replay {
    struct push_log *log;
    struct partition *p;
    struct replay_result *result;
    void (*pause)(void *self);
    void *self;
    uint64_t next; /* number that the next record must have */
    /* the segment being read */
    struct file file;
    uint64_t salt, end;
    struct buf window; /* of the file */
    uint64_t window_at;
    size_t at; /* in the window, of the next record */
    struct push_record record;
    uint64_t *ids;
    float *floats;
    size_t ids_cap, floats_cap;
};

/* --- reading ---------------------------------------------------------------------------------- */

static uint64_t offset_of(const struct replay *r) {
    return r->window_at + r->at;
}

static enum status damaged(const struct replay *r, enum status status) {
    return status == ERR_MEMORY || status == ERR_IO
               ? status
               : fail(ERR_CORRUPT, "%s: offset %llu: %s", r->file.path,
                      (unsigned long long)offset_of(r), fail_text_of(status));
}

/* Reads on, so that the window holds `bytes` bytes from the next record on. */
static enum status fill_window(struct replay *r, size_t bytes) {
    const uint64_t from = offset_of(r), left = r->end - from;
    size_t want = bytes > READ_BYTES ? bytes : READ_BYTES;
    want = want < left ? want : (size_t)left;
    buf_clear(&r->window);
    TRY(buf_reserve(&r->window, want));
    r->window_at = from;
    r->at = 0;
    TRY(file_pread(&r->file, r->window.data, want, from));
    r->window.len = want;
    return OK;
}

/* The next record of the segment. ERR_NOT_FOUND: there is none; the segment ends well at the
 * present offset. */
static enum status next_record(struct replay *r, size_t *used) {
    for (;;) {
        const size_t have = r->window.len - r->at;
        const uint64_t left = r->end - offset_of(r);
        const enum status status =
            push_record_decode(&r->record, r->salt, r->window.data + r->at, have, used);
        if (status != ERR_AGAIN) {
            return status == OK ? OK : damaged(r, status);
        }
        if (*used <= left) {
            TRY(fill_window(r, *used));
        } else {
            return left == 0 ? ERR_NOT_FOUND
                             : damaged(r, fail(ERR_CORRUPT, "the segment ends within a record"));
        }
    }
}

/* --- applying --------------------------------------------------------------------------------- */

static enum status unpack(struct replay *r, size_t *total, size_t *floats) {
    const struct push_record *e = &r->record;
    const size_t each = wire_values_bytes(e->values, 1);
    uint64_t ids = 0;
    for (uint32_t f = 0; f < e->fields; f++) {
        ids += e->counts[f];
    }
    if (e->fields != partition_fields(r->p) || ids > e->keys_bytes || e->data_bytes % each != 0) {
        return fail(ERR_CORRUPT, "a push of another form");
    }
    *total = (size_t)ids;
    *floats = e->data_bytes / each;
    TRY(mem_room(&r->ids, &r->ids_cap, *total));
    TRY(mem_room(&r->floats, &r->floats_cap, *floats));
    TRY(wire_keys_unpack(e->counts, e->fields, e->keys, e->keys_bytes, r->ids));
    wire_values_unpack(e->values, e->data, *floats, r->floats);
    return OK;
}

static enum status apply_push(struct replay *r) {
    const struct push_record *e = &r->record;
    size_t total = 0, floats = 0;
    TRY(unpack(r, &total, &floats));
    if (e->shard_batches > 0) {
        TRY(partition_grow(r->p, e->name.shard, e->shard_batches));
    }
    const struct push_note note = {.applied = true,
                                   .name = e->name,
                                   .fence = e->fence,
                                   .version = e->version,
                                   .fields = e->fields,
                                   .counts = e->counts,
                                   .ids = r->ids,
                                   .total = total,
                                   .choices = e->choices,
                                   .choice_count = e->choice_count};
    TRY(partition_push_again(r->p, &note, r->floats, floats));
    r->result->pushes++;
    return OK;
}

static enum status apply_fences(struct replay *r) {
    for (size_t i = 0; i < r->record.fence_count; i++) {
        const struct push_fence *f = &r->record.fences[i];
        TRY(partition_fence_again(r->p, f->shard, f->fence));
    }
    return OK;
}

static enum status apply_record(struct replay *r) {
    if (r->record.number != r->next) {
        return fail(ERR_CORRUPT, "record %llu, expected %llu", (unsigned long long)r->record.number,
                    (unsigned long long)r->next);
    }
    r->next++;
    return r->record.kind == PUSH_RECORD_PUSH ? apply_push(r) : apply_fences(r);
}

static enum status apply_all(struct replay *r) {
    size_t used = 0;
    for (;;) {
        const enum status status = next_record(r, &used);
        if (status != OK) {
            return status == ERR_NOT_FOUND ? OK : status;
        }
        const enum status applied = apply_record(r);
        TRY(applied == OK ? OK : damaged(r, applied));
        r->at += used;
        r->result->bytes += used;
        if (r->pause != NULL) {
            r->pause(r->self);
        }
    }
}

/* --- segments --------------------------------------------------------------------------------- */

static enum status begin_segment(struct replay *r, const struct push_log_segment *s) {
    struct push_log_head head;
    uint64_t file_bytes = 0;
    char path[PATH_BYTES_MAX];
    TRY(push_log_path(r->log, s->number, path));
    TRY(file_open_read(&r->file, path));
    TRY(file_size(&r->file, &file_bytes));
    r->window_at = r->at = 0;
    r->end = PUSH_LOG_HEAD_BYTES;
    TRY(fill_window(r, PUSH_LOG_HEAD_BYTES));
    const enum status status = push_log_head_decode(&head, r->window.data, r->window.len);
    TRY(status == OK ? OK : damaged(r, status));
    if (head.end < PUSH_LOG_HEAD_BYTES || head.end > file_bytes) {
        return damaged(r, fail(ERR_CORRUPT, "records up to offset %llu of a file of %llu bytes",
                               (unsigned long long)head.end, (unsigned long long)file_bytes));
    }
    if (s->first != r->next) {
        return damaged(r, fail(ERR_CORRUPT, "the first record is %llu, expected %llu",
                               (unsigned long long)s->first, (unsigned long long)r->next));
    }
    r->salt = head.salt;
    r->end = head.end;
    r->at = PUSH_LOG_HEAD_BYTES;
    return OK;
}

static enum status apply_segments(struct replay *r, uint64_t base) {
    size_t count;
    const struct push_log_segment *s = push_log_segments(r->log, &count);
    size_t from = count;
    while (from > 0 && s[from - 1].base != base) {
        from--;
    }
    if (from == 0 || base == 0) {
        return fail(ERR_NOT_FOUND, "the push log does not begin at the checkpoint");
    }
    r->next = s[from - 1].first;
    for (size_t i = from - 1; i < count; i++) {
        enum status status = begin_segment(r, &s[i]);
        status = status == OK ? apply_all(r) : status;
        file_close(&r->file);
        TRY(status);
    }
    return OK;
}

enum status replay_run(struct push_log *l, const struct push_log_life *life, uint64_t base,
                       struct partition *p, void (*pause)(void *self), void *self,
                       struct replay_result *out) {
    struct replay r = {
        .log = l, .p = p, .result = out, .pause = pause, .self = self, .file = FILE_CLOSED};
    *out = (struct replay_result){0};
    const enum status status = apply_segments(&r, base);
    if (status == OK) {
        push_log_resume(l, life, r.next);
    }
    push_record_fini(&r.record);
    buf_fini(&r.window);
    mem_free(&r.ids);
    mem_free(&r.floats);
    return status;
}
