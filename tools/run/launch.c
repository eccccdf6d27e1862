#include "launch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/entropy.h"
#include "common/base/lock.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "host_check.h"
#include "job_note.h"
#include "summary_view.h"
#include "train_roles.h"

#define SAVE_FAILED_S 30u /* after a worker failed: the time to save what can still be saved */

struct launch {
    struct job job;
    struct hosts hosts;
    struct placement placement;
    struct words ssh;
    struct buf make_logs; /* a command */
    struct host_check check;
    struct view view;
    struct crew crew;
    struct supervisor supervisor;
    struct job_noted note;
    struct lock lock; /* on the run directory's path on this machine, where the logs are written */
    bool made_out;
};

/* --- preparing -------------------------------------------------------------------------------- */

static enum status find_program(struct job *j) {
    const ssize_t n =
        j->program[0] != '\0' ? 0 : readlink("/proc/self/exe", j->program, sizeof j->program - 1);
    if (n < 0) {
        return fail(ERR_IO, "cannot tell where this program is: %s; give --program",
                    strerror(errno));
    }
    j->program[n > 0 ? (size_t)n : strlen(j->program)] = '\0';
    return OK;
}

/* Adds ssh options so that ssh never asks a person, and treats a silent connection as broken. */
static enum status split_ssh(struct launch *l) {
    static const char fixed[] = "-T -x -a -o BatchMode=yes -o ConnectTimeout=10 "
                                "-o ServerAliveInterval=5 -o ServerAliveCountMax=3 "
                                "-o ControlPath=none";
    if (words_split(&l->ssh, l->job.ssh) != OK || l->ssh.count == 0) {
        return fail(ERR_USAGE, "--ssh '%.200s' is not a command", l->job.ssh);
    }
    return words_split(&l->ssh, fixed);
}

static enum status launch_plan(struct launch *l) {
    char logs[PATH_BYTES_MAX];
    TRY(find_program(&l->job));
    TRY(split_ssh(l));
    TRY(hosts_read(&l->hosts, l->job.hostfile));
    l->placement = (struct placement){.servers = l->job.servers,
                                      .workers = l->job.workers,
                                      .server_threads = l->job.config.server_threads};
    TRY(placement_make(&l->placement, &l->hosts, l->job.port_base));
    TRY(path_join(logs, l->job.out, "logs"));
    TRY(buf_printf(&l->make_logs, "mkdir -p "));
    TRY(word_quote(logs, &l->make_logs));
    const struct train_roles roles = {.job = &l->job,
                                      .hosts = &l->hosts,
                                      .placement = &l->placement,
                                      .ssh = &l->ssh,
                                      .launch = entropy_u64(),
                                      .make_logs = (const char *)l->make_logs.data};
    view_init(&l->view, 0, l->job.stream ? 0 : l->job.config.epochs);
    l->view.terminal = false; /* log lines would break up the bar */
    TRY(train_roles_add(&roles, &l->view, &l->crew));
    return host_check_init(&l->check, &l->job, &l->hosts, &l->placement, &l->ssh);
}

/* Prints for example " coord-0 ps-1", or " nothing". */
static void print_roles_on(const struct launch *l, size_t host, FILE *out) {
    bool any = false;
    for (size_t i = 0; i < l->crew.count; i++) {
        if (l->placement.places[i].host == host) {
            fprintf(out, " %s", l->crew.children[i].name);
            any = true;
        }
    }
    fprintf(out, any ? "\n" : " nothing\n");
}

static void say_placement(const struct launch *l) {
    const struct job *j = &l->job;
    fprintf(stderr,
            "%u servers and %u workers (%u trainer threads each) on %zu hosts; run directory %s\n",
            j->servers, j->workers, j->threads, l->hosts.count, j->out);
    for (size_t i = 0; i < l->hosts.count; i++) {
        fprintf(stderr, "  %s (%u slots):", l->hosts.list[i].name, l->hosts.list[i].slots);
        print_roles_on(l, i, stderr);
    }
}

/* --- the dry run ------------------------------------------------------------------------------ */

static enum status print_command(const struct words *command, const char *input) {
    struct buf text = BUF_EMPTY;
    const enum status status = words_quote(command, 0, &text);
    if (status == OK) {
        printf("%s%s\n", (const char *)text.data, input);
    }
    buf_fini(&text);
    return status;
}

static enum status print_questions(const struct launch *l, const struct question *q, size_t count,
                                   size_t host) {
    enum status status = OK;
    for (size_t i = 0; i < count && status == OK; i++) {
        struct words command = {0};
        if (q[i].host == host) {
            status = question_command(&q[i], &l->ssh, &l->hosts, &command);
            status = status == OK ? print_command(&command, " <scripts/launch/probe.sh") : status;
        }
        words_fini(&command);
    }
    return status;
}

/* Prints every command, host by host. */
static enum status launch_print_plan(const struct launch *l) {
    for (size_t i = 0; i < l->hosts.count; i++) {
        printf("# %s (%u slots):", l->hosts.list[i].name, l->hosts.list[i].slots);
        print_roles_on(l, i, stdout);
        TRY(print_questions(l, l->check.first, l->check.first_count, i));
        TRY(print_questions(l, l->check.second, l->check.second_count, i));
        for (size_t k = 0; k < l->crew.count; k++) {
            struct words command = {0};
            if (l->placement.places[k].host == i) {
                TRY(crew_remote_command(&l->crew.children[k], &command));
                TRY(print_command(&command, ""));
            }
            words_fini(&command);
        }
    }
    return OK;
}

/* --- the job ---------------------------------------------------------------------------------- */

/* Prepares the signals and the limit of open files. A suspended launcher would lose its roles,
 * because their tethers would end them, so SIGTSTP is ignored. Each role needs three pipes and a
 * log. */
static void prepare_process(void) {
    struct rlimit files;
    struct sigaction hangup;
    stop_signals_install();
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) { /* nohup */
        stop_signal_add(SIGHUP);
    }
    signal(SIGTSTP, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Locks the log directory on this machine, so that only one launcher writes there. The
 * coordinator's own lock (RUN/lock) cannot do this: it is on the coordinator's host, and is taken
 * only after all roles have been started. */
static enum status enter_out(struct launch *l) {
    char path[PATH_BYTES_MAX];
    l->made_out = !file_is_dir(l->job.out);
    TRY(path_join(path, l->job.out, "logs"));
    if (file_mkdirs(path) != OK) {
        return fail(ERR_USAGE, "the logs are written on this machine: %s", fail_text());
    }
    TRY(path_join(path, l->job.out, "launch.lock"));
    return lock_take(&l->lock, path, l->job.out);
}

static enum status check_hosts(struct launch *l) {
    TRY(host_check_run(&l->check));
    const struct file_list *problems = &l->check.problems;
    for (size_t i = 0; i < problems->count; i++) {
        fprintf(stderr, "  %s\n", problems->names[i]);
    }
    if (problems->count > 0) {
        return fail(ERR_PEER, "nothing was started: %zu problems, listed above", problems->count);
    }
    host_check_keep(&l->check);
    return OK;
}

static enum status launch_crew(struct launch *l) {
    const uint64_t grace_ms = 1000ull * l->job.grace_s;
    const uint64_t failed_ms = SAVE_FAILED_S * 1000;
    const struct supervisor_policy policy = {
        .restarts = train_restarts(&l->job),
        .opening_max = 5, /* sshd drops connections from 10 on (MaxStartups) */
        .second_signal_stops = true,
        .save_ms = grace_ms,
        .save_failed_ms = grace_ms < failed_ms ? grace_ms : failed_ms,
        .follow_ms = 15000,
        .fail_ms = 5000,
        .lost_ms = 2000,
        .term_ms = 5000,
        .kill_ms = 5000};
    const struct supervisor_world world = crew_world(&l->crew);
    supervisor_init(&l->supervisor, &world, &policy, l->crew.supervised, l->crew.count);
    return supervisor_run(&l->supervisor);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Asks the coordinator's host for the newest checkpoint ("" if none is known) and for the text of
 * the summary. */
static enum status ask_end(struct launch *l, struct question *q, char *checkpoint, size_t bytes,
                           const char **summary) {
    const char *at = NULL;
    TRY(words_option(&q->words, "end", l->job.out));
    TRY(questions_ask(q, 1, &l->ssh, &l->hosts));
    question_line(q, "checkpoint ", &at, checkpoint, bytes);
    const char *text = (const char *)q->answer.data;
    *summary = text == NULL ? NULL : text[0] == '{' ? text : strstr(text, "\n{");
    return OK;
}

static enum status launch_ended(struct launch *l, const char *checkpoint, const char *summary) {
    if (l->supervisor.idle) {
        printf("%s holds a complete run: nothing is left to train. More --epochs or --max-steps go "
               "on from it\n",
               l->job.out);
    } else if (summary != NULL) {
        summary_view_print(summary);
        summary_view_doubts(summary);
    }
    if (checkpoint[0] != '\0') {
        printf("checkpoint: %s\n", checkpoint);
    }
    printf("summary:    %s/summary.json (on %s)\n", l->job.out, l->hosts.list[0].name);
    fflush(stdout);
    if (l->supervisor.stopped_by != 0) {
        fprintf(stderr, "esmm train: stopped; continue with --resume\n");
        if (!stop_requested()) { /* the coordinator got the signal there: end in the same way */
            stop_request(l->supervisor.stopped_by);
        }
    }
    return OK;
}

static enum status launch_failed(const struct launch *l, const char *checkpoint) {
    const struct supervisor *s = &l->supervisor;
    const char *log = l->crew.children[s->culprit].log;
    if (checkpoint[0] == '\0') {
        return fail(ERR_PEER, "%s; its log: %s; no checkpoint is known", s->cause, log);
    }
    return fail(ERR_PEER, "%s; its log: %s; newest checkpoint: %s; %scontinue with --resume",
                s->cause, log, checkpoint,
                s->lasting ? "it would fail again: mend that first, then " : "");
}

static enum status launch_start(struct launch *l) {
    char coordinator[HOST_NAME_BYTES + 32];
    char checkpoint[PATH_BYTES_MAX] = "";
    const char *summary = NULL;
    struct question end = {0};
    prepare_process();
    TRY(enter_out(l));
    TRY(check_hosts(l));
    snprintf(coordinator, sizeof coordinator, "tcp://%s:%u",
             l->hosts.list[l->placement.places[0].host].address, l->placement.places[0].port);
    TRY(job_note_begin(&l->note, l->job.out, coordinator, l->job.background));
    l->view.begun = job_note_training;
    l->view.self = &l->note;
    say_placement(l);
    enum status status = launch_crew(l);
    (void)ask_end(l, &end, checkpoint, sizeof checkpoint, &summary);
    status = status == OK ? launch_ended(l, checkpoint, summary) : launch_failed(l, checkpoint);
    question_fini(&end);
    return status;
}

/* Removes the directories that were made for the logs and are empty. */
static void leave_out(struct launch *l) {
    char logs[PATH_BYTES_MAX];
    if (l->lock.fd < 0) { /* nothing was made, or another launcher holds the lock */
        return;
    }
    lock_release(&l->lock);
    if (path_join(logs, l->job.out, "logs") == OK) {
        file_remove_if_empty(logs);
    }
    if (l->made_out) {
        file_remove_if_empty(l->job.out);
    }
}

enum status launch_run(const struct job *job) {
    struct launch *l = NULL;
    struct cause cause = {0};
    TRY(mem_new(&l));
    l->job = *job; /* the lists still belong to the caller's job */
    l->lock = LOCK_NONE;
    l->crew.progress_fd = -1;
    enum status status = launch_plan(l);
    if (status == OK) {
        status = job->dry_run ? launch_print_plan(l) : launch_start(l);
    }
    cause_keep(&cause, status);
    job_note_end(&l->note, job_exit_code(status));
    host_check_fini(&l->check);
    crew_fini(&l->crew);
    leave_out(l);
    hosts_fini(&l->hosts);
    placement_fini(&l->placement);
    words_fini(&l->ssh);
    buf_fini(&l->make_logs);
    mem_free(&l);
    return cause_again(&cause);
}
