#include "shard_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/job/applied.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/thread.h"

#define WAIT_LOOK_MS 200
#define STREAM_SALT  0x73747265616d0001u /* differs from the hash of a file with the same bytes */

void shard_stream_init(struct shard_stream *s, const char *dir) {
    *s = (struct shard_stream){.dir = dir};
}

static enum status stream_file_there(const char *dir, const char *name, bool *there) {
    char path[PATH_BYTES_MAX];
    TRY(path_join(path, dir, name));
    *there = file_exists(path);
    return OK;
}

/* At the end of the stream: looks for a shard beyond the missing one. */
static enum status check_gap(const struct shard_stream *s) {
    struct file_list list;
    enum status status = OK;
    char missing[sizeof((struct shard_info){0}.name)];
    shard_name(s->next, missing);
    TRY(file_list_dir(&list, s->dir));
    for (size_t i = 0; i < list.count && status == OK; i++) {
        unsigned number;
        int bytes = 0;
        if (sscanf(list.names[i], "shard-%9u.bin%n", &number, &bytes) == 1 && bytes > 0 &&
            list.names[i][bytes] == '\0' && number > s->next) {
            status = fail(ERR_CORRUPT, "%s: %s is there, but %s is missing", s->dir, list.names[i],
                          missing);
        }
    }
    file_list_free(&list);
    return status;
}

enum status shard_stream_look(struct shard_stream *s, struct shard_info *info, bool *found) {
    char name[sizeof info->name];
    bool there = false, end = false;
    *found = false;
    shard_name(s->next, name);
    TRY(stream_file_there(s->dir, name, &there));
    if (!there) {
        TRY(stream_file_there(s->dir, "end", &end));
        if (!end) {
            return OK;
        }
        TRY(stream_file_there(s->dir, name, &there)); /* it may have come just before the end */
    }
    if (!there) {
        TRY(check_gap(s));
        s->ended = true;
        return OK;
    }
    if (s->next >= APPLIED_SHARDS_MAX) {
        return fail(ERR_LIMIT, "%s/%s: a job follows at most %u shards", s->dir, name,
                    APPLIED_SHARDS_MAX);
    }
    TRY(shard_peek(s->dir, name, info));
    s->next++;
    *found = true;
    return OK;
}

enum status shard_stream_wait(const char *dir) {
    char name[sizeof((struct shard_info){0}.name)];
    bool there = false, end = false;
    shard_name(0, name);
    for (;;) {
        TRY(stream_file_there(dir, "end", &end)); /* before looking for the shard, which is older */
        TRY(stream_file_there(dir, name, &there));
        if (there) {
            return OK;
        }
        if (end) {
            return fail(ERR_NOT_FOUND, "%s: the stream has ended without a shard", dir);
        }
        if (stop_requested()) {
            return fail(ERR_CLOSED, "stopped by signal %d before the first shard came",
                        stop_signal());
        }
        clock_sleep_ms(WAIT_LOOK_MS);
    }
}

uint64_t shard_stream_checksum(const struct schema *schema) {
    uint64_t chain[3] = {STREAM_SALT, 0, 0};
    for (uint32_t f = 0; f < schema->count; f++) {
        chain[1] = schema->fields[f].salt;
        chain[2] = schema->fields[f].side == SIDE_USER ? 0 : 1;
        chain[0] = hash_bytes(chain, sizeof chain);
    }
    return chain[0];
}
