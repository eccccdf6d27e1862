/* recover.h - the lives of a job: which frames are of the present one, when it is rolled back, and
 * when that is given up.
 *
 * A life begins when roles are gathered and ends with the job or with a rollback, after which the
 * next one begins at the newest checkpoint, in the same processes. Each life has its own job number
 * (wire_same_run), so that nothing of an earlier one is taken for its own.
 *
 * A life that is rolled back before it finished one batch was fruitless. After LIVES_FRUITLESS_MAX
 * of them in a row the job has failed, and the cause is that of the first.
 *
 * Rollbacks that follow each other before training goes on are one recovery: its time and its
 * repeated batches count once.
 *
 * A life that was shorter than checkpoint.every_seconds would lose all its work each time. So until
 * the next checkpoint is committed, the time between cuts is at most half of what the last life
 * had, but not below HURRY_LEAST_MS.
 *
 * Uses no sockets, clock or files; single thread.
 */
#pragma once

#include "common/base/status.h"
#include "common/net/link_messages.h"

#define LIVES_FRUITLESS_MAX 5u
#define HURRY_LEAST_MS      10000u

struct recover {
    uint64_t run;  /* number of the first life */
    uint32_t life; /* the present one, from 0 */
    bool wanted;   /* the present life must be rolled back */
    char cause[WIRE_TEXT_MAX];
    uint32_t fruitless;              /* lives in a row */
    char first_cause[WIRE_TEXT_MAX]; /* of these */
    uint64_t trains_ms;              /* since when this life trains; 0: it does not yet */
    uint64_t hurry_ms;               /* most between cuts; 0: as configured */
    /* the recovery under way */
    uint64_t from_ms; /* when it began; 0: there is none */
    uint32_t lives;   /* that it has ended */
    uint64_t from_step, to_step;
    /* all of the run, for the summary */
    uint32_t servers_lost, rollbacks;
    uint32_t servers_back; /* that came back with their push logs */
    uint64_t batches_repeated;
    double seconds;
};

void recover_init(struct recover *r, uint64_t random);
uint64_t recover_job(const struct recover *r); /* number of the present life */
/* Asks for a rollback; the first cause of a life stands. */
void recover_want(struct recover *r, uint64_t now_ms, const char *cause);
/* Ends the present life and begins the next. step: what it had trained; fruitful: it finished a
 * batch. ERR_PEER: there were too many fruitless ones, or WIRE_LIVES_MAX in all. */
enum status recover_end_life(struct recover *r, uint64_t step, bool fruitful, uint64_t now_ms);
/* The new life starts with so many batches applied. */
void recover_restored(struct recover *r, uint64_t step);
/* The life begins to train. True: that ends a recovery, whose figures (lives, from_step, to_step)
 * stay until the next one; *seconds it took. */
bool recover_goes_on(struct recover *r, uint64_t now_ms, double *seconds);
/* Milliseconds between cuts, where every_ms are configured (0: none). */
uint64_t recover_cut_ms(const struct recover *r, uint64_t every_ms);
void recover_saved(struct recover *r); /* a checkpoint was committed */
