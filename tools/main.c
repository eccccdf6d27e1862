/* main.c - one program with a sub-command for each role and tool. It is the only place that exits.
 * It is compiled for any CPU of the architecture, to be able to say that this one lacks something.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/cpu/cpu.h"
#include "common/fault/fault.h"
#include "common/job/config.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "tools/common/tools.h"
#include "worker/kernel/kernel.h"

static enum status config_print(void *line) {
    struct buf text = BUF_EMPTY;
    enum status status = config_reference(&text);
    (void)line;
    if (status == OK) {
        fwrite(text.data, 1, text.len, stdout);
    }
    buf_fini(&text);
    return status;
}
static const struct command command_config = {
    .name = "config",
    .summary = "every configuration key, with its default",
    .about = "Prints the table of docs/config.md: every configuration key.",
    .run = config_print};

static int by_name(const void *a, const void *b) {
    const struct fault_point *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}
static enum status faults_print(void *line) {
    const struct fault_point **points = NULL;
    (void)line;
    TRY(mem_array(&points, fault_count()));
    for (size_t i = 0; i < fault_count(); i++) {
        points[i] = fault_at(i);
    }
    qsort(points, fault_count(), sizeof *points, by_name);
    for (size_t i = 0; i < fault_count(); i++) {
        printf("%s\n", points[i]->name);
    }
    mem_free(&points);
    return OK;
}
static const struct command command_faults = {
    .name = "faults",
    .summary = "the points at which a test can end a process (ESMM_FAULT)",
    .about = "Prints the name of every fault point: docs/contributing.md, \"Kill a job\".",
    .run = faults_print};

static const struct command *const commands[] = {
    &command_train,   &command_coord,      &command_ps,      &command_worker,  &command_prep,
    &command_synth,   &command_records,    &command_eval,    &command_compare, &command_predict,
    &command_inspect, &command_checkpoint, &command_reshard, &command_export,  &command_attach,
    &command_tether,  &command_config,     &command_faults};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_commands(FILE *out) {
    fprintf(out, "usage: esmm COMMAND [options]    (--help; --markdown for docs/)\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(out, "  %-10s %s\n", "--version",
            "the program's version, and what it computes with here");
}

/* The first line alone is the version: launchers compare it. */
static void print_version(void) {
    const struct kernel_set have = kernel_here();
    char cpu[CPU_TEXT_MAX];
    cpu_describe(cpu);
    printf("esmm %s\nCPU: %s\nkernels: blas%s%s%s%s\n", ESMM_VERSION, cpu,
           have.neon != NULL ? ", neon" : "", have.avx2 != NULL ? ", avx2" : "",
           have.avx512 != NULL ? ", avx512" : "",
           have.avx512_bf16 != NULL ? ", avx512 for bf16" : "");
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i]->name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

/* c: NULL if there is no command of this name. */
static enum status main_run(const struct command *c, int argc, char **argv, int *exit_code) {
    const char *name = argv[0];
    const struct command *about = argc > 1 ? find_command(argv[1]) : NULL;
    if (c != NULL) {
        return command_run(c, argc, argv, stdout, exit_code);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        print_version();
        return OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0 || strcmp(name, "-h") == 0) {
        about != NULL ? command_help(about, stdout) : print_commands(stdout);
        return OK;
    }
    return fail(ERR_USAGE, "unknown command '%s'; see esmm --help", name);
}

/* Opens standard streams that the caller has closed. Otherwise the next opened file would take such
 * a stream's number, and printed text would go into it. Reading from or writing to such a stream
 * then fails; text for standard error is discarded. */
static void fill_closed_streams(void) {
    static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)open("/dev/null", flags[fd]); /* takes the lowest free number: this one */
        }
    }
}

/* Exit codes: 0 success; 2 wrong command line; 128+N ended in order after stop signal N; 1 any
 * other failure. A role may also end with 3 (tools.h). A tether ends with the exit code of its
 * role. */
int main(int argc, char **argv) {
    char problem[CPU_TEXT_MAX];
    fill_closed_streams();
    if (!cpu_check(problem)) {
        fprintf(stderr, "esmm: %s\n", problem);
        return 1;
    }
    if (argc < 2) {
        print_commands(stderr);
        return 2;
    }
    const char *wrong;
    size_t length;
    if (!fault_arm(getenv("ESMM_FAULT"), getenv("ESMM_FAULT_DIR"), &wrong, &length)) {
        fprintf(
            stderr,
            "esmm: ESMM_FAULT: '%.*s' is not NAME:N or NAME:N:ACTION; esmm faults has the names\n",
            (int)length, wrong);
        return 2;
    }
    const struct command *c = find_command(argv[1]);
    const bool role = c != NULL && c->role;
    int exit_code = -1;
    enum status status = main_run(c, argc - 1, argv + 1, &exit_code);
    const bool stopped = status == ERR_CLOSED && stop_requested() && !role; /* ended in order */
    if (status == OK) {
        status = output_end(stdout);
    }
    if (status != OK) {
        fprintf(stderr, "esmm %s: %s\n", argv[1], fail_text_of(status));
    }
    if (status != OK && !stopped) {
        return status == ERR_USAGE ? 2 : role && status_lasts(status) ? ROLE_EXIT_LASTING : 1;
    }
    if (exit_code >= 0) {
        return exit_code;
    }
    return stop_requested() ? 128 + stop_signal() : 0;
}
