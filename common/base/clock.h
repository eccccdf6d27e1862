/* clock.h - time. Deadlines use the monotonic clock only; wall time is for people. */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ns(void);
uint64_t clock_mono_us(void);
uint64_t clock_mono_ms(void);
/* Seconds since 1970, for log lines and manifests. */
double clock_wall_s(void);
void clock_sleep_ms(uint64_t ms);

/* Milliseconds left until a monotonic deadline in ms, 0 if it has passed. */
uint64_t clock_left_ms(uint64_t deadline_ms);

#endif
