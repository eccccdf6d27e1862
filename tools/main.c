/* main.c - one program, a sub-command per role and tool. The only place that exits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/job/config.h"
#include "common/base/thread.h"
#include "tools/common/tools.h"

struct command {
    const char *name;
    enum status (*run)(int argc, char **argv);
    const char *help;
    bool role;
};
static const struct command commands[] = {
    {"train", tool_train, "a whole job on this machine", false},
    {"coord", tool_coord, "one role: the coordinator", true},
    {"ps", tool_ps, "one role: a parameter server", true},
    {"worker", tool_worker, "one role: a worker", true},
    {"prep", tool_prep, "a raw log into impression shards", false},
    {"synth", tool_synth, "a raw log with known true probabilities", false},
    {"records", tool_records, "shards with times into a stream of training records", false},
    {"eval", tool_eval, "measure a checkpoint on shards", false},
    {"compare", tool_compare, "train the paper's methods alike and print its table", false},
    {"predict", tool_predict, "p_ctr, p_cvr, p_ctcvr of every impression", false},
    {"inspect", tool_inspect, "look into a checkpoint or a shard directory", false},
    {"export", tool_export, "a checkpoint as npy arrays", false},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *out) {
    fprintf(out, "usage: esmm COMMAND [options]    (esmm COMMAND --help)\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "  %-9s %s\n", "tether", "one role, ended when the launcher is gone");
    fprintf(out, "  %-9s %s\n  %-9s %s\n", "config", "every configuration key, with its default",
            "--version", "the program's version");
}

static enum status print_config_reference(void) {
    struct buf text = BUF_EMPTY;
    enum status status = config_reference(&text);
    if (status == OK) {
        fwrite(text.data, 1, text.len, stdout);
    }
    buf_fini(&text);
    return status;
}

static enum status run(int argc, char **argv, int *exit_code) {
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("esmm %s\n", ESMM_VERSION);
        return OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0 || strcmp(name, "-h") == 0) {
        usage(stdout);
        return OK;
    }
    if (strcmp(name, "config") == 0) {
        return print_config_reference();
    }
    if (strcmp(name, "tether") == 0) {
        return tool_tether(argc - 1, argv + 1, exit_code);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return fail(ERR_USAGE, "unknown command '%s'; see esmm --help", name);
}

/* A standard stream that the caller has closed must not become the next file that is opened: what
 * is printed would land in it. It becomes one that refuses, or nothing if it is for complaints. */
static void fill_closed_streams(void) {
    static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)open("/dev/null", flags[fd]); /* the lowest free number: this one */
        }
    }
}

/* What was printed is a result like any other: it is there, or the command has failed. */
static enum status finish_output(void) {
    const bool lost = ferror(stdout) != 0;
    errno = 0;
    if (fclose(stdout) == 0 && !lost) {
        return OK;
    }
    return fail(ERR_IO, "cannot write to standard output%s%s", errno != 0 ? ": " : "",
                errno != 0 ? strerror(errno) : "");
}

static int failed_exit(const char *name, enum status status) {
    bool role = false;
    for (size_t i = 0; i < COMMANDS; i++) {
        role |= commands[i].role && strcmp(name, commands[i].name) == 0;
    }
    return status == ERR_USAGE ? 2 : role && status_lasts(status) ? ROLE_EXIT_LASTING : 1;
}

/* 0 done; 2 the command line is wrong; 128+N stopped by signal N after an orderly end; 1 else,
 * of a role also 3 (tools.h).
 * A tether ends as its role did. */
int main(int argc, char **argv) {
    fill_closed_streams();
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    int exit_code = -1;
    enum status status = run(argc, argv, &exit_code);
    if (status == OK) {
        status = finish_output();
    }
    if (status != OK) {
        fprintf(stderr, "esmm %s: %s\n", argv[1], fail_text_of(status));
        return failed_exit(argv[1], status);
    }
    if (exit_code >= 0) {
        return exit_code;
    }
    return stop_requested() ? 128 + stop_signal() : 0;
}
