#include "clock.h"

#include <errno.h>
#include <time.h>

uint64_t clock_mono_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_us(void) {
    return clock_mono_ns() / 1000u;
}

uint64_t clock_mono_ms(void) {
    return clock_mono_us() / 1000u;
}

double clock_wall_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void clock_sleep_ms(uint64_t ms) {
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

uint64_t clock_left_ms(uint64_t deadline_ms) {
    uint64_t now = clock_mono_ms();
    return now < deadline_ms ? deadline_ms - now : 0;
}
