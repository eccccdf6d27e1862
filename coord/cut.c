#include "cut.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/hash.h"
#include "common/base/mem.h"

enum status cut_init(struct cut *c, uint32_t partitions, bool open) {
    *c = (struct cut){.partitions = partitions, .open = open};
    enum status status = mem_array(&c->part, partitions);
    if (status == OK) {
        status = mem_array(&c->reported, partitions);
    }
    if (status != OK) {
        cut_fini(c);
    }
    return status;
}

void cut_fini(struct cut *c) {
    cut_end(c);
    mem_free(&c->part);
    mem_free(&c->reported);
}

void cut_begin(struct cut *c, const char *dir, uint64_t now_ms, uint64_t deadline_ms) {
    cut_end(c);
    c->number++;
    c->busy = true;
    c->failed = false;
    c->text[0] = '\0';
    c->reports = 0;
    c->committed = 0;
    c->delta = false;
    c->began_ms = now_ms;
    c->deadline_ms = deadline_ms;
    snprintf(c->dir, sizeof c->dir, "%.511s", dir);
    memset(c->reported, 0, c->partitions * sizeof *c->reported);
    memset(c->part, 0, c->partitions * sizeof *c->part);
}

bool cut_wants(const struct cut *c, uint32_t first, uint32_t count) {
    for (uint32_t p = first; c->busy && p < first + count && p < c->partitions; p++) {
        if (!c->reported[p]) {
            return true;
        }
    }
    return false;
}

__attribute__((format(printf, 2, 3))) static void fail_cut(struct cut *c, const char *fmt, ...) {
    if (c->failed) {
        return;
    }
    c->failed = true;
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->text, sizeof c->text, fmt, args);
    va_end(args);
}

static bool part_fits(struct cut *c, const struct wire_part_done *d) {
    uint32_t begin = bucket_begin(d->partition, c->partitions);
    uint32_t end = bucket_begin(d->partition + 1, c->partitions);
    if (d->bucket_begin != begin || d->bucket_end != end) {
        fail_cut(c, "partition %u wrote buckets [%u, %u), expected [%u, %u)", d->partition,
                 d->bucket_begin, d->bucket_end, begin, end);
        return false;
    }
    size_t length = strnlen(d->name, sizeof d->name);
    if (length == 0 || length == sizeof d->name || memchr(d->name, '/', length) != NULL) {
        fail_cut(c, "partition %u: its part has no valid file name", d->partition);
        return false;
    }
    return true;
}

static enum status intersect(struct cut *c, const void *bytes, size_t n,
                             const uint32_t *batches_per_shard, uint32_t shards) {
    struct applied *one = NULL;
    TRY(applied_decode(&one, bytes, n, batches_per_shard, shards));
    enum status status = OK;
    if (applied_is_open(one) != c->open) {
        status = fail(ERR_PROTOCOL, "a set for %s in a job on %s",
                      c->open ? "a fixed data set" : "a stream",
                      c->open ? "a stream" : "a fixed data set");
    } else if (c->applied == NULL) {
        c->applied = one;
        one = NULL;
    } else {
        status = applied_intersect(c->applied, one);
    }
    applied_destroy(&one);
    return status;
}

void cut_part(struct cut *c, const struct wire_part_done *done, const void *applied,
              size_t applied_bytes, const uint32_t *batches_per_shard, uint32_t shards) {
    if (!c->busy || done->cut != c->number || done->partition >= c->partitions ||
        c->reported[done->partition]) {
        return;
    }
    c->reported[done->partition] = true;
    c->reports++;
    if (!done->ok) {
        fail_cut(c, "partition %u: %.400s", done->partition, done->text);
        return;
    }
    if (!part_fits(c, done)) {
        return;
    }
    if (intersect(c, applied, applied_bytes, batches_per_shard, shards) != OK) {
        fail_cut(c, "partition %u: its applied names: %.400s", done->partition, fail_text());
        return;
    }
    struct manifest_part *part = &c->part[done->partition];
    *part = (struct manifest_part){.bucket_begin = done->bucket_begin,
                                   .bucket_end = done->bucket_end,
                                   .bytes = done->bytes,
                                   .checksum = done->checksum,
                                   .rows = done->rows,
                                   .version = done->version,
                                   .whole = done->whole};
    memcpy(part->name, done->name, sizeof part->name);
}

bool cut_over(struct cut *c, uint64_t now_ms) {
    if (!c->busy) {
        return false;
    }
    if (c->reports == c->partitions) {
        return true;
    }
    if (now_ms < c->deadline_ms) {
        return false;
    }
    uint32_t late = 0;
    while (c->reported[late]) {
        late++;
    }
    fail_cut(c, "partition %u has not written its part after %llu s (%u of %u parts are in)", late,
             (unsigned long long)((now_ms - c->began_ms) / 1000), c->reports, c->partitions);
    return true;
}

void cut_end(struct cut *c) {
    c->busy = false;
    if (c->applied != NULL) {
        applied_destroy(&c->applied);
    }
}
