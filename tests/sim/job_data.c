/* job_data.c - the data of simulated jobs, their configurations, and what training on them must
 * come to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/checkpoint/manifest.h"
#include "common/data/dataset.h"
#include "common/data/shard_builder.h"
#include "common/job/layout.h"
#include "job.h"
#include "ps/restore.h"

#define SHARDS 3u

#define MUST(expr)                                                                                 \
    do {                                                                                           \
        const enum status must_ = (expr);                                                          \
        if (must_ != OK) {                                                                         \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expr, fail_text());            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct disk *data_disk; /* the data set and nothing else */

static uint64_t user_of(uint64_t impression) {
    return 1 + impression / 3 % JOB_USERS;
}

static void write_shard(struct dataset *d, struct shard_info *info, uint32_t s) {
    struct shard_builder *b = NULL;
    char name[32];
    const uint32_t from = JOB_IMPRESSIONS * s * s / (SHARDS * SHARDS);
    const uint32_t to = JOB_IMPRESSIONS * (s + 1) * (s + 1) / (SHARDS * SHARDS);
    shard_name(s, name);
    MUST(shard_builder_create(&b));
    for (uint32_t i = from; i < to; i++) {
        const struct feature user = {.field = 0, .weight = 1, .id = user_of(i)};
        const struct feature item = {.field = 1, .weight = 1, .id = 1 + i};
        if (i == from || i % 3 == 0) {
            MUST(shard_builder_group(b, i, &user, 1));
        }
        MUST(shard_builder_impression(b, 1 + i, i % 4 == 0, &item, 1));
        d->clicks += i % 4 == 0;
    }
    MUST(shard_builder_write(b, &d->schema, "/data", name, info));
    d->impressions += to - from;
    shard_builder_destroy(&b);
}

static void write_data(void) {
    static struct shard_info infos[SHARDS];
    struct dataset d = {.shards = infos, .shard_count = SHARDS};
    data_disk = disk_create();
    disk_mount(data_disk);
    MUST(schema_add(&d.schema, "user", SIDE_USER));
    MUST(schema_add(&d.schema, "imp", SIDE_ITEM));
    schema_finish(&d.schema);
    MUST(file_mkdirs("/data"));
    MUST(file_mkdirs(JOB_OUT));
    for (uint32_t s = 0; s < SHARDS; s++) {
        write_shard(&d, &infos[s], s);
    }
    snprintf(d.source, sizeof d.source, "test");
    MUST(dataset_write(&d, "/data"));
    disk_mount(NULL);
}

struct disk *job_new_disk(void) {
    if (data_disk == NULL) {
        write_data();
    }
    struct disk *d = disk_crash(data_disk, disk_moment(data_disk), DISK_ALL, 0);
    disk_settle(d);
    return d;
}

/* --- configuration ---------------------------------------------------------------------------- */

enum status __real_config_parse(struct config *c, const char *name, const char *text);
enum status __wrap_config_parse(struct config *c, const char *name, const char *text);

/* All roles of a job parse the same whole text, so the result of the last one is kept. */
enum status __wrap_config_parse(struct config *c, const char *name, const char *text) {
    static struct config kept;
    static char *kept_text;
    if (kept_text != NULL && strcmp(kept_text, text) == 0) {
        *c = kept;
        return OK;
    }
    TRY(__real_config_parse(c, name, text));
    free(kept_text);
    kept_text = strdup(text);
    kept = *c;
    return OK;
}

/* --- shapes ----------------------------------------------------------------------------------- */

static void set(struct job_shape *s, const char *key, const char *value) {
    char text[64];
    snprintf(text, sizeof text, "%s=%s", key, value);
    MUST(config_set(&s->config, text));
}

static void set_number(struct job_shape *s, const char *key, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    set(s, key, text);
}

void job_shape_draw(struct job_shape *s) {
    static const char *const fixed[][2] = {
        {"model.name", "count"},
        {"model.tower", "1"},
        {"table.dim", "1"},
        {"table.init_scale", "0"},
        {"table.optimizer", "sgd"},
        {"table.lr", "1"},
        {"dense.optimizer", "sgd"},
        {"dense.lr", "1"},
        {"net.heartbeat_ms", "20"},
        {"net.request_ms", "50"},
        {"net.give_up_ms", "400"},
        {"net.lease_ms", "150"},
        {"net.stall_ms", "4000"},
        {"net.message_bytes_max", "65536"},
        {"server.copy_bytes", "65536"},
        {"recovery.wait_seconds", "3"},
        {"train.poison", "fail"},
    };
    static const char *const consistencies[] = {"async", "async", "sync", "hybrid"};
    const char *consistency = consistencies[sim_below(4)];
    const uint64_t batch = 3 + sim_below(4), window = sim_below(2) * (8 + sim_below(40));
    const uint64_t every = sim_below(4) * 8, keep = 1 + sim_below(2);
    const uint64_t epochs = 1 + (sim_below(4) == 0);
    const bool deterministic = sim_below(8) == 0;
    *s = (struct job_shape){.servers = 1 + (uint32_t)sim_below(2),
                            .partitions = 1 + (sim_below(4) == 0),
                            .workers = 1 + (uint32_t)sim_below(3),
                            .trainers = 1 + (sim_below(4) == 0),
                            .evaluates = sim_below(6) == 0,
                            .train_ms = sim_below(4) == 0 ? 60 : 12};
    config_default(&s->config);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        set(s, fixed[i][0], fixed[i][1]);
    }
    set(s, "train.consistency", deterministic ? "async" : consistency);
    set_number(s, "train.batch", batch);
    set_number(s, "train.window", window);
    set_number(s, "train.epochs", epochs);
    set_number(s, "train.in_flight", sim_below(4));
    set_number(s, "train.staleness_max", sim_below(4));
    set_number(s, "checkpoint.every_impressions", every);
    set_number(s, "checkpoint.keep", keep);
    set_number(s, "server.ticket_ms", sim_below(4) == 0 ? 1 : 60000);
    /* The files of a deterministic job are compared: whole ones. */
    set_number(s, "checkpoint.full_every", deterministic ? 1 : 1 + sim_below(3));
    set_number(s, "eval.every_impressions", s->evaluates ? sim_below(3) * 15 : 0);
    set(s, "train.deterministic", deterministic ? "true" : "false");
    snprintf(s->text, sizeof s->text,
             "%u servers x %u, %u workers x %u, %s%s, batch %llu, window %llu, %llu epochs, "
             "a cut every %llu, keep %llu%s",
             s->servers, s->partitions, s->workers, s->trainers,
             deterministic ? "deterministic " : "", consistency, (unsigned long long)batch,
             (unsigned long long)window, (unsigned long long)epochs, (unsigned long long)every,
             (unsigned long long)keep, s->evaluates ? ", evaluated" : "");
}

/* --- the oracle ------------------------------------------------------------------------------- */

/* The rows of all features of a partition that owns all buckets. */
static enum status pull_all(struct partition *p, float *users, float *impressions, size_t dense) {
    uint64_t ids[JOB_USERS + JOB_IMPRESSIONS];
    const uint32_t counts[FIELDS_MAX] = {JOB_USERS, JOB_IMPRESSIONS};
    float *values = NULL;
    struct pull_result result;
    for (uint32_t i = 0; i < JOB_USERS + JOB_IMPRESSIONS; i++) {
        ids[i] = 1 + (i < JOB_USERS ? i : i - JOB_USERS);
    }
    const struct key_list keys = {
        .counts = counts, .ids = ids, .total = JOB_USERS + JOB_IMPRESSIONS};
    TRY(mem_array(&values, keys.total + dense));
    const enum status status = partition_pull(p, &keys, false, values, &result);
    if (status == OK) {
        memcpy(users, values, JOB_USERS * sizeof *users);
        memcpy(impressions, values + JOB_USERS, JOB_IMPRESSIONS * sizeof *impressions);
    }
    mem_free(&values);
    return status;
}

static enum status load_newest(const struct job_shape *s, float *users, float *impressions,
                               uint64_t *step) {
    char dir[PATH_BYTES_MAX];
    struct manifest m = {0};
    struct partition *p = NULL;
    static struct layout layout;
    TRY(manifest_find(JOB_OUT, dir));
    TRY(manifest_read(&m, dir));
    *step = m.step;
    enum status status;
    TRY_OUT(layout_init(&layout, &s->config, &m.schema, m.rate_ctr, m.rate_cvr));
    const struct partition_spec spec = {.config = &s->config,
                                        .schema = &m.schema,
                                        .layout = &layout,
                                        .batches_per_shard = m.batches_per_shard,
                                        .shards = m.shards,
                                        .bucket_end = BUCKETS};
    TRY_OUT(partition_create(&p, &spec));
    TRY_OUT(partition_restore(p, dir, &m));
    TRY_OUT(pull_all(p, users, impressions, layout.count));
out:
    partition_destroy(&p);
    manifest_free(&m);
    return status;
}

bool job_counts(const struct job_shape *s, char *why, size_t bytes) {
    float users[JOB_USERS], impressions[JOB_IMPRESSIONS], expected[JOB_USERS] = {0};
    uint64_t step = 0;
    const enum status status = load_newest(s, users, impressions, &step);
    if (status != OK) {
        snprintf(why, bytes, "the newest checkpoint does not load: %s", fail_text_of(status));
        return false;
    }
    for (uint32_t i = 0; i < JOB_IMPRESSIONS; i++) {
        expected[user_of(i) - 1] += (float)s->config.epochs;
        if (fabsf(impressions[i] - (float)s->config.epochs) > 0) {
            snprintf(why, bytes, "impression %u counts %g times, expected %u (step %llu)", i + 1,
                     (double)impressions[i], s->config.epochs, (unsigned long long)step);
            return false;
        }
    }
    for (uint32_t u = 0; u < JOB_USERS; u++) {
        if (fabsf(users[u] - expected[u]) > 0) {
            snprintf(why, bytes, "user %u counts %g times, expected %g", u + 1, (double)users[u],
                     (double)expected[u]);
            return false;
        }
    }
    return true;
}

uint64_t job_parts(void) {
    char dir[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    struct manifest m = {0};
    uint64_t sum = 0;
    if (manifest_find(JOB_OUT, dir) != OK || manifest_read(&m, dir) != OK) {
        return 0;
    }
    for (uint32_t k = 0; k < m.part_count; k++) {
        size_t bytes = 0;
        const uint8_t *data = path_join(path, dir, m.parts[k].name) == OK
                                  ? disk_bytes(disk_mounted(), path, &bytes)
                                  : NULL;
        sum = rng_mix(sum ^ (data == NULL ? 0 : hash_bytes(data, bytes)));
    }
    manifest_free(&m);
    return sum;
}
