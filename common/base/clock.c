#include "clock.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static uint64_t system_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t system_mono_ns(void) {
    return system_ns(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ns(void) {
    return system_ns(CLOCK_REALTIME);
}

static void system_sleep_ms(uint64_t ms) {
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

static const struct clock_ops system_clock = {system_mono_ns, system_wall_ns, system_sleep_ms};
static const struct clock_ops *the_clock = &system_clock;

void clock_ops_set(const struct clock_ops *ops) {
    the_clock = ops != NULL ? ops : &system_clock;
}

uint64_t clock_mono_ns(void) {
    return the_clock->mono_ns();
}

uint64_t clock_mono_us(void) {
    return clock_mono_ns() / 1000u;
}

uint64_t clock_mono_ms(void) {
    return clock_mono_us() / 1000u;
}

uint64_t clock_wall_ns(void) {
    return the_clock->wall_ns();
}

double clock_wall_s(void) {
    const uint64_t ns = clock_wall_ns();
    return (double)(ns / 1000000000u) + (double)(ns % 1000000000u) * 1e-9;
}

void clock_sleep_ms(uint64_t ms) {
    the_clock->sleep_ms(ms);
}

uint64_t clock_left_ms(uint64_t deadline_ms) {
    uint64_t now = clock_mono_ms();
    return now < deadline_ms ? deadline_ms - now : 0;
}
