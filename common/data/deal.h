/* deal.h - deals the groups of a window out over its batches.
 *
 * Why: the impressions of a group share the user side, so a batch of whole groups is cheap; but a
 * batch of 2048 impressions then holds only some 170 users, and that costs AUC. On KuaiRand, one
 * epoch, all else equal (docs/quality.md): whole groups CTR .726 and CTCVR .796, runs of at most 4
 * .730 and .819, runs of at most 2 .732 and .837, single impressions .733 and .831. So a group is
 * cut into runs, and its runs go to different batches, evenly spread.
 *
 * The groups are put in a random order and laid end to end. The line is cut into `blocks` blocks at
 * borders of batches; a group across a border is cut there. In a block of K batches a group of s
 * impressions is cut into r = ceil(s / L) runs of nearly equal length, L = max(run, ceil(s / K)):
 * runs get longer only where a group has more of them than the block has batches. Run j is put at
 * the place (u + j/r) mod 1 of the block, where u is random per group and block, and the runs are
 * laid in the order of their places. So each group is spread evenly over the block, whatever its
 * size, and every rotation of it is as likely as another.
 *
 * One block (the usual) mixes best. More blocks keep a group's runs within batches near each other:
 * what is computed once per group and block stays fresh.
 *
 * A pure function: the same for whoever has the same window.
 */
#pragma once

#include "batch.h"

struct deal_spec {
    uint64_t seed;
    uint32_t epoch, window; /* the window's number in the epoch */
    uint32_t run;           /* impressions of a run, at most (but see above); 0: whole groups */
    uint32_t batches;       /* of the window, at least 1: batch k begins at plan_begin(.., k) */
    uint32_t blocks;        /* at least 1; more than batches: some are empty */
};
/* The runs of all impressions of the shard, in the order in which batches take them: *runs[*count],
 * the caller's (mem_free), for batch_cutter_runs. None is empty. Takes some 90 bytes per run while
 * it works. ERR_MEMORY: *runs is NULL. */
enum status deal(const struct shard *s, const struct deal_spec *spec, struct run **runs,
                 uint32_t *count);
