#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "common/fault/fault.h"
#include "last_words.h"
#include "tools/common/spawn.h"

#define POLL_MS        50
#define BEAT_MS        5000
#define LAST_WORDS_MS  1000  /* for output that descendants of an ended child still hold open */
#define LINE_BYTES_MAX 65536 /* longer lines are split */
#define TERMINAL_MS    1000  /* how long a terminal may make us wait */

static const char *const role_names[] = {"coord", "ps", "worker"};

enum status crew_init(struct crew *c, size_t children_max, struct view *view) {
    *c = (struct crew){.progress_fd = -1, .lock_fd = -1, .view = view, .cap = children_max};
    TRY(mem_array(&c->children, children_max));
    return mem_array(&c->supervised, children_max);
}

enum status crew_add(struct crew *c, enum child_kind kind, uint32_t index,
                     struct crew_child **child) {
    if (c->count == c->cap) {
        return fail(ERR_LIMIT, "more than %zu processes", c->cap);
    }
    struct crew_child *new = &c->children[c->count];
    new->in = new->out = new->err = -1;
    new->log_file = FILE_CLOSED;
    snprintf(new->name, sizeof new->name, "%s-%u", role_names[kind], index);
    snprintf(new->tag, sizeof new->tag, "%s", new->name);
    c->supervised[c->count++] = (struct supervised){.name = new->tag, .kind = kind};
    *child = new;
    return OK;
}

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void kill_child(const struct crew_child *child, int signal) {
    kill(-child->pid, signal);
    kill(child->pid, signal);
}

void crew_fini(struct crew *c) {
    for (size_t i = 0; i < c->count; i++) {
        struct crew_child *child = &c->children[i];
        if (child->pid > 0) {
            kill_child(child, SIGKILL);
            while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
            }
        }
        close_fd(&child->in);
        close_fd(&child->out);
        close_fd(&child->err);
        file_close(&child->log_file);
        buf_fini(&child->lines[0]);
        buf_fini(&child->lines[1]);
        words_fini(&child->command);
        words_fini(&child->prefix);
    }
    close_fd(&c->progress_fd);
    buf_fini(&c->polled);
    mem_free(&c->children);
    mem_free(&c->supervised);
}

/* --- what is shown ---------------------------------------------------------------------------- */

/* A held terminal (Ctrl-S) must not stop the launcher, because its beats would stop too. Text that
 * the terminal does not take within a second is not shown; the logs still get it. */
static void show_line(struct crew *c, const char *tag, const char *line) {
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    c->stuck = poll(&p, 1, c->stuck ? 0 : TERMINAL_MS) == 0;
    if (!c->stuck) {
        if (c->view != NULL) {
            view_end(c->view);
        }
        fprintf(stderr, "%s%s%s\n", tag, tag[0] == '\0' ? "" : " ", line);
    }
}

static void crew_say(void *self, const char *line) {
    show_line(self, "", line);
}

/* --- starting --------------------------------------------------------------------------------- */

enum status crew_remote_command(const struct crew_child *child, struct words *out) {
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    for (size_t i = 0; i < child->prefix.count; i++) {
        TRY_OUT(words_add(out, child->prefix.list[i]));
    }
    if (child->before != NULL) {
        TRY_OUT(buf_printf(&text, "%s && ", child->before));
    }
    TRY_OUT(word_quote(child->command.list[0], &text));
    TRY_OUT(buf_printf(&text, " tether --lifeline %llu --grace %llu ",
                       (unsigned long long)child->lifeline_s, (unsigned long long)child->grace_s));
    if (child->lost && child->process > 0) {
        TRY_OUT(buf_printf(&text, "--replace %llu ", (unsigned long long)child->process));
    }
    TRY_OUT(words_quote(&child->command, 1, &text));
    status = words_add(out, (const char *)text.data);
out:
    buf_fini(&text);
    return status;
}

static enum status give_progress_fd(const struct crew *c, int fd) {
    return dup3(fd, c->progress_fd, O_CLOEXEC) >= 0
               ? OK
               : fail(ERR_IO, "cannot prepare a pipe: %s", strerror(errno));
}

/* Each start of the coordinator has its own pipe for the progress, which ends with the process. */
static enum status start_with_progress(const struct crew *c, struct crew_child *child,
                                       const struct spawn *what) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return fail(ERR_IO, "cannot make a pipe: %s", strerror(errno));
    }
    enum status status = give_progress_fd(c, ends[1]);
    close_fd(&ends[1]);
    status = status == OK ? spawn(what, &child->pid) : status;
    (void)give_progress_fd(c, ends[0]); /* a reading end: the pipe then ends with its writer */
    close_fd(&child->out);
    child->out = ends[0];
    return status;
}

static enum status start_here(const struct crew *c, struct crew_child *child) {
    const int keep[2] = {c->progress_fd, c->lock_fd};
    const struct spawn what = {.argv = child->command.list,
                               .log = child->log,
                               .keep = keep,
                               .keeps = child == c->children ? 2 : 0,
                               .death_signal = SIGTERM};
    return child == c->children && c->progress_fd >= 0 ? start_with_progress(c, child, &what)
                                                       : spawn(&what, &child->pid);
}

static enum status start_there(struct crew_child *child) {
    struct words words = {0};
    struct spawn_pipes pipes;
    enum status status = OK;
    if (child->log_file.fd < 0) {
        TRY(file_open_append(&child->log_file, child->log));
    }
    TRY_OUT(crew_remote_command(child, &words));
    const struct spawn what = {
        .program = words.list[0], .argv = words.list, .death_signal = SIGTERM};
    TRY_OUT(spawn_with_pipes(&what, &pipes));
    child->pid = pipes.pid;
    child->in = pipes.in;
    child->out = pipes.out;
    child->err = pipes.err;
out:
    words_fini(&words);
    return status;
}

static enum status crew_start(void *self, size_t index, uint32_t attempt) {
    struct crew *c = self;
    struct crew_child *child = &c->children[index];
    const bool here = child->prefix.count == 0;
    (void)attempt;
    TRY(here ? start_here(c, child) : start_there(child));
    child->reaped_ms = 0;
    child->last[0] = '\0';
    child->idle = false;
    child->up = here;
    child->running = true;
    return OK;
}

/* --- orders ----------------------------------------------------------------------------------- */

/* The order is dropped if the pipe is full: the connection has then been silent for long, and the
 * child's tether will notice that. */
static void tell_there(const struct crew_child *child, const char *word) {
    if (child->in >= 0) {
        (void)!write(child->in, word, strlen(word));
    }
}

static void crew_tell(void *self, size_t index, int signal) {
    struct crew *c = self;
    const struct crew_child *child = &c->children[index];
    if (child->in >= 0) {
        tell_there(child, signal == SIGINT ? "int\n" : signal == SIGTERM ? "term\n" : "kill\n");
    } else if (child->pid > 0 && signal == SIGKILL) {
        kill_child(child, signal);
    } else if (child->pid > 0) {
        kill(child->pid, signal);
    }
}

static void crew_cut(void *self, size_t index) {
    struct crew *c = self;
    const struct crew_child *child = &c->children[index];
    char line[sizeof child->tag + 32];
    snprintf(line, sizeof line, "%s %s",
             child->prefix.count > 0 ? "cutting the connection of" : "cannot end", child->tag);
    crew_say(c, line);
    if (child->pid > 0) {
        kill_child(child, SIGKILL);
    }
}

/* --- what is heard ---------------------------------------------------------------------------- */

static void take_log_line(struct crew *c, struct crew_child *child, const char *line) {
    static const char idle[] = ": nothing is left to train";
    unsigned long long process = 0;
    const char *tether = strstr(line, " tether the ");
    const size_t n = strlen(line);
    snprintf(child->last, sizeof child->last, "%s", line);
    if (file_write(&child->log_file, line, n) == OK) {
        (void)file_write(&child->log_file, "\n", 1);
    }
    show_line(c, child->tag, line);
    if (tether != NULL && sscanf(tether, " tether the %*[a-z] is process %llu", &process) == 1) {
        child->process = process;
        child->up = true;
    }
    child->idle = n >= sizeof idle - 1 && strcmp(line + n - (sizeof idle - 1), idle) == 0;
}

/* Shows a coordinator's progress in the view. All other output goes to the log. */
static void take_line(struct crew *c, struct crew_child *child, struct buf *line) {
    if (line->len > 0 && line->data[line->len - 1] == '\r') {
        line->len--;
    }
    const bool whole = buf_put_u8(line, '\0') == OK;
    const char *text = (const char *)line->data;
    if (whole && text[0] == '{' && line == &child->lines[0] && c->view != NULL) {
        view_line(c->view, text);
    } else if (whole) {
        take_log_line(c, child, text);
    }
    buf_clear(line);
}

/* Reads the available output, and closes the stream at its end. */
static void crew_hear(struct crew *c, struct crew_child *child, int *fd) {
    char data[16384];
    struct buf *line = &child->lines[fd == &child->err];
    const ssize_t n = read(*fd, data, sizeof data);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (data[i] == '\n' || line->len >= LINE_BYTES_MAX) {
            take_line(c, child, line);
        }
        if (data[i] != '\n') {
            (void)buf_put_u8(line, (uint8_t)data[i]);
        }
    }
    if (n <= 0) {
        close_fd(fd);
    }
}

/* At least four beats in the time after which a tether takes this launcher for dead. */
static void crew_beat(struct crew *c) {
    const uint64_t now_ms = clock_mono_ms();
    const uint64_t lifeline_ms = c->count > 0 ? c->children[0].lifeline_s * 1000 : 0;
    if (now_ms < c->beat_ms) {
        return;
    }
    c->beat_ms = now_ms + (lifeline_ms / 4 < BEAT_MS ? lifeline_ms / 4 : BEAT_MS);
    for (size_t i = 0; i < c->count; i++) {
        tell_there(&c->children[i], "beat\n");
    }
}

/* Waits a moment for output, and reads it. */
static void listen_to_all(struct crew *c) {
    buf_clear(&c->polled);
    for (size_t i = 0; i < c->count; i++) {
        const struct pollfd two[2] = {{.fd = c->children[i].out, .events = POLLIN},
                                      {.fd = c->children[i].err, .events = POLLIN}};
        if (buf_put(&c->polled, two, sizeof two) != OK) {
            clock_sleep_ms(POLL_MS);
            return;
        }
    }
    struct pollfd *p = (struct pollfd *)(void *)c->polled.data;
    if (poll(p, 2 * c->count, POLL_MS) <= 0) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (p[2 * i].revents != 0) {
            crew_hear(c, &c->children[i], &c->children[i].out);
        }
        if (p[2 * i + 1].revents != 0) {
            crew_hear(c, &c->children[i], &c->children[i].err);
        }
    }
}

/* --- endings ---------------------------------------------------------------------------------- */

/* Over ssh the exit code is the role's own, or 128 + N if signal N killed it, or 255 from ssh. */
static struct ending ending_of(struct crew_child *child) {
    struct ending e = {.idle = child->idle};
    const int status = child->wait_status;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    const bool here = child->prefix.count == 0;
    if (here) {
        last_words_read(child->log, child->last, sizeof child->last);
    }
    snprintf(e.text, sizeof e.text, "%s", last_words_bare(child->last));
    if (WIFSIGNALED(status)) {
        e.kind = here ? ENDING_KILLED : ENDING_LOST;
        e.code = WTERMSIG(status);
    } else if (!here && code == 255) {
        e.kind = ENDING_LOST;
    } else if (!here && code > 128 && code != 128 + SIGINT && code != 128 + SIGTERM) {
        e.kind = ENDING_KILLED;
        e.code = code - 128;
    } else {
        e.code = code;
    }
    child->lost = e.kind == ENDING_LOST;
    return e;
}

static void crew_reap(struct crew_child *child) {
    if (child->pid > 0 && waitpid(child->pid, &child->wait_status, WNOHANG) == child->pid) {
        child->pid = 0;
        child->reaped_ms = clock_mono_ms();
        close_fd(&child->in);
    }
}

/* True if the child has ended and its last words were read or will not come. */
static bool has_ended(const struct crew_child *child) {
    return child->running && child->reaped_ms != 0 &&
           ((child->out < 0 && child->err < 0) ||
            clock_mono_ms() >= child->reaped_ms + LAST_WORDS_MS);
}

static void end_streams(struct crew *c, struct crew_child *child) {
    for (size_t i = 0; i < 2; i++) {
        if (child->lines[i].len > 0) { /* an incomplete line counts as a line */
            take_line(c, child, &child->lines[i]);
        }
    }
    close_fd(&child->out);
    close_fd(&child->err);
    child->running = false;
}

/* --- the world -------------------------------------------------------------------------------- */

static bool next_event(struct crew *c, struct event *e) {
    for (size_t i = 0; i < c->count; i++) {
        struct crew_child *child = &c->children[i];
        e->child = i;
        crew_reap(child);
        if (child->up) {
            child->up = false;
            e->kind = EVENT_UP;
            return true;
        }
        if (has_ended(child)) {
            FAULT("launch.ended");
            end_streams(c, child);
            e->kind = EVENT_ENDED;
            e->ending = ending_of(child);
            return true;
        }
    }
    if (stop_count() > c->signals_taken) {
        c->signals_taken++;
        e->kind = EVENT_SIGNAL;
        e->signal = stop_signal();
        return true;
    }
    return false;
}

static void crew_wait(void *self, struct event *e) {
    struct crew *c = self;
    e->kind = EVENT_NONE;
    crew_beat(c);
    if (!next_event(c, e)) {
        listen_to_all(c);
        next_event(c, e);
    }
}

static uint64_t crew_now_ms(void *self) {
    (void)self;
    return clock_mono_ms();
}

struct supervisor_world crew_world(struct crew *c) {
    return (struct supervisor_world){.self = c,
                                     .now_ms = crew_now_ms,
                                     .wait = crew_wait,
                                     .start = crew_start,
                                     .tell = crew_tell,
                                     .cut = crew_cut,
                                     .say = crew_say};
}
