/* checkpoints.c - decides when to cut, and commits the cut.
 *
 * A cut is written to its own directory step-cut-K.tmp, because the number of batches it holds is
 * known only when all parts are reported. Then the directory is renamed to step-N.tmp, the manifest
 * is written into it, and publishing renames it to step-N. If the newest checkpoint is of the same
 * step, the new cut holds nothing more and is dropped.
 *
 * Asynchronous and synchronous jobs are cut while they train: the parts of the partitions may then
 * differ by the batches in flight. Each part says exactly which names it has, and the job resumes
 * with the names that all parts have. (Names that only some parts have are trained again; the
 * partitions that have them answer the pushes as duplicates.)
 *
 * A deterministic job cannot be cut that way. Say part A lacks batch k and part B has it: after the
 * resume, k would be computed from A's old rows and B's new ones, and the bytes would differ from
 * those of an undisturbed run. So its cuts are made with nothing in flight. From the moment a cut
 * is due, no lease is granted. The lease that is out comes back only when its pushes are
 * acknowledged; then the cut is made, and then leases are granted again. So the cuts of such a job
 * lie between ranges, and returned ranges decide when a cut is due.
 *
 * checkpoint.every_shards asks for a checkpoint after exactly the first K, 2K, ... shards of an
 * epoch, for instance to evaluate each on the data that come after it. In any job these cuts are
 * made with nothing in flight: no lease beyond the K-th shard is granted until the cut is over. In
 * a mixed job, where no shard is trained by itself, K stands for as many impressions as K shards
 * have on average: the cut falls after the range that completes them. Which ranges those are is the
 * epoch's order with one worker and in deterministic jobs, else the order of the grants.
 *
 * With checkpoint.full_every = N, N - 1 deltas follow on each full checkpoint, each made against
 * the newest committed one. The servers keep what changed since then until the order of the next
 * cut names a newer committed one, so a cut that fails loses no change. A full one comes earlier as
 * soon as the deltas have more bytes than the full one before them, because whoever reads a delta
 * reads all of them; and the last checkpoint of a job that came to its end is full.
 *
 * If a cut fails, only that checkpoint is lost: it is counted, what was written of it is removed,
 * and the next cut tries again. The final one is tried FINAL_TRIES times before the job fails,
 * unless it failed because somebody did not report at all.
 */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "state.h"

#define RETRY_MS                 1000 /* of a cut that a server waits for */
#define SLOWEST_DISK_BYTES_PER_S (20u << 20)
#define FINAL_TRIES              3u
#define FINAL_PAUSE_MS           1000u
#define LOG_AGAIN_MS             10000u

static uint64_t trained(const struct coord *c) {
    return c->config->deterministic ? c->leases.done_impressions - c->restored_impressions
                                    : c->progress.totals.impressions;
}

/* A server's push logs get too long; a cut that fails does not help, and is not made at once again.
 */
static bool log_due(const struct checkpoints *s, uint64_t now_ms) {
    return s->log_full && now_ms - s->ended_ms >= (s->ended_badly ? LOG_AGAIN_MS : 0);
}

void checkpoints_log(struct coord *c, uint64_t log_bytes, uint64_t now_ms) {
    struct checkpoints *s = &c->checkpoints;
    const uint64_t heard_ms = s->ended_ms + 3ull * c->config->heartbeat_ms;
    if (log_bytes <= c->config->push_log_bytes || s->cut.busy || now_ms < heard_ms) {
        return; /* or the server has not heard of the last checkpoint yet */
    }
    if (!s->log_full) {
        log_info("push logs of %.1f MB: a checkpoint is made (recovery.log_bytes)",
                 (double)log_bytes / 1e6);
    }
    s->log_full = true;
}

/* Whether a server that was told to end waits for a cut. Each waits for the first that begins after
 * it was heard of. */
static bool server_awaits_cut(struct coord *c, uint64_t now_ms) {
    const struct checkpoints *k = &c->checkpoints;
    bool any = false;
    for (uint32_t i = 0; i < c->members.servers; i++) {
        struct member *s = &c->members.server[i];
        if (s->leaving && s->state == MEMBER_SERVING && s->leaves_after == 0) {
            s->leaves_after = k->cut.number + 1;
            log_info("server %u was told to end: saving a checkpoint before it goes", i);
        }
        const bool tried = k->cut.number >= s->leaves_after; /* and failed */
        any |= s->leaving && s->state == MEMBER_SERVING && s->leaves_after > k->saved &&
               (!tried || now_ms - k->last_ms >= RETRY_MS);
    }
    return any;
}

static bool checkpoint_due(struct coord *c, uint64_t now_ms) {
    const struct config *k = c->config;
    if (c->phase != PHASE_TRAIN || c->stopped) {
        return false;
    }
    return log_due(&c->checkpoints, now_ms) || server_awaits_cut(c, now_ms) ||
           (k->every_impressions > 0 &&
            trained(c) >= c->checkpoints.last_impressions + k->every_impressions) ||
           (k->every_seconds > 0 &&
            now_ms - c->checkpoints.last_ms >=
                recover_cut_ms(&c->recover, k->every_seconds * 1000) &&
            trained(c) > c->checkpoints.last_impressions); /* a stream may pause */
}

/* How many shards are worth `leases` leases with so many impressions. */
static uint64_t worth_shards(const struct coord *c, uint64_t leases, uint64_t impressions) {
    if (!c->leases.mixed || c->ranges.sampled == 0) {
        return leases;
    }
    return (uint64_t)((unsigned __int128)impressions * c->ranges.shards / c->ranges.sampled);
}

static uint64_t shards_back(const struct coord *c) {
    return worth_shards(c, c->leases.back, c->leases.back_impressions);
}

static uint64_t shards_granted(const struct coord *c) {
    return worth_shards(c, (uint64_t)c->leases.out + c->leases.back,
                        c->leases.out_impressions + c->leases.back_impressions);
}

/* How many shards' worth must be back for the next cut between shards. */
static uint64_t boundary(const struct coord *c) {
    uint64_t every = c->config->every_shards;
    return (c->checkpoints.last_shards / every + 1) * every;
}

static bool counts_shards(const struct coord *c) {
    return c->config->every_shards > 0 && c->leases.kind == LEASE_TRAIN && !c->stopped;
}

bool checkpoints_shards_due(const struct coord *c) {
    return counts_shards(c) && c->phase == PHASE_TRAIN && c->leases.out == 0 &&
           shards_back(c) >= boundary(c);
}

bool checkpoints_holds(const struct coord *c) {
    return c->checkpoints.hold || (counts_shards(c) && shards_granted(c) >= boundary(c));
}

void checkpoints_mark(struct coord *c) {
    c->checkpoints.last_shards = shards_back(c);
}

/* Two checkpoints have the same id only if they are the same: the id is made of what the job is and
 * which of its cuts this is. For a deterministic job the latter is what the cut holds, so that two
 * runs, or a resumed one, give the same bytes. For other jobs the random number of the job tells
 * runs apart. The id is never 0. */
static uint64_t cut_id(const struct coord *c) {
    const char *config = c->job_plan.config_text;
    const bool same = c->config->deterministic;
    const uint64_t words[] = {hash_bytes(config, strlen(config)), c->data_checksum,
                              same ? 0 : c->job,
                              same ? applied_count(c->leases.done) : c->checkpoints.cut.number};
    return hash_bytes(words, sizeof words) | 1;
}

struct manifest_base checkpoints_as_base(const struct manifest *m) {
    const struct manifest_base *before = manifest_base(m);
    return (struct manifest_base){.step = m->step,
                                  .cut = m->cut,
                                  .depth = before == NULL ? 0 : before->depth,
                                  .full_bytes =
                                      before == NULL ? manifest_bytes(m) : before->full_bytes,
                                  .delta_bytes = before == NULL ? 0 : before->delta_bytes};
}

/* Whether the next cut is to be a delta: the chain that it would lengthen is short, small and still
 * there. */
static bool wants_delta(const struct coord *c) {
    const struct checkpoints *s = &c->checkpoints;
    const struct manifest_base *b = &s->base;
    return b->cut != 0 && b->depth + 1 < c->config->full_every && b->delta_bytes <= b->full_bytes &&
           (!s->final_wanted || c->stopped) && manifest_is_there(s->newest);
}

static enum status checkpoint_begin(struct coord *c, uint64_t now_ms) {
    struct checkpoints *s = &c->checkpoints;
    struct progress_server servers;
    char name[32], dir[PATH_BYTES_MAX];
    s->last_ms = now_ms; /* a cut that cannot begin is tried again when the next is due */
    s->last_impressions = trained(c);
    s->log_full = false;
    s->final_begun = s->final_wanted;
    snprintf(name, sizeof name, "step-cut-%06llu.tmp", (unsigned long long)s->cut.number + 1);
    TRY(path_join(dir, c->root, name));
    if (strlen(dir) >= WIRE_TEXT_MAX) {
        return fail(ERR_LIMIT, "%s: the path is too long to be sent, at most %d bytes", dir,
                    WIRE_TEXT_MAX - 1);
    }
    progress_servers(&c->progress, &servers);
    uint64_t write_ms = servers.bytes * 1000 / SLOWEST_DISK_BYTES_PER_S;
    if (s->hold) { /* other cuts may contain more than what is back */
        checkpoints_mark(c);
    }
    cut_begin(&s->cut, dir, now_ms, now_ms + 4ull * c->config->give_up_ms + write_ms);
    s->cut.id = cut_id(c);
    s->cut.committed = s->base.cut;
    s->cut.delta = wants_delta(c);
    keep_cut_begins(c);
    manifest_sweep(c->root); /* what an earlier failure left takes room */
    notes_cut(c);
    TRY(file_remove_tree(dir));
    return file_mkdirs(dir);
}

/* --- commit ----------------------------------------------------------------------------------- */

void values_read(const struct coord *c, uint64_t impressions, uint64_t values[FIELDS_MAX]) {
    const double share = (double)impressions / (double)c->data.impressions;
    for (uint32_t f = 0; f < c->data.schema.count; f++) {
        const double all = (double)c->data.field_values[f];
        values[f] = (uint64_t)(share < 1 ? share * all : all);
    }
}

/* The base of a delta. If no server could make one, all parts are whole: a full checkpoint. */
static struct manifest_base base_of(const struct coord *c, const struct manifest *m) {
    struct manifest_base base = c->checkpoints.base;
    bool changes = false;
    for (uint32_t p = 0; p < m->part_count; p++) {
        changes |= c->checkpoints.cut.delta && !m->parts[p].whole;
    }
    if (!changes) {
        return (struct manifest_base){0};
    }
    base.depth++;
    base.delta_bytes += manifest_bytes(m);
    return base;
}

static enum status fill_manifest(const struct coord *c, struct manifest *m, struct buf *applied) {
    const struct cut *cut = &c->checkpoints.cut;
    *m = (struct manifest){.step = applied_count(cut->applied),
                           .saved_at = clock_wall_s(),
                           .seed = c->config->seed,
                           .rate_ctr = c->job_plan.rate_ctr,
                           .rate_cvr = c->job_plan.rate_cvr,
                           .sample_rate = c->job_plan.sample_rate,
                           .config_text = c->job_plan.config_text,
                           .schema = c->data.schema,
                           .fields = c->data.fields,
                           .batches_per_shard = c->ranges.batches,
                           .shards = c->ranges.count,
                           .data_checksum = c->data_checksum,
                           .cut = cut->id,
                           .parts = cut->part,
                           .part_count = cut->partitions};
    m->base = base_of(c, m);
    TRY(batch_plan_applied(&c->plan, cut->applied, &m->impressions));
    values_read(c, m->impressions, m->field_values);
    TRY(applied_encode(cut->applied, applied));
    m->applied = applied->data;
    m->applied_bytes = applied->len;
    return OK;
}

/* A delta without its base could be read by nobody. */
static enum status base_is_there(const struct coord *c, const struct manifest *m) {
    return manifest_base(m) == NULL || manifest_is_there(c->checkpoints.newest)
               ? OK
               : fail(ERR_NOT_FOUND, "%s is gone, and the new checkpoint needs it",
                      c->checkpoints.newest);
}

static enum status checkpoint_publish(struct coord *c, const struct manifest *m,
                                      const char *final) {
    char staging[PATH_BYTES_MAX];
    char name[40];
    manifest_dir_name(m->step, name);
    strcat(name, ".tmp");
    TRY(path_join(staging, c->root, name));
    TRY(file_remove_tree(staging));
    TRY(file_rename(c->checkpoints.cut.dir, staging));
    enum status status = manifest_write(m, staging);
    if (status == OK) {
        status = manifest_publish(c->root, m->step);
    }
    if (status != OK && !file_exists(final)) {
        struct cause cause = {0};
        cause_keep(&cause, status);
        file_remove_tree(staging);
        return cause_again(&cause);
    }
    return status;
}

static void say_saved(struct coord *c, const struct manifest *m, uint64_t now_ms) {
    double seconds = (double)(now_ms - c->checkpoints.cut.began_ms) / 1000.0;
    const uint64_t rows = manifest_rows(m), bytes = manifest_bytes(m);
    log_info("checkpoint of step %llu: %llu %s, %.1f MB in %.1f s: %s", (unsigned long long)m->step,
             (unsigned long long)rows, manifest_base(m) == NULL ? "rows" : "changed rows",
             (double)bytes / 1e6, seconds, c->checkpoints.newest);
    struct json *j = event_log_event(&c->event_log, "checkpoint");
    json_u64(j, "step", m->step);
    json_u64(j, "impressions", m->impressions);
    json_u64(j, "rows", rows);
    json_u64(j, "depth", m->base.depth);
    json_u64(j, "bytes", bytes);
    json_f64(j, "seconds", seconds);
    json_str(j, "path", c->checkpoints.newest);
    event_log_event_end(&c->event_log);
}

static enum status checkpoint_commit(struct coord *c, uint64_t now_ms) {
    struct manifest m;
    struct buf applied = BUF_EMPTY;
    char name[32];
    enum status status;
    TRY_OUT(fill_manifest(c, &m, &applied));
    manifest_dir_name(m.step, name);
    char path[PATH_BYTES_MAX];
    TRY_OUT(path_join(path, c->root, name));
    /* A full one at the end takes the place of a delta of the same step. */
    const bool fuller =
        m.base.cut == 0 && c->checkpoints.base.depth > 0 && !c->checkpoints.cut.delta;
    if (strcmp(path, c->checkpoints.newest) == 0 && file_exists(path) && !fuller) {
        log_info("%s has all of it: nothing new to save", path);
        TRY_OUT(file_remove_tree(c->checkpoints.cut.dir));
    } else {
        TRY_OUT(base_is_there(c, &m));
        TRY_OUT(checkpoint_publish(c, &m, path));
        keep_published(c, m.step);
        memcpy(c->checkpoints.newest, path, sizeof path);
        c->checkpoints.newest_step = m.step;
        c->checkpoints.base = checkpoints_as_base(&m);
        c->checkpoints.newest_cut = m.cut;
        c->checkpoints.count++;
        recover_saved(&c->recover);
        say_saved(c, &m, now_ms);
    }
    keep_saved(c);
out:
    buf_fini(&applied);
    return status;
}

static void say_failed(struct coord *c, const struct cause *cause, bool again) {
    log_error("checkpoint failed, %s: %s",
              !c->checkpoints.final_begun ? "training goes on"
              : again                     ? "it is tried again"
                                          : "it was the final one",
              cause->text);
    struct json *j = event_log_event(&c->event_log, "checkpoint_failed");
    json_u64(j, "failures", c->checkpoints.failures);
    json_bool(j, "final", c->checkpoints.final_begun);
    json_str(j, "cause", cause->text);
    event_log_event_end(&c->event_log);
}

/* The disk may have had a bad moment: all that was trained since the last checkpoint is worth
 * another try. A partition that has not reported may still be writing, and will not report. */
static bool final_again(struct coord *c, uint64_t now_ms) {
    struct checkpoints *s = &c->checkpoints;
    if (!s->final_begun || s->cut.reports < s->cut.partitions ||
        ++s->final_failures == FINAL_TRIES) {
        return false;
    }
    s->final_again_ms = now_ms + FINAL_PAUSE_MS;
    return true;
}

/* The cut is over, whether it succeeded or failed. */
static enum status checkpoint_conclude(struct coord *c, uint64_t now_ms) {
    struct checkpoints *s = &c->checkpoints;
    enum status status =
        s->cut.failed ? fail(ERR_PEER, "%s", s->cut.text) : checkpoint_commit(c, now_ms);
    struct cause cause = {0};
    cause_keep(&cause, status);
    cut_end(&s->cut);
    s->hold = false;
    s->ended_ms = now_ms;
    s->ended_badly = status != OK;
    if (status == OK) {
        s->saved = s->cut.number;
        s->final_done = s->final_begun;
        notes_renew(c);
        return OK;
    }
    const bool again = final_again(c, now_ms);
    s->failures++;
    say_failed(c, &cause, again);
    if (file_remove_tree(s->cut.dir) != OK) {
        log_warn("what was written stays until the next checkpoint: %s", fail_text());
    }
    if (s->final_begun && !again) {
        return fail(status, "the final checkpoint failed: %s", cause.text);
    }
    s->final_begun = false;
    return OK;
}

void checkpoints_new_life(struct coord *c) {
    c->checkpoints.last_impressions = trained(c);
}

void checkpoints_final(struct coord *c) {
    c->checkpoints.final_wanted = true;
}

/* Begins a cut. If it cannot begin, the rule is the same as for a cut that fails later. */
static enum status begin_or_fail(struct coord *c, uint64_t now_ms) {
    if (checkpoint_begin(c, now_ms) == OK) {
        return OK;
    }
    c->checkpoints.cut.failed = true;
    c->checkpoints.cut.reports = c->checkpoints.cut.partitions;
    snprintf(c->checkpoints.cut.text, sizeof c->checkpoints.cut.text, "%.511s", fail_text());
    return checkpoint_conclude(c, now_ms);
}

enum status checkpoints_step(struct coord *c, uint64_t now_ms) {
    struct checkpoints *s = &c->checkpoints;
    if (s->cut.busy) {
        return cut_over(&s->cut, now_ms) ? checkpoint_conclude(c, now_ms) : OK;
    }
    if (s->final_wanted && !s->final_begun) {
        return now_ms >= s->final_again_ms ? begin_or_fail(c, now_ms) : OK;
    }
    if (keep_wants_cut(c)) { /* training stands still: nothing is in flight */
        return begin_or_fail(c, now_ms);
    }
    if (checkpoints_shards_due(c)) {
        s->hold = true;
        return begin_or_fail(c, now_ms);
    }
    if (!s->hold && !checkpoint_due(c, now_ms)) {
        return OK;
    }
    if (c->config->deterministic && c->leases.out > 0) {
        s->hold = true;
        return OK;
    }
    s->hold = c->config->deterministic;
    return begin_or_fail(c, now_ms);
}
