/* sim_log.c - log.h's lines in a simulation: to standard error with the simulated time, or
 * nowhere. */
#include "sim_log.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/status.h"
#include "fibers.h"
#include "network.h"

static bool on;

void sim_log_set(bool now) {
    on = now;
    network_trace(now);
}

bool sim_log_on(void) {
    return on;
}

__attribute__((format(printf, 1, 0))) static void say(const char *fmt, va_list args) {
    fprintf(stderr, "%9.3f  %s: ", (double)sim_now_ns() / 1e9 - 1000,
            fiber_now() == NULL ? "-" : fiber_name(fiber_now()));
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
}

void sim_log_say(const char *fmt, ...) {
    va_list args;
    if (on) {
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
    }
}

__attribute__((format(printf, 2, 3))) void __wrap_log_line(enum log_level level, const char *fmt,
                                                           ...);
__attribute__((format(printf, 3, 4))) void
__wrap_log_limited(struct log_limit *l, enum log_level level, const char *fmt, ...);

void __wrap_log_line(enum log_level level, const char *fmt, ...) {
    va_list args;
    (void)level;
    if (on) {
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
    }
}

void __wrap_log_limited(struct log_limit *l, enum log_level level, const char *fmt, ...) {
    va_list args;
    (void)level;
    (void)l;
    if (on) {
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
    }
}

void __wrap_log_cpu(void);
void __wrap_log_cpu(void) {}

/* The running metrics are no part of what is simulated, and would be a third of the work. */
struct metric_bins;
struct meter;
struct buf;
enum status __wrap_wire_bins_pack(const struct metric_bins *a, const struct metric_bins *b,
                                  struct buf *out);
void __wrap_meter_take_bins(struct meter *m, struct metric_bins *ctr, struct metric_bins *ctcvr);

enum status __wrap_wire_bins_pack(const struct metric_bins *a, const struct metric_bins *b,
                                  struct buf *out) {
    (void)a;
    (void)b;
    (void)out;
    return OK;
}

void __wrap_meter_take_bins(struct meter *m, struct metric_bins *ctr, struct metric_bins *ctcvr) {
    (void)m;
    (void)ctr;
    (void)ctcvr;
}
