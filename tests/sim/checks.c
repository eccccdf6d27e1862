/* checks.c - the checks, planted bugs and coverage of the simulator (see checks.h). */
#include "checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/rng.h"
#include "common/checkpoint/manifest.h"
#include "coord/state.h"
#include "coverage.h"
#include "fibers.h"
#include "job.h"
#include "ps/partition.h"

#define LIVES_MAX  256
#define SEEN_SLOTS 16384u
#define JOBS_MAX   64
#define RANGES_MAX 128

struct tally tally;

struct life { /* of a partition: from its creation to its end */
    const struct partition *p;
    uint64_t number;
    uint64_t fence[RANGES_MAX]; /* the newest seen in a push of the range */
};
static struct {
    enum planted bug;
    bool broken;
    char text[512];
    struct life life[LIVES_MAX];
    uint32_t lives;
    uint64_t life_numbers;
    uint64_t seen[SEEN_SLOTS]; /* (life, name) applied */
    uint32_t seen_count;
    struct {
        uint64_t job, fence;
    } job[JOBS_MAX];
    uint32_t jobs;
    uint64_t job_now;
    uint64_t range_fence[RANGES_MAX]; /* the last granted, for PLANTED_SAME_FENCE */
    uint64_t committed_step;
    bool committed;
} now;

const char *planted_name(enum planted bug) {
    static const char *const names[] = {"none",         "no-fence",   "no-names",
                                        "early-delete", "same-fence", "early-ack"};
    return bug < PLANTED_BUGS ? names[bug] : "?";
}

void checks_begin(enum planted bug) {
    now.bug = bug;
    now.broken = now.committed = false;
    now.lives = now.jobs = 0;
    now.life_numbers = now.committed_step = 0;
    if (now.seen_count > 0) {
        memset(now.seen, 0, sizeof now.seen);
    }
    now.seen_count = 0;
    memset(now.range_fence, 0, sizeof now.range_fence);
}

const char *checks_broken(void) {
    return now.broken ? now.text : NULL;
}

void checks_fail(const char *fmt, ...) {
    va_list args;
    if (now.broken) {
        return;
    }
    now.broken = true;
    va_start(args, fmt);
    vsnprintf(now.text, sizeof now.text, fmt, args);
    va_end(args);
}

/* --- partitions ------------------------------------------------------------------------------- */

enum status __real_partition_create(struct partition **p, const struct partition_spec *spec);
enum status __wrap_partition_create(struct partition **p, const struct partition_spec *spec);
enum status __real_partition_push(struct partition *p, struct batch_name name, uint64_t fence,
                                  uint64_t ticket, const struct key_list *keys,
                                  const float *gradients, size_t floats,
                                  struct push_result *result);
enum status __wrap_partition_push(struct partition *p, struct batch_name name, uint64_t fence,
                                  uint64_t ticket, const struct key_list *keys,
                                  const float *gradients, size_t floats,
                                  struct push_result *result);
enum status __real_applied_has(const struct applied *a, struct batch_name name, bool *has);
enum status __wrap_applied_has(const struct applied *a, struct batch_name name, bool *has);
enum status __real_applied_add(struct applied *a, struct batch_name name);
enum status __wrap_applied_add(struct applied *a, struct batch_name name);

enum status __wrap_partition_create(struct partition **p, const struct partition_spec *spec) {
    TRY(__real_partition_create(p, spec));
    uint32_t i = 0;
    while (i < now.lives && now.life[i].p != *p) {
        i++;
    }
    if (i == LIVES_MAX) {
        return OK;
    }
    now.lives += i == now.lives;
    now.life[i] = (struct life){.p = *p, .number = ++now.life_numbers};
    return OK;
}

static struct life *life_of(const struct partition *p) {
    for (uint32_t i = 0; i < now.lives; i++) {
        if (now.life[i].p == p) {
            return &now.life[i];
        }
    }
    return NULL;
}

/* Whether the life has applied the name before; notes it. */
static bool seen_before(const struct life *l, struct batch_name n) {
    const uint64_t key = rng_u64(l->number, (uint64_t)n.epoch << 32 | n.shard, n.batch) | 1;
    for (uint64_t i = key;; i++) {
        uint64_t *slot = &now.seen[i % SEEN_SLOTS];
        if (*slot == key) {
            return true;
        }
        if (*slot == 0) {
            if (now.seen_count < SEEN_SLOTS / 2) {
                *slot = key;
                now.seen_count++;
            }
            return false;
        }
    }
}

static void check_applied(const struct partition *p, struct batch_name n, uint64_t fence) {
    struct life *l = life_of(p);
    if (l == NULL || n.shard >= RANGES_MAX) {
        return;
    }
    if (seen_before(l, n)) {
        checks_fail("a partition applied epoch %u range %u batch %u twice", n.epoch, n.shard,
                    n.batch);
    }
    if (fence < l->fence[n.shard]) {
        checks_fail("a partition applied a push of range %u under fence %llu after one under %llu",
                    n.shard, (unsigned long long)fence, (unsigned long long)l->fence[n.shard]);
    }
}

#define OWED_FLOATS 256
/* What an early acknowledgement has yet to do. */
static struct {
    struct partition *p;
    uint64_t life, fence, ticket;
    struct batch_name name;
    float gradients[OWED_FLOATS];
    size_t floats;
} owed;

static void pay_owed(struct partition *p) {
    const struct life *l = life_of(p);
    struct push_result result;
    if (owed.p == p && l != NULL && l->number == owed.life) {
        owed.p = NULL;
        (void)__real_partition_push(p, owed.name, owed.fence, owed.ticket, NULL, owed.gradients,
                                    owed.floats, &result);
    }
}

static void note_push(struct partition *p, struct batch_name name, uint64_t fence,
                      enum status status, const struct push_result *result) {
    struct life *l = life_of(p);
    tally.pushes += status == OK;
    tally.duplicates += status == OK && result->duplicate;
    tally.fenced += status == ERR_FENCED;
    tally.tickets += status == ERR_TICKET;
    coverage_note(COVER_PUSH, result->duplicate && status == OK,
                  status == OK           ? 0
                  : status == ERR_FENCED ? 1
                  : status == ERR_TICKET ? 2
                                         : 3);
    if (status == OK && !result->duplicate) {
        check_applied(p, name, fence);
    }
    if (status == OK && l != NULL && name.shard < RANGES_MAX && fence > l->fence[name.shard]) {
        l->fence[name.shard] = fence;
    }
}

enum status __wrap_partition_push(struct partition *p, struct batch_name name, uint64_t fence,
                                  uint64_t ticket, const struct key_list *keys,
                                  const float *gradients, size_t floats,
                                  struct push_result *result) {
    const struct life *l = life_of(p);
    pay_owed(p);
    if (now.bug == PLANTED_EARLY_ACK && keys == NULL && floats <= OWED_FLOATS && l != NULL) {
        owed.p = p;
        owed.life = l->number;
        owed.name = name;
        owed.fence = fence;
        owed.ticket = ticket;
        owed.floats = floats;
        memcpy(owed.gradients, gradients, floats * sizeof *gradients);
        *result = (struct push_result){0};
        return OK;
    }
    const uint64_t shown = now.bug == PLANTED_NO_FENCE ? UINT64_MAX : fence;
    const enum status status =
        __real_partition_push(p, name, shown, ticket, keys, gradients, floats, result);
    note_push(p, name, fence, status, result);
    return status;
}

enum status __wrap_applied_has(const struct applied *a, struct batch_name name, bool *has) {
    const enum status status = __real_applied_has(a, name, has);
    *has = *has && now.bug != PLANTED_NO_NAMES;
    return status;
}

enum status __wrap_applied_add(struct applied *a, struct batch_name name) {
    bool has = false;
    if (now.bug == PLANTED_NO_NAMES && __real_applied_has(a, name, &has) == OK && has) {
        return OK;
    }
    return __real_applied_add(a, name);
}

/* --- the coordinator -------------------------------------------------------------------------- */

enum status __real_requests_answer(struct coord *c, const struct port_message *m, uint64_t now_ms);
enum status __wrap_requests_answer(struct coord *c, const struct port_message *m, uint64_t now_ms);
enum status __real_leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                              uint64_t now_ms, struct wire_lease *out, struct buf *bits);
enum status __wrap_leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                              uint64_t now_ms, struct wire_lease *out, struct buf *bits);
enum status __real_manifest_publish(const char *root, uint64_t step);
enum status __wrap_manifest_publish(const char *root, uint64_t step);

enum status __wrap_requests_answer(struct coord *c, const struct port_message *m, uint64_t now_ms) {
    now.job_now = c->job;
    coverage_note(COVER_MESSAGE, c->phase, m->msg.type);
    coverage_phase(c->phase);
    return __real_requests_answer(c, m, now_ms);
}

static void check_fence(uint64_t fence) {
    uint32_t i = 0;
    while (i < now.jobs && now.job[i].job != now.job_now) {
        i++;
    }
    if (i == JOBS_MAX) {
        return;
    }
    if (i == now.jobs) {
        now.job[now.jobs++].job = now.job_now;
        now.job[i].fence = 0;
    }
    if (fence <= now.job[i].fence) {
        checks_fail("the coordinator granted fence %llu after %llu of the same job",
                    (unsigned long long)fence, (unsigned long long)now.job[i].fence);
    }
    now.job[i].fence = fence;
}

static bool is_second(const struct leases *l, uint32_t worker, const struct wire_lease *out) {
    const struct lease *x = &l->lease[l->place[out->shard]];
    return x->second == worker && x->state == LEASE_OUT && x->fence == out->fence &&
           x->worker != worker;
}

enum status __wrap_leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                              uint64_t now_ms, struct wire_lease *out, struct buf *bits) {
    TRY(__real_leases_ask(l, worker, incarnation, hold, now_ms, out, bits));
    coverage_note(COVER_LEASE, hold, out->kind);
    if (out->kind != LEASE_TRAIN && out->kind != LEASE_EVAL) {
        return OK;
    }
    tally.grants++;
    if (is_second(l, worker, out)) { /* the same lease for two, on purpose */
        return OK;
    }
    if (out->shard < RANGES_MAX) {
        if (now.bug == PLANTED_SAME_FENCE && now.range_fence[out->shard] != 0) {
            out->fence = now.range_fence[out->shard];
        }
        now.range_fence[out->shard] = out->fence;
    }
    check_fence(out->fence);
    return OK;
}

enum status __real_recover_end_life(struct recover *r, uint64_t step, bool fruitful,
                                    uint64_t now_ms);
enum status __wrap_recover_end_life(struct recover *r, uint64_t step, bool fruitful,
                                    uint64_t now_ms);

enum status __wrap_recover_end_life(struct recover *r, uint64_t step, bool fruitful,
                                    uint64_t now_ms) {
    tally.rollbacks++;
    return __real_recover_end_life(r, step, fruitful, now_ms);
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static void delete_old(const char *root) {
    struct file_list list = {0};
    char path[PATH_BYTES_MAX];
    if (file_list_dir(&list, root) != OK) {
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        const size_t n = strlen(list.names[i]);
        if (strncmp(list.names[i], "step-", 5) == 0 && strcmp(list.names[i] + n - 4, ".tmp") != 0 &&
            path_join(path, root, list.names[i]) == OK) {
            (void)file_remove_tree(path);
        }
    }
    file_list_free(&list);
}

enum status __wrap_manifest_publish(const char *root, uint64_t step) {
    if (now.bug == PLANTED_EARLY_DELETE) {
        delete_old(root);
    }
    TRY(__real_manifest_publish(root, step));
    tally.checkpoints++;
    now.committed = true;
    now.committed_step = step;
    return OK;
}

void checks_committed(void) {
    char dir[PATH_BYTES_MAX];
    struct manifest m;
    if (!now.committed) {
        return;
    }
    if (manifest_find(JOB_OUT, dir) != OK || manifest_read(&m, dir) != OK) {
        checks_fail("the checkpoint of step %llu was committed, but: %s",
                    (unsigned long long)now.committed_step, fail_text());
        return;
    }
    if (m.step < now.committed_step) {
        checks_fail("the checkpoint of step %llu was committed, but the newest is of step %llu",
                    (unsigned long long)now.committed_step, (unsigned long long)m.step);
    }
    manifest_free(&m);
}
