/* log.h - one log per process: lines "2026-01-31T12:00:00.123Z level role text".
 *
 * Thread-safe: one line is one write(2). The only global state of the program. The configuration's
 * log.level decides which lines are written; the roles set it once they know it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Sends the log to `path` (appended, created; NULL: standard error) under the name `role`
 * (e.g. "ps-0", copied, cut at 31 bytes). Without this call lines go to standard error.
 * Not thread-safe: call it before the first thread starts. ERR_IO. */
enum status log_open(const char *path, const char *role);
void log_close(void);
void log_level_set(enum log_level lowest);
/* From now on the file is renamed to PATH.1, in place of an older one, when it has so many bytes,
 * and begun anew: a job of weeks has no log of gigabytes. 0, as at the start: never. */
void log_bytes_set(uint64_t most);

/* Says what this CPU computes with (common/cpu). */
void log_cpu(void);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Limits lines of one cause that a peer, or the data, can repeat without end. In each LOG_LIMIT_MS
 * the first LOG_LIMIT_LINES are written and the others are counted; when the time is over, the last
 * of those is written with their count. A zeroed struct is ready for use. For one thread. */
#define LOG_LIMIT_LINES 10u
#define LOG_LIMIT_MS    10000u
struct log_limit {
    uint64_t since_ms;    /* time of the first of the lines */
    uint32_t lines;       /* lines written since then */
    uint64_t held;        /* lines held back since then */
    enum log_level level; /* of the last one held */
    char last[256];
};
void log_limited(struct log_limit *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Reports the lines held back once LOG_LIMIT_MS is over. Call it now and then, and log_limit_end at
 * the end. */
void log_limit_step(struct log_limit *l);
void log_limit_end(struct log_limit *l);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
