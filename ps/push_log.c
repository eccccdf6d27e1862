/* push_log.c - see push_log.h.
 *
 * Void is what keeps training going when the disk does not: but it must be certain, for a log that
 * lacks acknowledged pushes must never be replayed. A segment can be reached only from a base, so a
 * log is void when every segment that names one is removed. If even that fails, the thread ends
 * before it acknowledges anything (push_log_check); the log is then whole.
 */
#include "push_log.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/wire_keys.h"

struct push_log {
    char dir[PATH_BYTES_MAX];
    uint32_t server, thread;
    char boot[PUSH_LOG_BOOT_BYTES];
    struct push_log_head head; /* of the last segment */
    struct push_log_segment *segments;
    size_t count, cap; /* segments[count], ascending; the last is written to */
    size_t due;        /* the first of them are to be removed */
    struct file file;  /* closed: the log is void, or was not begun */
    bool begun, said;
    uint64_t next; /* number of the next record */
    uint64_t bytes_max, segment_bytes;
    struct buf first, keys; /* scratch */
    struct cause broken;
};

/* --- names ------------------------------------------------------------------------------------ */

enum status push_log_path(const struct push_log *l, uint32_t segment, char *out) {
    char name[64];
    snprintf(name, sizeof name, "server-%u-%u-%08u.log", l->server, l->thread, segment);
    return path_join(out, l->dir, name);
}

/* Whether the name is that of a segment of this log. */
static bool name_of(const struct push_log *l, const char *name, uint32_t *segment) {
    char again[64];
    uint32_t server, thread;
    if (sscanf(name, "server-%u-%u-%u.log", &server, &thread, segment) != 3) {
        return false;
    }
    snprintf(again, sizeof again, "server-%u-%u-%08u.log", l->server, l->thread, *segment);
    return strcmp(name, again) == 0;
}

/* The id of this start of the machine; "": not known. */
static void boot_read(char out[PUSH_LOG_BOOT_BYTES]) {
    struct file f;
    size_t got = 0;
    memset(out, 0, PUSH_LOG_BOOT_BYTES);
    if (file_open_read(&f, "/proc/sys/kernel/random/boot_id") == OK) {
        if (file_read(&f, out, PUSH_LOG_BOOT_BYTES - 1, &got) != OK) {
            out[0] = '\0';
        }
        file_close(&f);
    }
    out[strcspn(out, "\n")] = '\0';
}

/* --- what was left ---------------------------------------------------------------------------- */

static enum status segment_read(const struct push_log *l, uint32_t number, struct push_log_head *h,
                                uint64_t *bytes) {
    char path[PATH_BYTES_MAX];
    uint8_t head[PUSH_LOG_HEAD_BYTES];
    struct file f;
    TRY(push_log_path(l, number, path));
    TRY(file_open_read(&f, path));
    enum status status = file_size(&f, bytes);
    if (status == OK) {
        status = *bytes < sizeof head ? ERR_AGAIN : file_pread(&f, head, sizeof head, 0);
    }
    file_close(&f);
    TRY(status);
    return push_log_head_decode(h, head, sizeof head);
}

/* Whether a segment with head b may follow on one with head a. */
static bool follows(const struct push_log_head *a, const struct push_log_head *b) {
    return b->segment == a->segment + 1 && b->job == a->job && b->partition == a->partition &&
           b->partitions == a->partitions && b->first >= a->first;
}

/* Notes a segment that was found, in order of numbers. */
static enum status take_segment(struct push_log *l, uint32_t number) {
    struct push_log_head h;
    uint64_t bytes = 0;
    TRY(mem_room(&l->segments, &l->cap, l->count + 1));
    const enum status status = segment_read(l, number, &h, &bytes);
    const bool ours =
        status == OK && h.segment == number && l->boot[0] != '\0' && strcmp(h.boot, l->boot) == 0;
    if (status == ERR_AGAIN) { /* it was being made: nothing is in it, and nothing follows */
        return OK;
    }
    if (!ours || (l->count > 0 && !follows(&l->head, &h))) {
        l->count = 0;
    }
    if (ours) {
        l->head = h;
        l->segments[l->count++] = (struct push_log_segment){
            .number = number, .base = h.base, .first = h.first, .bytes = bytes};
    }
    return OK;
}

static enum status look(struct push_log *l) {
    struct file_list names;
    enum status status = OK;
    uint32_t number;
    TRY(file_list_dir(&names, l->dir));
    for (size_t i = 0; i < names.count && status == OK; i++) {
        status = name_of(l, names.names[i], &number) ? take_segment(l, number) : OK;
    }
    file_list_free(&names);
    return status;
}

static enum status push_log_init(struct push_log *l, const char *dir) {
    if ((size_t)snprintf(l->dir, sizeof l->dir, "%s", dir) >= sizeof l->dir) {
        return fail(ERR_LIMIT, "the path of the push log is too long: %.200s", dir);
    }
    boot_read(l->boot);
    TRY(file_mkdirs(l->dir));
    return look(l);
}

enum status push_log_open(struct push_log **out, const char *dir, uint32_t server,
                          uint32_t thread) {
    TRY(mem_new(out));
    (*out)->file = FILE_CLOSED;
    (*out)->server = server;
    (*out)->thread = thread;
    const enum status status = push_log_init(*out, dir);
    if (status != OK) {
        push_log_close(out, false);
    }
    return status;
}

const struct push_log_head *push_log_left(const struct push_log *l) {
    uint64_t base;
    return push_log_bases(l, &base, 1) > 0 ? &l->head : NULL;
}

size_t push_log_bases(const struct push_log *l, uint64_t *out, size_t max) {
    size_t n = 0;
    for (size_t i = l->count; i > 0 && n < max; i--) {
        if (l->segments[i - 1].base != 0) {
            out[n++] = l->segments[i - 1].base;
        }
    }
    return n;
}

const struct push_log_segment *push_log_segments(const struct push_log *l, size_t *count) {
    *count = l->count;
    return l->segments;
}

/* --- void ------------------------------------------------------------------------------------- */

static enum status remove_segment(const struct push_log *l, uint32_t number) {
    char path[PATH_BYTES_MAX];
    TRY(push_log_path(l, number, path));
    const enum status status = file_remove(path);
    return status == ERR_NOT_FOUND ? OK : status;
}

/* Removes every file of this log that lies in the directory. */
static void remove_all(const struct push_log *l) {
    struct file_list names;
    uint32_t number;
    if (file_list_dir(&names, l->dir) == OK) {
        for (size_t i = 0; i < names.count; i++) {
            if (name_of(l, names.names[i], &number)) {
                (void)remove_segment(l, number);
            }
        }
        file_list_free(&names);
    }
}

static void make_void(struct push_log *l, enum status status) {
    struct cause cause = {0};
    cause_keep(&cause, status);
    (void)file_close(&l->file);
    for (size_t i = l->count; i > l->due; i--) {
        struct push_log_segment *s = &l->segments[i - 1];
        if (s->base != 0) {
            cause_keep(&l->broken, remove_segment(l, s->number));
        }
    }
    l->due = l->count; /* the others are of no use any more */
    if (!l->said) {
        log_error(
            "partition %u: no push log until the next checkpoint; if this server dies before, the "
            "job goes back to the newest one: %s",
            l->head.partition, cause.text);
    }
    l->said = true;
}

enum status push_log_check(const struct push_log *l) {
    return cause_again(&l->broken);
}

/* --- writing ---------------------------------------------------------------------------------- */

uint64_t push_log_bytes(const struct push_log *l) {
    uint64_t bytes = 0;
    for (size_t i = l->due; i < l->count; i++) {
        bytes += l->segments[i].bytes;
    }
    return l->file.fd < 0 ? 0 : bytes;
}

/* Begins the next segment. base 0: it continues the last one. */
static enum status next_segment(struct push_log *l, uint64_t base) {
    uint8_t head[PUSH_LOG_HEAD_BYTES];
    char path[PATH_BYTES_MAX];
    TRY(file_close(&l->file));
    TRY(mem_room(&l->segments, &l->cap, l->count + 1));
    l->head.base = base;
    l->head.first = l->next;
    l->head.segment++;
    push_log_head_encode(&l->head, head);
    TRY(push_log_path(l, l->head.segment, path));
    l->segments[l->count++] = (struct push_log_segment){
        .number = l->head.segment, .base = base, .first = l->next, .bytes = sizeof head};
    TRY(file_open_write(&l->file, path));
    return file_write(&l->file, head, sizeof head);
}

static enum status write_record(struct push_log *l, struct push_record *r) {
    buf_clear(&l->first);
    r->number = l->next;
    TRY(push_record_encode(r, l->head.salt, &l->first));
    const struct file_part parts[] = {
        {l->first.data, l->first.len}, {r->keys, r->keys_bytes}, {r->data, r->data_bytes}};
    TRY(file_write_parts(&l->file, parts, 3));
    l->segments[l->count - 1].bytes += l->first.len + r->keys_bytes + r->data_bytes;
    l->next++;
    return OK;
}

static enum status write_fences(struct push_log *l, const struct partition *p) {
    struct push_record r = {.kind = PUSH_RECORD_FENCES};
    const uint32_t shards = partition_shards(p);
    for (uint32_t s = 0; s < shards; s++) {
        const uint64_t fence = partition_fence(p, s);
        if (fence > 0) {
            TRY(mem_room(&r.fence_room, &r.fence_cap, r.fence_count + 1));
            r.fence_room[r.fence_count++] = (struct push_fence){s, fence};
        }
    }
    r.fences = r.fence_room;
    const enum status status = r.fence_count == 0 ? OK : write_record(l, &r);
    push_record_fini(&r);
    return status;
}

static enum status begin_at(struct push_log *l, uint64_t base, const struct partition *p) {
    TRY(next_segment(l, base));
    return write_fences(l, p);
}

static void take_life(struct push_log *l, const struct push_log_life *life) {
    l->begun = true;
    l->bytes_max = life->bytes_max;
    l->segment_bytes = life->segment_bytes > 0 ? life->segment_bytes : PUSH_LOG_SEGMENT_BYTES;
}

void push_log_begin(struct push_log *l, const struct push_log_life *life, uint64_t base,
                    const struct partition *p) {
    remove_all(l);
    l->count = l->due = 0;
    l->next = 0;
    take_life(l, life);
    l->head = (struct push_log_head){
        .job = life->job, .partition = life->partition, .partitions = life->partitions};
    memcpy(l->head.boot, l->boot, sizeof l->boot);
    snprintf(l->head.endpoint, sizeof l->head.endpoint, "%s", life->endpoint);
    const enum status status = begin_at(l, base, p);
    if (status != OK) {
        make_void(l, status);
    }
}

void push_log_cut(struct push_log *l, uint64_t base, const struct partition *p) {
    if (!l->begun || l->broken.status != OK) {
        return;
    }
    const bool was_void = l->file.fd < 0;
    const enum status status = begin_at(l, base, p);
    if (status != OK) {
        make_void(l, status);
    } else if (was_void) {
        l->said = false;
        log_info("partition %u keeps a push log again", l->head.partition);
    }
}

void push_log_resume(struct push_log *l, const struct push_log_life *life, uint64_t bytes,
                     uint64_t next) {
    struct push_log_segment *last = &l->segments[l->count - 1];
    char path[PATH_BYTES_MAX];
    take_life(l, life);
    l->next = next;
    enum status status = push_log_path(l, last->number, path);
    status = status == OK ? file_open_append(&l->file, path) : status;
    if (status == OK && bytes < last->bytes) {
        status = file_truncate(&l->file, bytes);
    }
    last->bytes = bytes;
    if (status != OK) {
        make_void(l, status);
    }
}

void push_log_commit(struct push_log *l, uint64_t base) {
    for (size_t i = l->count; base != 0 && i > l->due; i--) {
        if (l->segments[i - 1].base == base) {
            l->due = i - 1;
        }
    }
}

void push_log_tick(struct push_log *l) {
    if (l->due == 0) {
        return;
    }
    if (remove_segment(l, l->segments[0].number) != OK) {
        log_warn("%s", fail_text());
    }
    l->due--;
    l->count--;
    memmove(l->segments, l->segments + 1, l->count * sizeof *l->segments);
}

/* --- notes ------------------------------------------------------------------------------------ */

static enum status pack_ids(struct push_log *l, const struct push_note *n, uint32_t fields,
                            struct push_record *r) {
    buf_clear(&l->keys);
    TRY(buf_reserve(&l->keys, wire_keys_bytes_max(n->total, fields)));
    r->keys = l->keys.data;
    r->keys_bytes = wire_keys_pack(n->counts, fields, n->ids, l->keys.data);
    return OK;
}

static enum status write_push(struct push_log *l, const struct push_note *n,
                              const struct push_frames *f) {
    struct push_record r = {.kind = PUSH_RECORD_PUSH,
                            .name = n->name,
                            .fence = n->fence,
                            .shard_batches = f->shard_batches,
                            .version = n->version,
                            .fields = n->fields,
                            .keys = f->keys,
                            .keys_bytes = f->keys_bytes,
                            .values = f->values,
                            .data = f->data,
                            .data_bytes = f->data_bytes,
                            .choices = (struct push_choice *)(uintptr_t)n->choices,
                            .choice_count = n->choice_count};
    memcpy(r.counts, n->counts, n->fields * sizeof *n->counts);
    TRY(f->keys == NULL ? pack_ids(l, n, n->fields, &r) : OK);
    return write_record(l, &r);
}

static enum status write_fence(struct push_log *l, const struct push_note *n) {
    struct push_fence one = {n->name.shard, n->fence};
    struct push_record r = {.kind = PUSH_RECORD_FENCES, .fences = &one, .fence_count = 1};
    return write_record(l, &r);
}

static enum status note_writes(struct push_log *l, const struct push_note *n,
                               const struct push_frames *f) {
    if (n->incomplete) {
        return fail(ERR_MEMORY, "out of memory in the middle of a push");
    }
    if (l->bytes_max > 0 && push_log_bytes(l) > l->bytes_max) {
        return fail(ERR_LIMIT,
                    "the log has grown to %llu bytes, and no checkpoint was made meanwhile",
                    (unsigned long long)push_log_bytes(l));
    }
    if (l->segments[l->count - 1].bytes >= l->segment_bytes) {
        TRY(next_segment(l, 0));
    }
    return n->applied ? write_push(l, n, f) : write_fence(l, n);
}

void push_log_note(struct push_log *l, const struct push_note *note,
                   const struct push_frames *frames) {
    if (l->file.fd < 0) {
        return; /* void */
    }
    const enum status status = note_writes(l, note, frames);
    if (status != OK) {
        make_void(l, status);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

void push_log_close(struct push_log **inout, bool remove) {
    struct push_log *l = *inout;
    if (l == NULL) {
        return;
    }
    (void)file_close(&l->file);
    if (remove) {
        remove_all(l);
        file_remove_if_empty(l->dir);
    }
    mem_free(&l->segments);
    buf_fini(&l->first);
    buf_fini(&l->keys);
    mem_free(inout);
}
