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

#include "common/base/boot.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/wire_keys.h"

#define PAGE_BYTES 4096u

struct push_log {
    char dir[PATH_BYTES_MAX];
    uint32_t server, thread;
    char boot[PUSH_LOG_BOOT_BYTES];
    struct push_log_head head; /* of the last segment */
    struct push_log_segment *segments;
    size_t count, cap; /* segments[count], ascending; the last is written to */
    size_t due;        /* the first of them are to be freed */
    uint32_t *free;    /* [free_count]: numbers that free files had */
    size_t free_count, free_cap;
    uint32_t highest;   /* number of any file that was found */
    size_t idle;        /* of the first of these, which are to be removed */
    uint64_t committed; /* the newest base that push_log_commit was given */
    struct file file;   /* closed: the log is void, or was not begun */
    bool begun, said;
    uint64_t next; /* number of the next record */
    uint64_t bytes_max, segment_bytes;
    struct buf first, keys; /* scratch */
    struct cause broken;
};

/* --- names ------------------------------------------------------------------------------------ */

static const char IN_USE[] = "log", FREE[] = "free";

static void write_name(const struct push_log *l, uint32_t number, const char *kind, char out[64]) {
    snprintf(out, 64, "server-%u-%u-%08u.%s", l->server, l->thread, number, kind);
}

static enum status path_of(const struct push_log *l, uint32_t number, const char *kind, char *out) {
    char name[64];
    write_name(l, number, kind, name);
    return path_join(out, l->dir, name);
}

enum status push_log_path(const struct push_log *l, uint32_t segment, char *out) {
    return path_of(l, segment, IN_USE, out);
}

/* Whether the name is that of a file of this log, of that kind. */
static bool name_of(const struct push_log *l, const char *name, const char *kind,
                    uint32_t *number) {
    char again[64];
    uint32_t server, thread;
    if (sscanf(name, "server-%u-%u-%u.", &server, &thread, number) != 3) {
        return false;
    }
    write_name(l, *number, kind, again);
    return strcmp(name, again) == 0;
}

/* --- what was left ---------------------------------------------------------------------------- */

static enum status segment_read(const struct push_log *l, uint32_t number,
                                struct push_log_head *h) {
    char path[PATH_BYTES_MAX];
    uint8_t head[PUSH_LOG_HEAD_BYTES];
    uint64_t bytes = 0;
    struct file f;
    TRY(push_log_path(l, number, path));
    TRY(file_open_read(&f, path));
    enum status status = file_size(&f, &bytes);
    if (status == OK) {
        status = bytes < sizeof head ? ERR_AGAIN : file_pread(&f, head, sizeof head, 0);
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
    TRY(mem_room(&l->segments, &l->cap, l->count + 1));
    const enum status status = segment_read(l, number, &h);
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
            .number = number, .base = h.base, .first = h.first, .bytes = h.end};
    }
    return OK;
}

static enum status take_free(struct push_log *l, uint32_t number) {
    TRY(mem_room(&l->free, &l->free_cap, l->free_count + 1));
    l->free[l->free_count++] = number;
    return OK;
}

static enum status look(struct push_log *l) {
    struct file_list names;
    enum status status = OK;
    uint32_t number;
    TRY(file_list_dir(&names, l->dir));
    for (size_t i = 0; i < names.count && status == OK; i++) {
        if (name_of(l, names.names[i], IN_USE, &number)) {
            status = take_segment(l, number);
        } else if (name_of(l, names.names[i], FREE, &number)) {
            status = take_free(l, number);
        } else {
            continue;
        }
        l->highest = number > l->highest ? number : l->highest;
    }
    file_list_free(&names);
    return status;
}

static enum status push_log_init(struct push_log *l, const char *dir) {
    if ((size_t)snprintf(l->dir, sizeof l->dir, "%s", dir) >= sizeof l->dir) {
        return fail(ERR_LIMIT, "the path of the push log is too long: %.200s", dir);
    }
    _Static_assert(PUSH_LOG_BOOT_BYTES == BOOT_ID_BYTES, "the head has room for an id");
    (void)boot_id(l->boot); /* "": not known, and no log that was left is ours */
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

static enum status remove_one(const struct push_log *l, uint32_t number, const char *kind) {
    char path[PATH_BYTES_MAX];
    TRY(path_of(l, number, kind, path));
    const enum status status = file_remove(path);
    return status == ERR_NOT_FOUND ? OK : status;
}

/* Removes every file of this log that lies in the directory. */
static void remove_all(struct push_log *l) {
    struct file_list names;
    uint32_t number;
    if (file_list_dir(&names, l->dir) == OK) {
        for (size_t i = 0; i < names.count; i++) {
            if (name_of(l, names.names[i], IN_USE, &number)) {
                (void)remove_one(l, number, IN_USE);
            } else if (name_of(l, names.names[i], FREE, &number)) {
                (void)remove_one(l, number, FREE);
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
            cause_keep(&l->broken, remove_one(l, s->number, IN_USE));
        }
    }
    l->due = l->count; /* the others are of no use any more, and the disk may need the room */
    l->idle = l->free_count;
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

/* Gives the segment a file: a free one, that has its pages already, or a new one. */
static enum status make_file(struct push_log *l, const uint8_t *head) {
    char from[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    struct file_part part = {head, PUSH_LOG_HEAD_BYTES};
    TRY(push_log_path(l, l->head.segment, path));
    if (l->free_count == l->idle) {
        TRY(file_open_write(&l->file, path));
        return file_pwrite_parts(&l->file, &part, 1, 0);
    }
    TRY(path_of(l, l->free[--l->free_count], FREE, from));
    TRY(file_open_update(&l->file, from));
    TRY(file_pwrite_parts(&l->file, &part, 1, 0)); /* before it has its name: that must be true */
    TRY(file_close(&l->file));
    TRY(file_rename_unsynced(from, path));
    return file_open_update(&l->file, path);
}

/* Begins the next segment. base 0: it continues the last one. */
static enum status next_segment(struct push_log *l, uint64_t base) {
    uint8_t head[PUSH_LOG_HEAD_BYTES];
    TRY(file_close(&l->file));
    TRY(mem_room(&l->segments, &l->cap, l->count + 1));
    l->head.base = base;
    l->head.first = l->next;
    l->head.end = sizeof head;
    l->head.segment++;
    push_log_head_encode(&l->head, head);
    l->segments[l->count++] = (struct push_log_segment){
        .number = l->head.segment, .base = base, .first = l->next, .bytes = sizeof head};
    return make_file(l, head);
}

/* A page of a free file that is written in part only is read from the disk first, unless it is in
 * memory. So what follows the record in its last page is written too. */
static struct file_part rest_of_page(uint64_t end) {
    static const uint8_t zeros[PAGE_BYTES];
    return (struct file_part){zeros, (size_t)(PAGE_BYTES - end % PAGE_BYTES) % PAGE_BYTES};
}

static enum status write_record(struct push_log *l, struct push_record *r) {
    uint8_t says_end[PUSH_LOG_END_BYTES];
    struct push_log_segment *s = &l->segments[l->count - 1];
    buf_clear(&l->first);
    r->number = l->next;
    TRY(push_record_encode(r, l->head.salt, &l->first));
    const uint64_t end = s->bytes + l->first.len + r->keys_bytes + r->data_bytes;
    const struct file_part parts[] = {{l->first.data, l->first.len},
                                      {r->keys, r->keys_bytes},
                                      {r->data, r->data_bytes},
                                      rest_of_page(end)};
    TRY(file_pwrite_parts(&l->file, parts, 4, s->bytes));
    push_log_end_encode(l->head.salt, end, says_end);
    const struct file_part there = {says_end, sizeof says_end};
    TRY(file_pwrite_parts(&l->file, &there, 1, PUSH_LOG_END_AT));
    s->bytes = end;
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

static enum status free_one(struct push_log *l, uint32_t number) {
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    TRY(path_of(l, number, IN_USE, from));
    TRY(path_of(l, number, FREE, to));
    TRY(file_rename_unsynced(from, to));
    return take_free(l, number);
}

/* Frees the segments that lie in the directory, whatever they are of; one that cannot be renamed
 * is removed. */
static enum status free_all(struct push_log *l) {
    struct file_list names;
    enum status status = OK;
    uint32_t number;
    TRY(file_list_dir(&names, l->dir));
    for (size_t i = 0; i < names.count && status == OK; i++) {
        if (name_of(l, names.names[i], IN_USE, &number) && free_one(l, number) != OK) {
            status = remove_one(l, number, IN_USE);
        }
    }
    file_list_free(&names);
    l->count = l->due = 0;
    return status;
}

static void take_life(struct push_log *l, const struct push_log_life *life) {
    l->begun = true;
    l->bytes_max = life->bytes_max;
    l->segment_bytes = life->segment_bytes > 0 ? life->segment_bytes : PUSH_LOG_SEGMENT_BYTES;
}

void push_log_begin(struct push_log *l, const struct push_log_life *life, uint64_t base,
                    const struct partition *p) {
    l->next = 0;
    l->committed = 0;
    take_life(l, life);
    l->head = (struct push_log_head){.job = life->job,
                                     .segment = l->head.segment > l->highest ? l->head.segment
                                                                             : l->highest,
                                     .partition = life->partition,
                                     .partitions = life->partitions};
    memcpy(l->head.boot, l->boot, sizeof l->boot);
    snprintf(l->head.endpoint, sizeof l->head.endpoint, "%s", life->endpoint);
    enum status status = free_all(l);
    status = status == OK ? begin_at(l, base, p) : status;
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

void push_log_resume(struct push_log *l, const struct push_log_life *life, uint64_t next) {
    char path[PATH_BYTES_MAX];
    take_life(l, life);
    l->next = next;
    enum status status = push_log_path(l, l->segments[l->count - 1].number, path);
    status = status == OK ? file_open_update(&l->file, path) : status;
    if (status != OK) {
        make_void(l, status);
    }
}

void push_log_commit(struct push_log *l, uint64_t base) {
    if (base == 0 || base == l->committed) {
        return;
    }
    l->committed = base;
    l->idle = l->free_count;
    for (size_t i = l->count; i > l->due; i--) {
        if (l->segments[i - 1].base == base) {
            l->due = i - 1;
        }
    }
}

/* Frees the oldest segment; a void log has no use for it. */
static enum status free_oldest(struct push_log *l) {
    const uint32_t number = l->segments[0].number;
    l->due--;
    l->count--;
    memmove(l->segments, l->segments + 1, l->count * sizeof *l->segments);
    return l->file.fd < 0 ? remove_one(l, number, IN_USE) : free_one(l, number);
}

static enum status remove_idle(struct push_log *l) {
    const uint32_t number = l->free[0];
    l->idle--;
    l->free_count--;
    memmove(l->free, l->free + 1, l->free_count * sizeof *l->free);
    return remove_one(l, number, FREE);
}

void push_log_tick(struct push_log *l) {
    const enum status status = l->idle > 0 ? remove_idle(l) : l->due > 0 ? free_oldest(l) : OK;
    if (status != OK) {
        log_warn("a push log: %s", fail_text());
    }
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
    mem_free(&l->free);
    buf_fini(&l->first);
    buf_fini(&l->keys);
    mem_free(inout);
}
