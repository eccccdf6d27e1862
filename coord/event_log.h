/* event_log.h - what the coordinator writes for people and plots: metrics.jsonl, the progress pipe,
 * summary.json.
 *
 * metrics.jsonl holds one JSON object per line. Progress lines have no "event"; all other lines
 * name theirs ("evaluation", "checkpoint", "worker_lost", "end", ...). An undefined figure is null.
 * A progress line comes every REPORT_EVERY_MS at first, later whenever the job has become longer by
 * one part in REPORT_PARTS: a job of weeks has some ten thousand lines. A line's means are over all
 * since the line before.
 *
 * No failure here stops a job. A line that the disk refuses is lost and counted, what had got into
 * the file of it is cut off, and the next line is tried again; when one gets through, an event
 * "metrics_lost" says how many are missing.
 */
#pragma once

#include "common/base/file.h"
#include "common/base/json.h"
#include "progress.h"

#define REPORT_EVERY_MS 2000u
#define REPORT_PIPE_MS  1000u
#define REPORT_PARTS    1800u /* an hour at the first pace */

struct event_log {
    struct file metrics;
    uint64_t bytes; /* of whole lines in it */
    bool torn;      /* there may be a part of a line behind them */
    uint32_t lost;  /* lines since one got through */
    uint64_t lost_all;
    int pipe_fd;       /* < 0: none */
    uint64_t first_ms; /* when the first progress line was written; 0: none was */
    uint64_t next_ms, next_pipe_ms;
    struct progress_mark mark, pipe_mark;
    struct buf text;
    struct json json; /* of the line being written */
};

/* Appends to out_dir/metrics.jsonl (a resumed run continues the file, after its last whole line).
 * ERR_IO. */
enum status event_log_open(struct event_log *r, const char *out_dir, int pipe_fd);
void event_log_close(struct event_log *r);
/* Writes the progress lines that are due; `last`: writes one now, whatever the time. */
void event_log_step(struct event_log *r, const struct progress *p, uint32_t workers, bool last,
                    uint64_t now_ms);
/* Writes an event line: begin it, add keys to the returned object, then call event_log_event_end.
 */
struct json *event_log_event(struct event_log *r, const char *event);
void event_log_event_end(struct event_log *r);
