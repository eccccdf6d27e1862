#include "question.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/thread.h"

extern const char probe_script[]; /* CMakeLists.txt makes it from scripts/launch/probe.sh */

#define POLL_MS          50
#define END_MS           3000
#define ANSWER_BYTES_MAX ((size_t)4 << 20)

enum status question_command(const struct question *q, const struct words *ssh,
                             const struct hosts *hosts, struct words *out) {
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    for (size_t i = 0; i < ssh->count; i++) {
        TRY_OUT(words_add(out, ssh->list[i]));
    }
    TRY_OUT(words_add(out, hosts->list[q->host].name));
    TRY_OUT(buf_printf(&text, "sh -s -- "));
    TRY_OUT(words_quote(&q->words, 0, &text));
    status = words_add(out, (const char *)text.data);
out:
    buf_fini(&text);
    return status;
}

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static enum status question_start(struct question *q, const struct words *ssh,
                                  const struct hosts *hosts) {
    struct words command = {0};
    enum status status = question_command(q, ssh, hosts, &command);
    if (status == OK) {
        const struct spawn what = {
            .program = command.list[0], .argv = command.list, .death_signal = SIGTERM};
        status = spawn_with_pipes(&what, &q->pipes);
        q->started = status == OK;
    }
    words_fini(&command);
    return status;
}

/* --- talking ---------------------------------------------------------------------------------- */

static void send_script(struct question *q) {
    const size_t all = strlen(probe_script);
    if (q->pipes.in < 0 || q->sent == all) {
        return;
    }
    const ssize_t n = write(q->pipes.in, probe_script + q->sent, all - q->sent);
    q->sent += n > 0 ? (size_t)n : 0;
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || (q->sent == all && !q->stays)) {
        close_fd(&q->pipes.in);
    }
}

static void question_read(int *fd, struct buf *text) {
    char data[16384];
    const ssize_t n = *fd < 0 ? 0 : read(*fd, data, sizeof data);
    if (n > 0 && text->len + (size_t)n < ANSWER_BYTES_MAX) {
        (void)(buf_put(text, data, (size_t)n) == OK && buf_printf(text, "%s", ""));
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(fd);
    }
}

static bool answered(const struct question *q) {
    static const char last[] = "answered\n";
    const size_t n = sizeof last - 1;
    return q->answer.len >= n && memcmp(q->answer.data + q->answer.len - n, last, n) == 0;
}

/* Reads and writes what is possible now. True while there is something to wait for. */
static bool question_turn(struct question *q) {
    if (q->pipes.pid == 0) {
        return false;
    }
    send_script(q);
    const bool ended = waitpid(q->pipes.pid, &q->wait_status, WNOHANG) == q->pipes.pid;
    question_read(&q->pipes.out, &q->answer);
    question_read(&q->pipes.err, &q->errors);
    if (ended) {
        for (int i = 0; i < 64 && (q->pipes.out >= 0 || q->pipes.err >= 0); i++) {
            question_read(&q->pipes.out, &q->answer);
            question_read(&q->pipes.err, &q->errors);
        }
        q->pipes.pid = 0;
        return false;
    }
    return !q->stays || !answered(q);
}

static void wait_for_any(const struct question *q, size_t count) {
    struct pollfd *p = NULL;
    if (mem_array(&p, 2 * count) != OK) {
        clock_sleep_ms(POLL_MS);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const bool runs = q[i].pipes.pid != 0;
        p[2 * i] = (struct pollfd){.fd = runs ? q[i].pipes.out : -1, .events = POLLIN};
        p[2 * i + 1] = (struct pollfd){.fd = runs ? q[i].pipes.err : -1, .events = POLLIN};
    }
    poll(p, 2 * count, POLL_MS);
    mem_free(&p);
}

/* --- judging ---------------------------------------------------------------------------------- */

/* Gives the last line of the errors, to show to people. */
static void last_error(const struct question *q, char *out, size_t bytes) {
    const char *text = (const char *)q->errors.data;
    size_t end = q->errors.len, begin;
    while (end > 0 && strchr("\r\n ", text[end - 1]) != NULL) {
        end--;
    }
    begin = end;
    while (begin > 0 && text[begin - 1] != '\n') {
        begin--;
    }
    snprintf(out, bytes, "%.*s", (int)(end - begin), text == NULL ? "" : text + begin);
}

static void question_judge(struct question *q, bool in_time) {
    char why[384];
    const int code = WIFEXITED(q->wait_status) ? WEXITSTATUS(q->wait_status) : -1;
    last_error(q, why, sizeof why);
    if (answered(q)) {
        return;
    }
    if (!in_time) {
        snprintf(q->problem, sizeof q->problem, "no answer within %u s", QUESTION_MS / 1000);
    } else if (code == 255) {
        snprintf(q->problem, sizeof q->problem, "not reachable: %s",
                 why[0] != '\0' ? why : "ssh gave no reason");
    } else {
        snprintf(q->problem, sizeof q->problem, "cannot be asked (exit code %d): %s", code,
                 why[0] != '\0' ? why : "no answer");
    }
}

enum status questions_ask(struct question *q, size_t count, const struct words *ssh,
                          const struct hosts *hosts) {
    const uint64_t deadline_ms = clock_mono_ms() + QUESTION_MS;
    const int stops = stop_count(); /* questions are also asked at the end of a stopped job */
    size_t waiting = count;
    for (size_t i = 0; i < count; i++) {
        TRY(question_start(&q[i], ssh, hosts));
    }
    while (waiting > 0 && clock_left_ms(deadline_ms) > 0) {
        wait_for_any(q, count);
        waiting = 0;
        for (size_t i = 0; i < count; i++) {
            waiting += question_turn(&q[i]);
        }
        if (stop_count() != stops) {
            return fail(ERR_CLOSED, "stopped by SIG%s before anything was started",
                        sigabbrev_np(stop_signal()));
        }
    }
    for (size_t i = 0; i < count; i++) {
        question_judge(&q[i], q[i].pipes.pid == 0);
    }
    return OK;
}

bool question_line(const struct question *q, const char *prefix, const char **at, char *out,
                   size_t bytes) {
    const char *line = *at != NULL ? *at : (const char *)q->answer.data;
    const size_t n = strlen(prefix);
    while (line != NULL && *line != '\0') {
        const size_t length = strcspn(line, "\n");
        const char *next = line + length + (line[length] == '\n');
        if (strncmp(line, prefix, n) == 0) {
            snprintf(out, bytes, "%.*s", (int)(length - n), line + n);
            *at = next;
            return true;
        }
        line = next;
    }
    return false;
}

void question_end(struct question *q, const char *word) {
    const uint64_t deadline_ms = clock_mono_ms() + END_MS;
    if (q->pipes.pid == 0) {
        return;
    }
    if (word != NULL && q->pipes.in >= 0) {
        (void)!write(q->pipes.in, word, strlen(word));
    }
    close_fd(&q->pipes.in);
    q->stays = false;
    while (question_turn(q) && clock_left_ms(deadline_ms) > 0) {
        wait_for_any(q, 1);
    }
}

void question_fini(struct question *q) {
    if (q->pipes.pid != 0) {
        kill(-q->pipes.pid, SIGKILL);
        kill(q->pipes.pid, SIGKILL);
        while (waitpid(q->pipes.pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (q->started) {
        close_fd(&q->pipes.in);
        close_fd(&q->pipes.out);
        close_fd(&q->pipes.err);
    }
    words_fini(&q->words);
    buf_fini(&q->answer);
    buf_fini(&q->errors);
    *q = (struct question){0};
}
