#include "prep_output.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/mem.h"

#define FIRST_ROWS_MAX 5u

enum status prep_output_open(struct prep_output *o, const char *dir, double bad_max) {
    static const char head[] = "file\tline\treason\thead of the line\n";
    char path[PATH_BYTES_MAX];
    *o = (struct prep_output){.dir = NEW_DIR_NONE, .rejects = FILE_CLOSED, .bad_max = bad_max};
    TRY(new_dir_open(&o->dir, dir, "prep"));
    TRY(path_join(path, o->dir.temporary, "rejects.tsv"));
    TRY(file_open_private(&o->rejects, path));
    return file_write(&o->rejects, head, sizeof head - 1);
}

enum status prep_output_reject(struct prep_output *o, const struct buf *rows) {
    const char *at = (const char *)rows->data;
    const char *end = at + rows->len;
    while (at < end && o->first_rows < FIRST_ROWS_MAX) {
        const char *stop = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        TRY(buf_put(&o->first, at, (size_t)(stop - at)));
        o->first_rows++;
        at = stop;
    }
    return file_write(&o->rejects, rows->data, rows->len);
}

enum status prep_output_classes(struct prep_output *o, const struct prep_piece *p) {
    for (uint32_t k = 0; k < CLASSES; k++) {
        for (uint32_t i = 0; i < p->first_count[k] && o->first_of_rows[k] < CLASS_FIRST_MAX; i++) {
            const char *at = (const char *)p->rejects.data + p->first[k][i];
            const char *stop = memchr(at, '\n', p->rejects.len - p->first[k][i]);
            TRY(buf_put(&o->first_of[k], at, (size_t)(stop + 1 - at)));
            o->first_of_rows[k]++;
        }
    }
    return OK;
}

enum status prep_output_check(const struct prep_output *o, const char *file,
                              const struct prep_tally *t, double lines) {
    const uint64_t rejected = prep_rejected(t->rejected);
    if ((double)rejected <= lines * o->bad_max / 100 || rejected == 0) {
        return OK;
    }
    return fail(ERR_LIMIT,
                "%s: %llu of %llu lines rejected, more than --max-bad %g %%; nothing was written. "
                "The first:\n%.*s",
                file, (unsigned long long)rejected, (unsigned long long)t->lines, o->bad_max,
                (int)o->first.len, o->first_rows == 0 ? "" : (const char *)o->first.data);
}

/* --- publication ------------------------------------------------------------------------------ */

static enum status name_shard(const char *dir, uint32_t number, struct shard_info *info) {
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX], name[sizeof info->name];
    shard_name(number, name);
    TRY(path_join(from, dir, info->name));
    TRY(path_join(to, dir, name));
    TRY(file_rename_unsynced(from, to)); /* writing the manifest syncs the directory */
    memcpy(info->name, name, sizeof name);
    return OK;
}

static enum status remove_index(const struct prep_output *o) {
    static const char *const names[] = {"common.entries", "common.table"};
    char path[PATH_BYTES_MAX];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        TRY(path_join(path, o->dir.temporary, names[k]));
        if (file_exists(path)) {
            TRY(file_remove(path));
        }
    }
    return OK;
}

void prep_output_sum(struct dataset *d) {
    d->impressions = d->groups = d->clicks = d->conversions = d->values = 0;
    d->weights = (struct weight_sums){0};
    for (uint32_t s = 0; s < d->shard_count; s++) {
        d->impressions += d->shards[s].impressions;
        d->groups += d->shards[s].groups;
        d->clicks += d->shards[s].clicks;
        d->conversions += d->shards[s].conversions;
        d->values += d->shards[s].values;
        weight_sums_add(&d->weights, &d->shards[s].weights);
    }
}

enum status prep_output_finish(struct prep_output *o) {
    TRY(file_sync(&o->rejects));
    TRY(file_close(&o->rejects));
    return remove_index(o);
}

enum status prep_output_seal(struct prep_output *o, const char *sub, struct buf *shards,
                             struct dataset *d) {
    char dir[PATH_BYTES_MAX];
    d->shards = (struct shard_info *)(void *)shards->data;
    d->shard_count = (uint32_t)(shards->len / sizeof(struct shard_info));
    prep_output_sum(d);
    if (d->shard_count == 0) {
        return fail(ERR_FORMAT, "no impressions: nothing to write");
    }
    snprintf(dir, sizeof dir, "%s", o->dir.temporary);
    TRY(sub[0] == '\0' ? OK : path_join(dir, o->dir.temporary, sub));
    for (uint32_t s = 0; s < d->shard_count; s++) {
        TRY(name_shard(dir, s, &d->shards[s]));
    }
    return dataset_write(d, dir);
}

enum status prep_output_publish(struct prep_output *o) {
    return new_dir_publish(&o->dir);
}

void prep_output_close(struct prep_output *o) {
    file_close(&o->rejects);
    buf_fini(&o->first);
    for (uint32_t k = 0; k < CLASSES; k++) {
        buf_fini(&o->first_of[k]);
    }
    buf_fini(&o->shards);
    new_dir_close(&o->dir);
}
