/* checks.h - what must hold in every step of a simulated job, and what has been seen of it.
 *
 * The checks stand around functions of the project (--wrap): each calls the real one and looks at
 * what went in and came out. Planted bugs stand there too: each makes one function do wrong, so
 * that a run of the simulator shows that it would find the like.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum planted {
    PLANTED_NONE,
    PLANTED_NO_FENCE,     /* a partition does not look at fences */
    PLANTED_NO_NAMES,     /* a partition applies a name again */
    PLANTED_EARLY_DELETE, /* old checkpoints go before the new one is published */
    PLANTED_SAME_FENCE,   /* a range that is granted again has the fence of before */
    PLANTED_EARLY_ACK,    /* a push is acknowledged before it is applied */
    PLANTED_BUGS
};
const char *planted_name(enum planted bug);

void checks_begin(enum planted bug); /* of a seed */
/* The first violation; NULL: none. */
const char *checks_broken(void);
__attribute__((format(printf, 1, 2))) void checks_fail(const char *fmt, ...);
/* The newest committed checkpoint must still be there; on the mounted disk. */
void checks_committed(void);

struct tally {
    uint64_t pushes, duplicates, fenced, tickets, grants, checkpoints, rollbacks;
};
extern struct tally tally;
