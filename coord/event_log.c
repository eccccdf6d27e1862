#include "event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

#define TAIL_BYTES ((uint64_t)64 << 10) /* longer than any line */

/* Where the last whole line ends: the process before may have ended in the middle of one. */
static enum status whole_lines(const char *path, uint64_t size, uint64_t *bytes) {
    char tail[TAIL_BYTES];
    const uint64_t from = size > sizeof tail ? size - sizeof tail : 0;
    struct file f;
    TRY(file_open_read(&f, path));
    const enum status status = file_pread(&f, tail, (size_t)(size - from), from);
    file_close(&f);
    TRY(status);
    *bytes = size;
    while (*bytes > from && tail[*bytes - from - 1] != '\n') {
        --*bytes;
    }
    return OK;
}

enum status event_log_open(struct event_log *r, const char *out_dir, int pipe_fd) {
    char path[PATH_BYTES_MAX];
    *r = (struct event_log){.metrics = FILE_CLOSED, .pipe_fd = pipe_fd};
    TRY(path_join(path, out_dir, "metrics.jsonl"));
    TRY(file_open_append(&r->metrics, path));
    uint64_t size = 0;
    TRY(file_size(&r->metrics, &size));
    TRY(whole_lines(path, size, &r->bytes));
    r->torn = r->bytes < size;
    if (pipe_fd >= 0) {
        int flags = fcntl(pipe_fd, F_GETFL);
        fcntl(pipe_fd, F_SETFL, flags | O_NONBLOCK);
    }
    return OK;
}

void event_log_close(struct event_log *r) {
    if (r->metrics.fd >= 0) {
        file_close(&r->metrics);
    }
    buf_fini(&r->text);
}

/* Writes r->text; a part of it does not stay. */
static enum status append_line(struct event_log *r) {
    if (r->torn) {
        TRY(file_truncate(&r->metrics, r->bytes));
        r->torn = false;
    }
    const enum status status = file_write(&r->metrics, r->text.data, r->text.len);
    if (status == OK) {
        r->bytes += r->text.len;
        return OK;
    }
    struct cause cause = {0};
    cause_keep(&cause, status);
    r->torn = file_truncate(&r->metrics, r->bytes) != OK;
    return cause_again(&cause);
}

static void say_lost(struct event_log *r) {
    const uint32_t lines = r->lost;
    r->lost = 0;
    log_info("metrics are written again; %u lines are missing", lines);
    json_u64(event_log_event(r, "metrics_lost"), "lines", lines);
    event_log_event_end(r);
}

static void write_metrics(struct event_log *r) {
    if (r->metrics.fd < 0) {
        return;
    }
    if (append_line(r) != OK) {
        if (r->lost++ == 0) {
            log_warn("metrics cannot be written, each line is tried: %s", fail_text());
        }
        r->lost_all++;
    } else if (r->lost > 0) {
        say_lost(r);
    }
}

/* A reader that is too slow loses lines; if the reader is gone, the pipe is closed. */
static void write_pipe(struct event_log *r) {
    ssize_t n = write(r->pipe_fd, r->text.data, r->text.len);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        r->pipe_fd = -1;
    }
}

static void line_keys(struct json *j, const struct progress_line *l, uint32_t workers) {
    json_f64(j, "time", clock_wall_s());
    json_u64(j, "epoch", l->epoch);
    json_u64(j, "step", l->step);
    json_u64(j, "impressions", l->impressions);
    json_f64(j, "impressions_per_s", l->impressions_per_s);
    json_f64(j, "loss", l->loss.loss);
    json_f64(j, "loss_ctr", l->loss.ctr);
    json_f64(j, "loss_ctcvr", l->loss.ctcvr);
    json_f64(j, "auc_ctr_running", l->auc_ctr);
    json_f64(j, "auc_ctr_running_bound", l->auc_ctr_bound);
    json_f64(j, "auc_ctcvr_running", l->auc_ctcvr);
    json_f64(j, "auc_ctcvr_running_bound", l->auc_ctcvr_bound);
    json_f64(j, "staleness_mean", l->staleness_mean);
    json_u64(j, "staleness_max", l->staleness_max);
    json_u64(j, "rows", l->rows);
    json_u64(j, "bytes", l->bytes);
    json_u64(j, "workers", workers);
    json_f64(j, "eta_s", l->eta_s);
}

static struct json *line_open(struct event_log *r) {
    buf_clear(&r->text);
    json_init(&r->json, &r->text, false);
    json_open(&r->json, NULL, '{');
    return &r->json;
}

/* Closes the line; whether r->text then holds all of it. */
static bool line_close(struct event_log *r) {
    json_close(&r->json);
    return r->json.status == OK && buf_put_u8(&r->text, '\n') == OK;
}

static bool progress_text(struct event_log *r, const struct progress *p, struct progress_mark *mark,
                          uint32_t workers) {
    struct progress_line line;
    progress_line(p, mark, &line);
    line_keys(line_open(r), &line, workers);
    return line_close(r);
}

/* Until the next line of a job that has lasted so long. */
static uint64_t pause_ms(uint64_t lasted_ms) {
    const uint64_t share_ms = lasted_ms / REPORT_PARTS;
    return share_ms > REPORT_EVERY_MS ? share_ms : REPORT_EVERY_MS;
}

void event_log_step(struct event_log *r, const struct progress *p, uint32_t workers, bool last,
                    uint64_t now_ms) {
    if (r->pipe_fd >= 0 && (last || now_ms >= r->next_pipe_ms)) {
        r->next_pipe_ms = now_ms + REPORT_PIPE_MS;
        if (progress_text(r, p, &r->pipe_mark, workers)) {
            write_pipe(r);
        }
    }
    if (last || now_ms >= r->next_ms) {
        r->first_ms = r->first_ms > 0 ? r->first_ms : now_ms;
        r->next_ms = now_ms + pause_ms(now_ms - r->first_ms);
        if (progress_text(r, p, &r->mark, workers)) {
            write_metrics(r);
        }
    }
}

struct json *event_log_event(struct event_log *r, const char *event) {
    struct json *j = line_open(r);
    json_f64(j, "time", clock_wall_s());
    json_str(j, "event", event);
    return j;
}

void event_log_event_end(struct event_log *r) {
    if (line_close(r)) {
        write_metrics(r);
    }
}
