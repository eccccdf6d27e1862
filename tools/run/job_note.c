#include "job_note.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/number.h"
#include "common/base/thread.h"

#define NOTE_BYTES_MAX 4096u

static const char *const states[] = {"starting", "training", "ended"};
#define STATES (sizeof states / sizeof states[0])

/* --- the text --------------------------------------------------------------------------------- */

enum status job_note_encode(const struct job_note *n, struct buf *out) {
    const struct process_id *p = &n->process;
    return buf_printf(out,
                      "launcher 1\nhost %s\nboot %s\nprocess %llu\nstarted %llu\nsince %s\n"
                      "coordinator %s\nbackground %s\nstate %s\nexit %d\n",
                      p->host, p->boot, (unsigned long long)p->pid, (unsigned long long)p->started,
                      n->since, n->coordinator, n->background ? "yes" : "no", states[n->state],
                      n->exit_code);
}

/* Copies the value of the line of this key. */
static enum status note_word(const char *text, size_t bytes, const char *key, char *out,
                             size_t cap) {
    const size_t n = strlen(key);
    for (const char *at = text, *end = text + bytes; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t line = (size_t)((stop == NULL ? end : stop) - at);
        if (line > n + 1 && memcmp(at, key, n) == 0 && at[n] == ' ' && line - n - 1 < cap &&
            memchr(at, '\0', line) == NULL) {
            memcpy(out, at + n + 1, line - n - 1);
            out[line - n - 1] = '\0';
            return OK;
        }
        at += line + 1;
    }
    return fail(ERR_FORMAT, "a launcher's note has no good line '%s'", key);
}

static enum status note_number(const char *text, size_t bytes, const char *key, uint64_t most,
                               uint64_t *out) {
    char word[32];
    TRY(note_word(text, bytes, key, word, sizeof word));
    if (number_parse(word, NUMBER_PLAIN, out) != NUMBER_GOOD || *out > most) {
        return fail(ERR_FORMAT, "a launcher's note says '%s %s', which is no such number", key,
                    word);
    }
    return OK;
}

/* The place of the value in a list of words. */
static enum status note_choice(const char *text, size_t bytes, const char *key,
                               const char *const *words, size_t count, size_t *out) {
    char word[32];
    TRY(note_word(text, bytes, key, word, sizeof word));
    for (*out = 0; *out < count; (*out)++) {
        if (strcmp(words[*out], word) == 0) {
            return OK;
        }
    }
    return fail(ERR_FORMAT, "a launcher's note says '%s %s', which is not understood", key, word);
}

enum status job_note_decode(struct job_note *n, const char *text, size_t bytes) {
    static const char *const yes[] = {"no", "yes"};
    struct process_id *p = &n->process;
    uint64_t version = 0, code = 0;
    size_t background = 0, state = 0;
    *n = (struct job_note){0};
    TRY(note_number(text, bytes, "launcher", 1, &version));
    TRY(note_word(text, bytes, "host", p->host, sizeof p->host));
    TRY(note_word(text, bytes, "boot", p->boot, sizeof p->boot));
    TRY(note_number(text, bytes, "process", INT32_MAX, &p->pid));
    TRY(note_number(text, bytes, "started", UINT64_MAX, &p->started));
    TRY(note_word(text, bytes, "since", n->since, sizeof n->since));
    TRY(note_word(text, bytes, "coordinator", n->coordinator, sizeof n->coordinator));
    TRY(note_choice(text, bytes, "background", yes, 2, &background));
    TRY(note_choice(text, bytes, "state", states, STATES, &state));
    TRY(note_number(text, bytes, "exit", 255, &code));
    n->background = background == 1;
    n->state = (enum job_state)state;
    n->exit_code = (int)code;
    return OK;
}

/* --- the file --------------------------------------------------------------------------------- */

static enum status note_path(const char *run, char path[PATH_BYTES_MAX]) {
    return path_join(path, run, "launcher");
}

enum status job_note_log(const char *run, char log[PATH_BYTES_MAX]) {
    return path_join(log, run, "logs/train.log");
}

enum status job_note_read(struct job_note *n, const char *run) {
    char path[PATH_BYTES_MAX];
    char *text = NULL;
    size_t bytes;
    TRY(note_path(run, path));
    TRY(file_read_all(path, NOTE_BYTES_MAX, &text, &bytes));
    enum status status = job_note_decode(n, text, bytes);
    mem_free(&text);
    return status == OK ? OK : fail(status, "%s: %s", path, fail_text());
}

static enum status note_write(const struct job_noted *n) {
    struct buf text = BUF_EMPTY;
    enum status status = job_note_encode(&n->note, &text);
    status = status == OK ? file_write_atomic(n->path, text.data, text.len) : status;
    buf_fini(&text);
    return status;
}

/* --- the job's own side ----------------------------------------------------------------------- */

static enum status print_to_log(const char *run) {
    char path[PATH_BYTES_MAX];
    struct file log = FILE_CLOSED;
    TRY(job_note_log(run, path));
    TRY(file_open_append(&log, path));
    fflush(NULL);
    const bool good = dup2(log.fd, STDOUT_FILENO) >= 0 && dup2(log.fd, STDERR_FILENO) >= 0;
    file_close(&log);
    return good ? OK : fail(ERR_IO, "cannot print to %s", path);
}

enum status job_note_begin(struct job_noted *n, const char *run, const char *coordinator,
                           bool background) {
    const time_t now = (time_t)(clock_wall_ns() / 1000000000u);
    struct tm utc;
    n->note = (struct job_note){.background = background};
    TRY(process_id_self(&n->note.process));
    snprintf(n->note.coordinator, sizeof n->note.coordinator, "%s", coordinator);
    gmtime_r(&now, &utc);
    strftime(n->note.since, sizeof n->note.since, "%Y-%m-%dT%H:%M:%SZ", &utc);
    TRY(note_path(run, n->path));
    TRY(note_write(n));
    return background ? print_to_log(run) : OK;
}

/* A note that cannot be written any more ends no job. */
static void note_renew(struct job_noted *n, enum job_state state) {
    n->note.state = state;
    if (note_write(n) != OK) {
        log_warn("esmm attach will not be told how far the job is: %s", fail_text());
    }
}

void job_note_training(void *self) {
    struct job_noted *n = self;
    if (n->path[0] != '\0') {
        note_renew(n, JOB_TRAINING);
    }
}

void job_note_end(struct job_noted *n, int exit_code) {
    if (n->path[0] == '\0') {
        return;
    }
    n->note.exit_code = exit_code;
    if (n->note.background) {
        note_renew(n, JOB_ENDED);
    } else {
        (void)file_remove(n->path);
    }
}

int job_exit_code(enum status status) {
    if (status == OK || (status == ERR_CLOSED && stop_requested())) {
        return stop_requested() ? 128 + stop_signal() : 0;
    }
    return status == ERR_USAGE ? 2 : 1;
}
