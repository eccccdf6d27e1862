/* sample.h - a journal with a record of every kind, for the tests of this folder. */
#pragma once

#include "common/job/applied.h"
#include "coord/journal/journal_state.h"

#define SAMPLE_SERVERS 2u
#define SAMPLE_WORKERS 3u
#define SAMPLE_RECORDS 20u

static inline struct wire_progress sample_progress(uint64_t n) {
    return (struct wire_progress){.impressions = 100 * n,
                                  .batches = n,
                                  .loss_sum = 0.5 * (double)n,
                                  .loss_ctr_sum = 0.3 * (double)n,
                                  .loss_ctcvr_sum = -0.2,
                                  .resent = n + 1,
                                  .duplicates = n + 2,
                                  .dropped_values = n + 3,
                                  .tickets_unknown = n + 4,
                                  .staleness_sum = n + 5,
                                  .staleness_max = n + 6,
                                  .dense_staleness_sum = n + 7,
                                  .dense_staleness_max = n + 8,
                                  .finished = n + 9,
                                  .fenced = UINT64_MAX};
}

static inline struct journal_record sample_life(void) {
    struct journal_record r = {.kind = JOURNAL_LIFE};
    r.u.life = (struct journal_life){.job = 0x123456789abcdef0u,
                                     .launch = "here",
                                     .listen = "tcp://*:0",
                                     .bound = "tcp://0.0.0.0:4711",
                                     .build = "1.2.3",
                                     .servers = SAMPLE_SERVERS,
                                     .workers = SAMPLE_WORKERS,
                                     .plan = UINT64_MAX,
                                     .resume_dir = "/run/checkpoints/step-000000000007",
                                     .resume_bytes = 1u << 20,
                                     .restored_step = 7,
                                     .restored_impressions = 700,
                                     .restored_epoch = 1,
                                     .rate_ctr = 0.25,
                                     .rate_cvr = 1e-300,
                                     .recovery = {.servers_lost = 1,
                                                  .rollbacks = 2,
                                                  .fruitless = 3,
                                                  .lives = 4,
                                                  .batches_repeated = 5,
                                                  .from_step = 6,
                                                  .to_step = 7,
                                                  .hurry_ms = 8,
                                                  .resumed_step = 9,
                                                  .seconds = 1.25,
                                                  .from_s = 1.75e9,
                                                  .cause = "server 1 is gone",
                                                  .first_cause = "so it was",
                                                  .life_start = sample_progress(5)}};
    return r;
}

static inline struct journal_record sample_member(enum wire_role role, uint32_t index,
                                                  uint64_t incarnation) {
    static const char endpoints[] = "ipc:///a.0\0ipc:///a.1";
    struct journal_record r = {.kind = JOURNAL_MEMBER};
    r.u.member = (struct journal_member){
        .role = role, .index = index, .pid = 4711, .incarnation = incarnation, .host = "db3"};
    if (role == ROLE_SERVER) {
        r.u.member.endpoints = (struct journal_bytes){(const uint8_t *)endpoints, sizeof endpoints};
    } else {
        r.u.member.gone = sample_progress(incarnation);
        r.u.member.rejoins = incarnation % 2 == 0;
    }
    return r;
}

/* A question of `worker`: back is UINT32_MAX, or the range that it returns; fence 0: no grant. */
static inline struct journal_record sample_ask(uint32_t worker, uint64_t id, uint32_t back,
                                               uint64_t back_fence, uint32_t range,
                                               uint64_t fence) {
    struct journal_record r = {.kind = JOURNAL_ASK};
    r.u.ask = (struct journal_ask){.worker = worker, .incarnation = 100 + worker, .id = id};
    if (back != UINT32_MAX) {
        r.u.ask.returns = true;
        r.u.ask.back = (struct journal_back){1, back, 4};
        r.u.ask.back_fence = back_fence;
    }
    if (fence > 0) {
        r.u.ask.grants = true;
        r.u.ask.lease = (struct wire_lease){.kind = LEASE_TRAIN,
                                            .epoch = 1,
                                            .shard = range,
                                            .fence = fence,
                                            .batch_limit = 4,
                                            .ahead = range + 5};
    }
    return r;
}

/* Record i of the sample; the first SAMPLE_WHOLE are a whole state. */
#define SAMPLE_WHOLE 12u
static inline struct journal_record sample_record(uint32_t i) {
    static const uint8_t bytes[] = {0, 1, 2, 0xff};
    struct journal_record r = {.kind = JOURNAL_STOPPED};
    switch (i) {
    case 0: return sample_life();
    case 1: return sample_member(ROLE_SERVER, 0, 11);
    case 2: return sample_member(ROLE_SERVER, 1, 12);
    case 3: return sample_member(ROLE_WORKER, 2, 102);
    case 4:
        r.kind = JOURNAL_DONE;
        r.u.bytes = (struct journal_bytes){bytes, sizeof bytes};
        return r;
    case 5:
        r.kind = JOURNAL_BACK;
        r.u.back = (struct journal_back){1, 2, 3};
        return r;
    case 6:
        r.kind = JOURNAL_BEGUN;
        r.u.wall_s = 1.75e9;
        return r;
    case 7:
        r.kind = JOURNAL_EPOCH;
        r.u.epoch = (struct journal_epoch){1, 9, sample_progress(3)};
        return r;
    case 8: return sample_ask(2, 5, UINT32_MAX, 0, 6, (1ull << 40) + 1);
    case 9:
        r.kind = JOURNAL_CUT;
        r.u.cut = (struct journal_cut){.number = 3,
                                       .final_begun = true,
                                       .last_s = 1.75e9,
                                       .last_impressions = 10,
                                       .last_shards = 11,
                                       .count = 2};
        return r;
    case 10:
        r.kind = JOURNAL_COUNTERS;
        r.u.counters = (struct journal_counters){2, 102, sample_progress(8)};
        return r;
    case 11:
        r.kind = JOURNAL_TERM;
        r.u.term.term = 1;
        return r;
    case 12: return sample_member(ROLE_WORKER, 0, 100);
    case 13: return sample_ask(0, 1, UINT32_MAX, 0, 7, (1ull << 40) + 2);
    case 14: return sample_ask(2, 6, 6, (1ull << 40) + 1, 8, (1ull << 40) + 3);
    case 15:
        r.kind = JOURNAL_FREED;
        r.u.worker = 0;
        return r;
    case 16:
        r.kind = JOURNAL_EVALUATION;
        r.u.evaluation = (struct journal_evaluation){
            JOURNAL_EVALUATING, 1, true, 5000, 4000, 2, 1.5, 2.5, 1.75e9, 1.76e9};
        return r;
    case 17:
        r.kind = JOURNAL_RESULT;
        r.u.bytes = (struct journal_bytes){bytes, 2};
        return r;
    case 18:
        r.kind = JOURNAL_ENDED;
        r.u.wall_s = 1.77e9;
        return r;
    default: return r;
    }
}

/* All of it as a file. synced: of each record after the whole state, the offset of itself (so that
 * all before was on disk), or 0. end[i]: where record i ends. */
static inline enum status sample_file(struct buf *out, bool synced, size_t end[SAMPLE_RECORDS]) {
    TRY(journal_head_put(out));
    for (uint32_t i = 0; i < SAMPLE_RECORDS; i++) {
        const struct journal_record r = sample_record(i);
        const uint64_t offset = out->len;
        TRY(journal_record_put(out, &r, offset, i >= SAMPLE_WHOLE && synced ? offset : 0));
        end[i] = out->len;
    }
    return OK;
}
