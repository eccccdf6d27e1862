#include "supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "tools/common/spawn.h"

#define ARGS_FIRST 32

enum status supervisor_init(struct supervisor *s, size_t children_max) {
    *s = (struct supervisor){.keep = {-1, -1}};
    TRY(mem_array(&s->children, children_max));
    s->cap = children_max;
    return OK;
}

void supervisor_fini(struct supervisor *s) {
    supervisor_stop(s, 0);
    for (size_t i = 0; i < s->count; i++) {
        for (int a = 0; a < s->children[i].argc; a++) {
            mem_free(&s->children[i].argv[a]);
        }
        mem_free(&s->children[i].argv);
    }
    mem_free(&s->children);
}

enum status child_arg(struct child *c, const char *text) {
    if (c->argc + 1 >= SUPERVISOR_ARGS_MAX) {
        return fail(ERR_LIMIT, "%s: more than %d arguments", c->name, SUPERVISOR_ARGS_MAX - 1);
    }
    if (c->argc + 1 >= c->argv_cap) {
        const int cap = c->argv_cap == 0 ? ARGS_FIRST : 2 * c->argv_cap;
        TRY(mem_grow(&c->argv, (size_t)c->argv_cap, (size_t)cap));
        c->argv_cap = cap;
    }
    return mem_strdup(&c->argv[c->argc++], text);
}

enum status child_option(struct child *c, const char *option, const char *value) {
    TRY(child_arg(c, option));
    return child_arg(c, value);
}

enum status child_option_u64(struct child *c, const char *option, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return child_option(c, option, text);
}

enum status supervisor_add(struct supervisor *s, const char *name, const char *log_path,
                           struct child **child) {
    if (s->count == s->cap) {
        return fail(ERR_LIMIT, "more than %zu processes", s->cap);
    }
    struct child *c = &s->children[s->count++];
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->log, sizeof c->log, "%s", log_path);
    *child = c;
    return child_arg(c, "esmm");
}

enum status supervisor_start(struct supervisor *s, struct child *c) {
    const struct spawn what = {.argv = c->argv,
                               .log = c->log,
                               .keep = s->keep,
                               .keeps = SUPERVISOR_KEEP_MAX,
                               .death_signal = SIGTERM};
    pid_t pid = 0;
    if (spawn(&what, &pid) != OK) {
        return fail(ERR_IO, "%s: %s", c->name, fail_text());
    }
    c->pid = pid;
    c->ended = false;
    return OK;
}

size_t supervisor_reap(struct supervisor *s) {
    size_t ended = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        if (c->pid > 0 && waitpid(c->pid, &c->wait_status, WNOHANG) == c->pid) {
            c->pid = 0;
            c->ended = true;
            ended++;
        }
    }
    return ended;
}

static size_t signal_all(struct supervisor *s, int signal) {
    size_t running = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->children[i].pid > 0) {
            running++;
            if (signal != 0) {
                kill(-s->children[i].pid, signal);
                kill(s->children[i].pid, signal);
            }
        }
    }
    return running;
}

void supervisor_stop(struct supervisor *s, uint64_t grace_ms) {
    if (grace_ms > 0) {
        signal_all(s, SIGTERM);
    }
    uint64_t deadline_ms = clock_mono_ms() + grace_ms;
    supervisor_reap(s);
    while (signal_all(s, 0) > 0 && clock_left_ms(deadline_ms) > 0) {
        clock_sleep_ms(10);
        supervisor_reap(s);
    }
    while (signal_all(s, SIGKILL) > 0) {
        clock_sleep_ms(5);
        supervisor_reap(s);
    }
}

/* "esmm ps: disk full", main's last word, or "2026-…Z error ps-1 disk full", without what the
 * reader knows already. */
static const char *without_prefix(const char *line) {
    int main_bytes = 0, log_bytes = 0;
    sscanf(line, "esmm %*[a-z]: %n", &main_bytes);
    sscanf(line, "%*[0-9T:.-]Z error %*s %n", &log_bytes);
    return line + (main_bytes > 0 ? main_bytes : log_bytes);
}

/* The last line of a log, without its newline; "" if it cannot be read. */
static void last_line(const char *path, char *out, size_t bytes) {
    out[0] = '\0';
    struct file f = FILE_CLOSED;
    uint64_t size = 0;
    if (file_open_read(&f, path) != OK) {
        return;
    }
    char tail[2048];
    if (file_size(&f, &size) == OK) {
        size_t n = size < sizeof tail - 1 ? (size_t)size : sizeof tail - 1;
        if (file_pread(&f, tail, n, size - n) == OK) {
            while (n > 0 && tail[n - 1] == '\n') {
                n--;
            }
            tail[n] = '\0';
            const char *line = strrchr(tail, '\n');
            snprintf(out, bytes, "%s", line != NULL ? line + 1 : tail);
        }
    }
    file_close(&f);
}

void child_describe(const struct child *c, char *out, size_t bytes) {
    if (WIFSIGNALED(c->wait_status)) {
        snprintf(out, bytes, "%s was killed by signal %d (%s); its log: %s", c->name,
                 WTERMSIG(c->wait_status), strsignal(WTERMSIG(c->wait_status)), c->log);
        return;
    }
    char line[384];
    last_line(c->log, line, sizeof line);
    snprintf(out, bytes, "%s ended with exit code %d: %s (log: %s)", c->name,
             WEXITSTATUS(c->wait_status), without_prefix(line), c->log);
}
