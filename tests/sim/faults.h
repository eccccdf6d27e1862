/* faults.h - what goes wrong in one seed: a list, drawn from the seed, of which any part can be
 * left out (so that a failing seed can be shrunk). */
#pragma once

#include <stdint.h>

enum fault_kind {
    FAULT_KILL,      /* kill -9 */
    FAULT_KILL_CALL, /* the same, in the middle of what it writes: at its nth call to the disk */
    FAULT_STOP,      /* SIGSTOP, later SIGCONT */
    FAULT_SLOW,      /* each turn takes long, for a while */
    FAULT_CUT,       /* nothing passes between two processes, for a while */
    FAULT_CUT_ONE,   /* the same in one direction */
    FAULT_RESET,     /* all connections of a process break */
    FAULT_TERM,      /* the launcher gets SIGTERM */
    FAULT_POWER,     /* all machines and unsynced writes are gone */
    FAULT_FULL,      /* writes fail with ENOSPC, for a while */
    FAULT_BROKEN,    /* some calls to the disk fail with EIO, for a while */
    FAULT_KINDS,
    /* those of the network, for the whole seed */
    FAULT_LOSS = FAULT_KINDS,
    FAULT_TWICE,
    FAULT_OVERTAKEN
};
#define FAULTS_MAX 8
#define NET_FAULTS 3u /* bits of the mask above the list's */

void faults_begin(uint64_t mask); /* draws the list and takes those of the mask */
uint64_t faults_next_ns(void);    /* when the next one is due; NEVER: none */
void faults_step(void);           /* does what is due */
void faults_describe(uint64_t mask);
uint64_t faults_mask(void); /* of all that were drawn */
