/* fault.h - named points at which a test ends or stops the process.
 *
 * FAULT("ps.push.applied") is a point. It does nothing, at the price of one branch that is always
 * predicted, unless the environment names it:
 *
 *     ESMM_FAULT=NAME:N[:ACTION][,NAME:N[:ACTION]]...
 *
 * The N-th time that a process passes the point it sends itself a signal: KILL, or with an ACTION
 * `stop` STOP, `term` TERM. The roles of a job inherit the environment from `esmm train`. So that a
 * process that was started again does not die at the same place for ever, ESMM_FAULT_DIR names a
 * directory: each entry of the list fires once in all processes that share it, the first to get
 * there makes a file NUMBER-NAME in it (NUMBER: of the entry, from 0; it holds the process id).
 *
 * Points are found by the linker: `esmm faults` lists them. Each has a name of its own, and lies
 * in a .c file that is compiled once.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault_point {
    const char *name; /* ROLE.WHAT.STEP */
    bool armed;       /* an entry of ESMM_FAULT names it; set before any thread starts */
    _Atomic uint64_t passes;
};

#define FAULT(text)                                                                                \
    do {                                                                                           \
        static struct fault_point fault_here = {text, false, 0};                                   \
        static struct fault_point *fault_listed __attribute__((used, section("esmm_faults"))) =    \
            &fault_here;                                                                           \
        if (__builtin_expect(fault_here.armed, false)) {                                           \
            fault_pass(&fault_here);                                                               \
        }                                                                                          \
    } while (0)

/* Counts a pass of an armed point, and does what is due. */
void fault_pass(struct fault_point *p);

/* Arms what the environment names. Call it once, before the first thread starts. False: the entry
 * `*wrong` (of *length bytes) has another form, or names no point of this program. */
bool fault_arm(const char *entries, const char *dir, const char **wrong, size_t *length);

/* The points of this program, in no order. */
size_t fault_count(void);
const struct fault_point *fault_at(size_t index);
