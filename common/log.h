/* log.h - one log per process: lines "2026-01-31T12:00:00.123Z level role text".
 *
 * Thread-safe: one line is one write(2). The only global state of the program.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

#include "status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Sends the log to `path` (appended, created; NULL: standard error) under the name `role`
 * (e.g. "ps-0", copied, cut at 31 bytes). Without this call lines go to standard error.
 * Not thread-safe: call it before the first thread starts. ERR_IO. */
enum status log_open(const char *path, const char *role);
void log_close(void);
void log_level_set(enum log_level lowest);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
