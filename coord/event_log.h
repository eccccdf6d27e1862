/* event_log.h - what the coordinator writes for people and plots: metrics.jsonl, the progress pipe,
 * summary.json.
 *
 * metrics.jsonl: one JSON object a line. Progress lines have no "event"; others name theirs
 * ("evaluation", "checkpoint", "worker_lost", "end", ...). A figure that is undefined is null.
 * None of this may stop a job: a file that cannot be written is warned of once and then left.
 */
#pragma once

#include "common/base/file.h"
#include "common/base/json.h"
#include "progress.h"

#define REPORT_EVERY_MS 2000u
#define REPORT_PIPE_MS  1000u

struct event_log {
    struct file metrics;
    int pipe_fd; /* < 0: none */
    uint64_t next_ms, next_pipe_ms;
    struct progress_mark mark, pipe_mark;
    struct buf text;
    struct json json; /* of the line being written */
};

/* Appends to out_dir/metrics.jsonl (a resumed run continues the file). ERR_IO. */
enum status event_log_open(struct event_log *r, const char *out_dir, int pipe_fd);
void event_log_close(struct event_log *r);
/* Progress lines that are due; `last`: one now, whatever the time. */
void event_log_step(struct event_log *r, const struct progress *p, uint32_t workers, bool last,
                    uint64_t now_ms);
/* An event line: open, add keys to the returned object, close. */
struct json *event_log_event(struct event_log *r, const char *event);
void event_log_event_end(struct event_log *r);
