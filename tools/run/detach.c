#include "detach.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "job_note.h"
#include "last_words.h"
#include "tools/common/spawn.h"
#include "words.h"

#define LOOK_MS      100
#define COMMAND_MOST ((size_t)16 << 20)

/* The words of this process, and --background. */
static enum status own_words(struct words *w) {
    struct file f = FILE_CLOSED;
    struct buf text = BUF_EMPTY;
    size_t got = 1;
    enum status status = file_open_read(&f, "/proc/self/cmdline");
    while (status == OK && got > 0 && text.len < COMMAND_MOST) {
        status = buf_reserve(&text, 65536);
        status = status == OK ? file_read(&f, text.data + text.len, 65536, &got) : status;
        text.len += status == OK ? got : 0;
    }
    file_close(&f);
    const char *at = (const char *)text.data, *end = at + text.len;
    while (status == OK && at < end) {
        status = words_add(w, at);
        at += strlen(at) + 1;
    }
    buf_fini(&text);
    return status == OK ? words_add(w, "--background") : status;
}

/* Prints the last words of a process that had its own log by then. */
static void print_end(const char *run) {
    char log[PATH_BYTES_MAX], last[2048];
    if (job_note_log(run, log) == OK) {
        last_words_read(log, last, sizeof last);
        fprintf(stderr, "%s\nesmm train: the job ended before it trained; its log: %s\n", last,
                log);
    }
}

static bool is_of(const struct job_note *n, pid_t pid) {
    return n->process.pid == (uint64_t)pid && process_id_look(&n->process) == PROCESS_RUNS;
}

/* Until the process trains or has ended. */
static enum status await_training(const char *run, pid_t pid, int *exit_code) {
    struct job_note note;
    bool noted = false;
    int passed_on = 0, wait_status = 0;
    pid_t got;
    while ((got = waitpid(pid, &wait_status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
        if (job_note_read(&note, run) == OK && is_of(&note, pid)) {
            noted = true;
            if (note.state == JOB_TRAINING) {
                printf("the job trains in the background: process %d on %s. esmm attach %s shows "
                       "it; with --stop, or TERM to that process, it is saved and ends\n",
                       (int)pid, note.process.host, run);
                return OK;
            }
        }
        if (stop_signal() != passed_on) {
            passed_on = stop_signal();
            kill(pid, passed_on);
        }
        clock_sleep_ms(LOOK_MS);
    }
    if (got < 0) {
        return fail(ERR_IO, "cannot wait for the job: %s", strerror(errno));
    }
    *exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    if (noted) {
        print_end(run);
    }
    return OK;
}

enum status detach_run(const char *run, int *exit_code) {
    struct words w = {0};
    pid_t pid = 0;
    stop_signals_install();
    enum status status = own_words(&w);
    if (status == OK) {
        const struct spawn what = {.argv = w.list, .no_input = true};
        status = spawn(&what, &pid);
    }
    words_fini(&w);
    return status == OK ? await_training(run, pid, exit_code) : status;
}
