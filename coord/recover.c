#include "recover.h"

#include <stdio.h>
#include <string.h>

void recover_init(struct recover *r, uint64_t random) {
    *r = (struct recover){.run = random - random % WIRE_LIVES_MAX};
}

uint64_t recover_job(const struct recover *r) {
    return r->run + r->life;
}

void recover_want(struct recover *r, uint64_t now_ms, const char *cause) {
    if (r->wanted) {
        return;
    }
    r->wanted = true;
    snprintf(r->cause, sizeof r->cause, "%.*s", WIRE_TEXT_MAX - 1, cause);
    if (r->from_ms == 0) {
        r->from_ms = now_ms;
        r->from_step = r->lives = 0;
    }
}

static enum status judge_life(struct recover *r, bool fruitful) {
    if (fruitful) {
        r->fruitless = 0;
        return OK;
    }
    if (r->fruitless++ == 0) {
        memcpy(r->first_cause, r->cause, sizeof r->cause);
    }
    if (r->fruitless >= LIVES_FRUITLESS_MAX) {
        return fail(ERR_PEER,
                    "%.380s (the job went back to its newest checkpoint %u times without "
                    "finishing a batch)",
                    r->first_cause, r->fruitless - 1);
    }
    return OK;
}

enum status recover_end_life(struct recover *r, uint64_t step, bool fruitful, uint64_t now_ms) {
    r->wanted = false;
    TRY(judge_life(r, fruitful));
    if (r->life + 1 == WIRE_LIVES_MAX) {
        return fail(ERR_LIMIT, "%.400s (and the job was rolled back %u times before)", r->cause,
                    r->life);
    }
    if (r->trains_ms > 0) {
        const uint64_t half_ms = (now_ms - r->trains_ms) / 2;
        r->hurry_ms = half_ms > HURRY_LEAST_MS ? half_ms : HURRY_LEAST_MS;
    }
    r->from_step = step > r->from_step ? step : r->from_step;
    r->trains_ms = 0;
    r->life++;
    r->lives++;
    r->rollbacks++;
    return OK;
}

void recover_restored(struct recover *r, uint64_t step) {
    r->to_step = step;
    r->from_step = step > r->from_step ? step : r->from_step; /* reports come late */
}

bool recover_goes_on(struct recover *r, uint64_t now_ms, double *seconds) {
    r->trains_ms = now_ms;
    if (r->from_ms == 0) {
        return false;
    }
    *seconds = (double)(now_ms - r->from_ms) / 1000.0;
    r->seconds += *seconds;
    r->batches_repeated += r->from_step - r->to_step;
    r->from_ms = 0;
    return true;
}

uint64_t recover_cut_ms(const struct recover *r, uint64_t every_ms) {
    return r->hurry_ms > 0 && r->hurry_ms < every_ms ? r->hurry_ms : every_ms;
}

void recover_saved(struct recover *r) {
    r->hurry_ms = 0;
}
