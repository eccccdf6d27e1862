/* tether.c - `esmm tether ROLE ...`: one role, tied to the connection it was started over.
 *
 * A launcher cannot control a role that it starts directly over ssh: if the connection breaks, the
 * network fails or the launcher is killed, the role would run on and keep its port and memory.
 * Therefore the launcher starts the tether, which runs the role as its child. The tether ends the
 * role when nothing arrives for lifeline_s, be its standard input open or closed: a pulled cable
 * closes no connection (therefore the launcher sends "beat" every few seconds), and a closed one
 * may be the network's fault, in which case the launcher comes back with another tether and
 * --replace. Until then the role works on. The tether first sends SIGTERM to the role, on which a
 * coordinator saves a checkpoint, and after grace_s SIGKILL.
 * If the tether itself is killed, the kernel kills the role (PR_SET_PDEATHSIG), so a role never
 * runs on alone.
 *
 * The input consists of lines: beat, int, term, kill. The tether passes the last three on to the
 * role as signals, and also any INT and TERM that it gets itself. It ignores HUP, because it
 * notices a closed connection anyway. The exit code is the role's, or 128 + N if signal N killed
 * the role.
 *
 * When a launcher restarts a role whose connection broke, it cannot know whether the old process
 * has ended, and two processes with one index would be refused. So it passes the number of the old
 * process (--replace). The tether kills that process first, if it still runs and has exactly the
 * same arguments.
 *
 * The role runs in its own session and reads no input. Its output goes where the tether's goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "tools/common/options.h"
#include "tools/common/spawn.h"
#include "tools/common/tools.h"

#define POLL_MS       50
#define REPLACE_MS    5000              /* how long to wait until a killed process is gone */
#define COMMAND_BYTES ((size_t)1 << 20) /* for the role's arguments: many directories, perhaps */

struct tether {
    char **role; /* "ps", "--coord", ...: NULL at the end */
    uint64_t lifeline_s, grace_s;
    uint64_t replace; /* the process to kill first; 0: none */
    pid_t pid;
    bool input_open;
    char line[16]; /* the line that is being read */
    size_t line_bytes;
    uint64_t heard_ms;
    uint64_t kill_at_ms; /* when to kill the role; 0: not yet */
    int passed_on;       /* the newest signal to the tether that was passed on to the role */
    int exit_code;       /* the role's */
};

static enum status tether_check(void *line) {
    const struct tether *t = line;
    const char *role = t->role[0];
    if (strcmp(role, "coord") != 0 && strcmp(role, "ps") != 0 && strcmp(role, "worker") != 0) {
        return fail(ERR_USAGE, "role is '%s', expected coord, ps or worker", role);
    }
    return OK;
}

/* --- the one before --------------------------------------------------------------------------- */

/* Reads a file of /proc, whose size is not known in advance. */
static enum status read_small(const char *path, char **text, size_t *bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ERR_NOT_FOUND;
    }
    enum status status = mem_array(text, COMMAND_BYTES);
    ssize_t n = 1;
    *bytes = 0;
    while (status == OK && n > 0 && *bytes < COMMAND_BYTES) {
        n = read(fd, *text + *bytes, COMMAND_BYTES - *bytes);
        *bytes += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return status;
}

/* True if the process runs this role: its arguments, except the program's name, are the same. */
static bool runs_this_role(const struct tether *t, pid_t pid) {
    char path[64];
    char *theirs = NULL;
    size_t bytes = 0;
    struct buf ours = BUF_EMPTY;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    enum status status = OK;
    for (char **word = t->role; status == OK && *word != NULL; word++) {
        status = buf_put(&ours, *word, strlen(*word) + 1);
    }
    bool same = false;
    if (status == OK && read_small(path, &theirs, &bytes) == OK) {
        const char *first = memchr(theirs, '\0', bytes);
        size_t skip = first == NULL ? bytes : (size_t)(first - theirs) + 1;
        same = bytes - skip == ours.len && memcmp(theirs + skip, ours.data, ours.len) == 0;
    }
    mem_free(&theirs);
    buf_fini(&ours);
    return same;
}

static enum status remove_predecessor(const struct tether *t) {
    pid_t pid = (pid_t)t->replace;
    uint64_t deadline_ms = clock_mono_ms() + REPLACE_MS;
    if (pid == 0 || !runs_this_role(t, pid)) {
        return OK;
    }
    log_warn("process %d runs this %s still: killing it", (int)pid, t->role[0]);
    while (runs_this_role(t, pid)) {
        if (clock_left_ms(deadline_ms) == 0) {
            return fail(ERR_TIMEOUT, "process %d, which runs the same %s, does not die", (int)pid,
                        t->role[0]);
        }
        kill(pid, SIGKILL);
        clock_sleep_ms(POLL_MS);
    }
    return OK;
}

/* --- the role --------------------------------------------------------------------------------- */

/* Starts the role. Its argv is the end of the tether's argv, after the program's name. */
static enum status tether_start_role(struct tether *t) {
    char **argv = t->role - 1;
    char *before = argv[0];
    char name[] = "esmm";
    const struct spawn what = {.argv = argv, .no_input = true, .death_signal = SIGKILL};
    argv[0] = name;
    const enum status status = spawn(&what, &t->pid);
    argv[0] = before;
    if (status != OK) {
        return fail(status, "%s: %s", t->role[0], fail_text());
    }
    log_info("the %s is process %d", t->role[0], (int)t->pid);
    return OK;
}

static void tether_end_role(struct tether *t) {
    if (t->kill_at_ms == 0) {
        log_warn("nothing was heard of the launcher for %llu s (--lifeline): ending the %s, at the "
                 "latest in %llu s",
                 (unsigned long long)t->lifeline_s, t->role[0], (unsigned long long)t->grace_s);
        kill(t->pid, SIGTERM);
        t->kill_at_ms = clock_mono_ms() + t->grace_s * 1000;
    }
}

/* --- what is heard ---------------------------------------------------------------------------- */

static void tether_obey(struct tether *t, const char *line) {
    if (strcmp(line, "int") == 0) {
        kill(t->pid, SIGINT);
    } else if (strcmp(line, "term") == 0) {
        kill(t->pid, SIGTERM);
    } else if (strcmp(line, "kill") == 0) {
        kill(-t->pid, SIGKILL);
    } else if (strcmp(line, "beat") != 0) {
        log_warn("expected beat, int, term or kill, not '%s'", line);
    }
}

static void tether_hear(struct tether *t) {
    char data[256];
    ssize_t n = read(STDIN_FILENO, data, sizeof data);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        t->input_open = false;
        log_warn("the launcher's connection is closed: the %s goes on without it for %llu s",
                 t->role[0], (unsigned long long)t->lifeline_s);
        return;
    }
    t->heard_ms = clock_mono_ms();
    for (ssize_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            t->line[t->line_bytes] = '\0';
            tether_obey(t, t->line);
            t->line_bytes = 0;
        } else if (t->line_bytes + 1 < sizeof t->line) {
            t->line[t->line_bytes++] = data[i];
        }
    }
}

static void listen_for_input(struct tether *t) {
    struct pollfd p = {.fd = t->input_open ? STDIN_FILENO : -1, .events = POLLIN};
    if (poll(&p, 1, POLL_MS) > 0) {
        tether_hear(t);
    }
}

static void pass_signal_on(struct tether *t) {
    if (stop_signal() != t->passed_on) {
        t->passed_on = stop_signal();
        kill(t->pid, t->passed_on);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static void tether_turn(struct tether *t) {
    listen_for_input(t);
    pass_signal_on(t);
    uint64_t now_ms = clock_mono_ms();
    if (now_ms >= t->heard_ms + t->lifeline_s * 1000) {
        tether_end_role(t);
    }
    if (t->kill_at_ms != 0 && now_ms >= t->kill_at_ms) {
        kill(-t->pid, SIGKILL);
    }
}

static int exit_code_of(const struct tether *t, int wait_status) {
    if (!WIFSIGNALED(wait_status)) {
        return WEXITSTATUS(wait_status);
    }
    int number = WTERMSIG(wait_status);
    log_error("the %s was killed by signal %d (%s)", t->role[0], number, strsignal(number));
    return 128 + number;
}

static enum status tether_hold(struct tether *t) {
    int wait_status = 0;
    pid_t got;
    t->input_open = true;
    t->heard_ms = clock_mono_ms();
    while ((got = waitpid(t->pid, &wait_status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
        tether_turn(t);
    }
    if (got < 0) {
        return fail(ERR_IO, "cannot wait for the %s: %s", t->role[0], strerror(errno));
    }
    t->exit_code = exit_code_of(t, wait_status);
    return OK;
}

static enum status tether_run(void *line) {
    struct tether *t = line;
    stop_signals_install();
    signal(SIGHUP, SIG_IGN);
    TRY(log_open(NULL, "tether"));
    TRY(remove_predecessor(t));
    TRY(tether_start_role(t));
    return tether_hold(t);
}

static int tether_exit_code(const void *line) {
    return ((const struct tether *)line)->exit_code;
}

static const struct option_row tether_rows[] = {
    {"lifeline", "S", OPTION_WHOLE, OPTION_AT(struct tether, lifeline_s), .preset = "120",
     .least = 1, .most = 86400, .help = "end the role after S seconds without a line"},
    {"grace", "S", OPTION_WHOLE, OPTION_AT(struct tether, grace_s), .preset = "300", .least = 1,
     .most = 86400, .help = "kill it when it has not ended S seconds later"},
    {"replace", "PID", OPTION_WHOLE, OPTION_AT(struct tether, replace), .least = 2,
     .most = INT32_MAX, .help = "kill process PID first, if it runs the same role"},
    {"role", "coord|ps|worker [options of the role]", OPTION_REST, OPTION_AT(struct tether, role),
     .argument = true, .required = true, .help = "coord, ps or worker, and all that it is given"},
    {NULL}};
const struct command command_tether = {
    .name = "tether",
    .summary = "one role, ended when the launcher is gone",
    .about =
        "Runs one role for a launcher, and ends it when the launcher is gone. Reads lines from "
        "standard input: beat, int, term, kill.",
    .groups = (const struct option_group[]){{NULL, tether_rows}, {0}},
    .line_bytes = sizeof(struct tether),
    .check = tether_check,
    .run = tether_run,
    .exit_code = tether_exit_code};
