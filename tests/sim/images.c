/* images.c - what is found after the power failed while checkpoints were being saved.
 *
 *     images [IMAGES]        about so many disks; 2000 by default
 *
 * Partitions are trained and saved several times to a disk in memory (disk.h), with retention, once
 * at a step that is saved already, and also where names cannot be exchanged. Then the disk after a
 * loss of power is built for every moment of that, in several ways each, and loaded with the code
 * that a job resumes with. It must hold exactly the state of the newest committed save, or of
 * the one under way. Only while none is committed may there be no checkpoint.
 */
#include <errno.h>

#include "common/base/file_ops.h"
#include "common/base/log.h"
#include "common/checkpoint/shelf.h"
#include "tests/job_sample.h"
#include "disk.h"

#define SAVES      5u
#define PARTS      2u
#define KEEP       1u
#define CHECKPOINT "/run/checkpoints"

struct save {
    uint64_t step, digest;
    size_t begun, done; /* moments */
};
struct record {
    struct small_job job;
    struct disk *disk;
    struct save save[SAVES];
};
struct tally {
    uint64_t images, newest, before, none, failures;
};

/* --- recording -------------------------------------------------------------------------------- */

/* All that a pull and the clock say of the partitions. */
static uint64_t digest_of(struct small_job *j) {
    uint64_t sum = 0;
    uint32_t begin = 0;
    for (uint32_t p = 0; p < j->parts; p++) {
        const uint32_t end =
            p + 1 == j->parts ? BUCKETS : begin + BUCKETS / j->parts - (p % 2 == 0 ? 100 : 0);
        static uint64_t ids[FIELDS_MAX * JOB_IDS];
        uint32_t counts[FIELDS_MAX] = {0};
        size_t total = 0;
        for (uint32_t f = 0; f < j->schema.count; f++) {
            for (uint64_t id = 1; id <= JOB_IDS; id++) {
                const uint32_t bucket = hash_bucket(hash_key(j->schema.fields[f].salt, id));
                if (bucket >= begin && bucket < end) {
                    ids[total++] = id;
                    counts[f]++;
                }
            }
        }
        const struct key_list keys = {.counts = counts, .ids = ids, .total = total};
        const size_t floats = partition_pull_floats(j->part[p], &keys, true);
        float *values = NULL;
        struct pull_result result;
        JOB_MUST(mem_array(&values, floats));
        JOB_MUST(partition_pull(j->part[p], &keys, true, values, &result));
        sum = hash_bytes(values, floats * sizeof *values) ^ rng_mix(sum) ^ result.version;
        mem_free(&values);
        begin = end;
    }
    return sum;
}

static int no_exchange(void *self, const char *call) {
    (void)self;
    return strcmp(call, "exchange") == 0 ? EINVAL : 0;
}

/* As the coordinator commits a cut (coord/checkpoints.c): the parts are in step-cut-K.tmp, which
 * becomes step-N.tmp, gets its manifest and is published. */
static void save(struct record *r, uint32_t k) {
    struct small_job *j = &r->job;
    char cut[64], name[40], staging[PATH_BYTES_MAX], from[PATH_BYTES_MAX];
    r->save[k].begun = disk_moment(r->disk);
    r->save[k].step = j->pushes;
    r->save[k].digest = digest_of(j);
    snprintf(cut, sizeof cut, "checkpoints/step-cut-%06u.tmp", k + 1);
    job_path(j, cut, from);
    manifest_dir_name(j->pushes, name);
    strcat(name, ".tmp");
    JOB_MUST(path_join(staging, CHECKPOINT, name));
    JOB_MUST(file_remove_tree(from));
    JOB_MUST(file_mkdirs(from));
    job_save(j, cut);
    JOB_MUST(file_remove_tree(staging));
    JOB_MUST(file_rename(from, staging));
    JOB_MUST(manifest_publish(CHECKPOINT, j->pushes));
    struct shelf shelf = {0};
    JOB_MUST(shelf_read(&shelf, CHECKPOINT, j->pushes));
    shelf_clean(&shelf, CHECKPOINT, &(struct retention){.newest = KEEP});
    shelf_free(&shelf);
    r->save[k].done = disk_moment(r->disk);
}

/* The last but one save is of a step that is saved already. */
static void record_saves(struct record *r, bool exchange) {
    *r = (struct record){.disk = disk_create()};
    disk_mount(r->disk);
    if (!exchange) {
        disk_trouble(r->disk, no_exchange, NULL);
    }
    job_init(&r->job, 11, NULL);
    (void)file_ops_system.rmdir(r->job.root);
    strcpy(r->job.root, "/run");
    JOB_MUST(file_mkdirs(CHECKPOINT));
    job_start(&r->job, PARTS);
    for (uint32_t k = 0; k < SAVES; k++) {
        job_push(&r->job, k + 2 == SAVES ? 0 : 4);
        save(r, k);
    }
    job_stop(&r->job);
}

/* --- loading ---------------------------------------------------------------------------------- */

static enum status load(struct small_job *j, uint64_t *step, uint64_t *digest) {
    char dir[PATH_BYTES_MAX];
    struct manifest m = {0};
    TRY(manifest_find("/run", dir));
    TRY(manifest_read(&m, dir));
    *step = m.step;
    job_start(j, PARTS);
    enum status status = OK;
    for (uint32_t p = 0; p < PARTS && status == OK; p++) {
        status = partition_restore(j->part[p], dir, &m);
    }
    if (status == OK) {
        *digest = digest_of(j);
    }
    manifest_free(&m);
    return status;
}

static bool is_save(const struct save *s, uint64_t step, uint64_t digest) {
    return s->step == step && s->digest == digest;
}

/* Loads the mounted disk; false: it holds something else than it should. */
static bool check(struct record *r, size_t moment, struct tally *t) {
    uint64_t step = 0, digest = 0;
    uint32_t committed = 0;
    while (committed < SAVES && r->save[committed].done <= moment) {
        committed++;
    }
    const struct save *before = committed > 0 ? &r->save[committed - 1] : NULL;
    const struct save *next = committed < SAVES ? &r->save[committed] : NULL;
    const enum status status = load(&r->job, &step, &digest);
    t->images++;
    if (status == OK && before != NULL && is_save(before, step, digest)) {
        t->before++;
        return true;
    }
    if (status == OK && next != NULL && moment > next->begun && is_save(next, step, digest)) {
        t->newest++;
        return true;
    }
    if (status == ERR_NOT_FOUND && before == NULL) {
        t->none++;
        return true;
    }
    t->failures++;
    fprintf(stderr, "step %llu, %s\n", (unsigned long long)step,
            status == OK ? "but not its state" : fail_text_of(status));
    return false;
}

static void fail_at(struct disk *d, size_t moment, enum disk_luck luck, uint64_t seed) {
    static const char *const lucks[] = {"all", "none", "names", "data", "some", "torn"};
    char what[256];
    disk_describe(d, moment, what, sizeof what);
    fprintf(stderr, "  moment %zu of %zu (after: %s), unsynced: %s, seed %llu\n", moment,
            disk_moment(d), what, lucks[luck], (unsigned long long)seed);
}

/* `draws` disks for each moment and each luck that has any chance in it. */
static void crash_everywhere(struct record *r, uint64_t draws, struct tally *t) {
    for (size_t moment = 0; moment <= disk_moment(r->disk); moment++) {
        for (uint32_t luck = 0; luck < DISK_LUCKS; luck++) {
            for (uint64_t seed = 0; seed < (luck < DISK_SOME ? 1 : draws); seed++) {
                struct disk *image = disk_crash(r->disk, moment, luck, seed);
                disk_mount(image);
                if (!check(r, moment, t) && t->failures < 20) {
                    fail_at(r->disk, moment, luck, seed);
                }
                disk_mount(NULL);
                disk_destroy(&image);
            }
        }
    }
}

int main(int argc, char **argv) {
    const uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
    struct tally t = {0};
    static struct record r;
    log_level_set(LOG_ERROR + 1);
    for (int exchange = 1; exchange >= 0; exchange--) {
        record_saves(&r, exchange != 0);
        const uint64_t moments = disk_moment(r.disk) + 1;
        const uint64_t certain = DISK_SOME, chancy = DISK_LUCKS - DISK_SOME;
        const uint64_t each = wanted / 2 / moments;
        crash_everywhere(&r, each > certain ? (each - certain) / chancy + 1 : 1, &t);
        job_stop(&r.job);
        disk_destroy(&r.disk);
    }
    printf("%llu disks: %llu had the save under way, %llu the one before, %llu none was needed; "
           "%llu failures\n",
           (unsigned long long)t.images, (unsigned long long)t.newest, (unsigned long long)t.before,
           (unsigned long long)t.none, (unsigned long long)t.failures);
    return t.failures > 0;
}
