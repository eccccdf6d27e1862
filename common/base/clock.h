/* clock.h - time. Deadlines use the monotonic clock only; wall time is for people.
 *
 * All reads and sleeps of the program go through one table, so that a test or a simulator can
 * replace the time. Waits between threads (thread_cond_until) do not use the table: a program that
 * replaces the clock must have no other waiting threads.
 */
#pragma once

#include <stdint.h>

struct clock_ops {
    uint64_t (*mono_ns)(void); /* since a fixed moment; never goes back */
    uint64_t (*wall_ns)(void); /* since 1970; may jump forward or back */
    void (*sleep_ms)(uint64_t ms);
};
/* Sets the clock of the whole process; NULL: the system's, which is the default. Not thread-safe:
 * call it before the first thread starts. The caller keeps the table and must not free it. */
void clock_ops_set(const struct clock_ops *ops);

uint64_t clock_mono_ns(void);
uint64_t clock_mono_us(void);
uint64_t clock_mono_ms(void);
/* Since 1970, for log lines and manifests. */
uint64_t clock_wall_ns(void);
double clock_wall_s(void);
/* Sleeps at least this long, even if signals arrive. */
void clock_sleep_ms(uint64_t ms);

/* Milliseconds left until a monotonic deadline in ms, 0 if it has passed. */
uint64_t clock_left_ms(uint64_t deadline_ms);
