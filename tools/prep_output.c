#include "prep_output.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "common/mem.h"

#define FIRST_ROWS_MAX 5u

static enum status temporary_name(struct prep_output *o, const char *dir) {
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    if (n == 0 || n + sizeof ".tmp" > sizeof o->temporary) {
        return fail(ERR_USAGE, "--out is '%.200s', expected a path", dir);
    }
    memcpy(o->dir, dir, n);
    o->dir[n] = '\0';
    char temporary[PATH_BYTES_MAX];
    memcpy(temporary, o->dir, n);
    memcpy(temporary + n, ".tmp", sizeof ".tmp");
    if (file_exists(o->dir)) {
        return fail(ERR_EXISTS, "%s exists already; prep writes a new directory", o->dir);
    }
    TRY(file_remove_tree(temporary));
    memcpy(o->temporary, temporary, n + sizeof ".tmp"); /* from here on it is ours to remove */
    return OK;
}

enum status prep_output_open(struct prep_output *o, const char *dir, double bad_max) {
    static const char head[] = "file\tline\treason\thead of the line\n";
    char path[PATH_BYTES_MAX];
    *o = (struct prep_output){.rejects = FILE_CLOSED, .bad_max = bad_max};
    TRY(temporary_name(o, dir));
    TRY(file_mkdirs(o->temporary));
    TRY(path_join(path, o->temporary, "rejects.tsv"));
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
    const uint64_t rejected = prep_tally_rejected(t);
    if ((double)rejected <= lines * o->bad_max / 100 || rejected == 0) {
        return OK;
    }
    return fail(ERR_LIMIT,
                "%s: %llu of %llu lines rejected, more than --max-bad %g %%; nothing was written. "
                "The first:\n%.*s",
                file, (unsigned long long)rejected, (unsigned long long)t->lines, o->bad_max,
                (int)o->first.len, o->first_rows == 0 ? "" : (const char *)o->first.data);
}

/* --- publication ----------------------------------------------------------------------------- */

static enum status name_shard(const struct prep_output *o, uint32_t number,
                              struct shard_info *info) {
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX], name[sizeof info->name];
    snprintf(name, sizeof name, "shard-%05u.bin", number);
    TRY(path_join(from, o->temporary, info->name));
    TRY(path_join(to, o->temporary, name));
    if (rename(from, to) != 0) { /* the directory is synced once, by the manifest's writer */
        return fail(ERR_IO, "%s: cannot be renamed to %s", from, name);
    }
    memcpy(info->name, name, sizeof name);
    return OK;
}

static enum status remove_index(const struct prep_output *o) {
    static const char *const names[] = {"common.entries", "common.table"};
    char path[PATH_BYTES_MAX];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        TRY(path_join(path, o->temporary, names[k]));
        if (file_exists(path)) {
            TRY(file_remove(path));
        }
    }
    return OK;
}

static void add_up(struct dataset *d) {
    for (uint32_t s = 0; s < d->shard_count; s++) {
        d->impressions += d->shards[s].impressions;
        d->groups += d->shards[s].groups;
        d->clicks += d->shards[s].clicks;
        d->conversions += d->shards[s].conversions;
        d->values += d->shards[s].values;
        weight_sums_add(&d->weights, &d->shards[s].weights);
    }
}

enum status prep_output_seal(struct prep_output *o, struct dataset *d) {
    d->shards = (struct shard_info *)(void *)o->shards.data;
    d->shard_count = (uint32_t)(o->shards.len / sizeof(struct shard_info));
    add_up(d);
    if (d->shard_count == 0) {
        return fail(ERR_FORMAT, "no impressions: nothing to write");
    }
    for (uint32_t s = 0; s < d->shard_count; s++) {
        TRY(name_shard(o, s, &d->shards[s]));
    }
    TRY(file_sync(&o->rejects));
    TRY(file_close(&o->rejects));
    TRY(remove_index(o));
    return dataset_write(d, o->temporary);
}

enum status prep_output_publish(struct prep_output *o) {
    if (file_exists(o->dir)) {
        return fail(ERR_EXISTS, "%s appeared meanwhile; it was left alone", o->dir);
    }
    TRY(file_rename(o->temporary, o->dir));
    o->temporary[0] = '\0';
    return OK;
}

/* The directory is flat. Nothing here asks for memory of ours: there may be none, which is why. */
static void remove_temporary(const char *path) {
    DIR *dir = opendir(path);
    const struct dirent *e;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(path);
}

void prep_output_close(struct prep_output *o) {
    file_close(&o->rejects);
    buf_fini(&o->first);
    for (uint32_t k = 0; k < CLASSES; k++) {
        buf_fini(&o->first_of[k]);
    }
    buf_fini(&o->shards);
    if (o->temporary[0] != '\0') {
        remove_temporary(o->temporary);
        o->temporary[0] = '\0';
    }
}
