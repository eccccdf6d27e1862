/* Unit tests of tools/run/supervisor.h: this program is its own child (a child's program is always
 * /proc/self/exe), told by its arguments what to do. */
#include "tools/run/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MANY_CAME 42

static int tell_inherited(void) {
    for (int fd = 3; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            printf("%d ", fd);
        }
    }
    printf("and no more\n");
    return 0;
}

static int child_main(const char *what) {
    if (strcmp(what, "descriptors") == 0) {
        return tell_inherited();
    }
    if (strcmp(what, "listen") == 0) {
        const uint64_t deadline_ms = clock_mono_ms() + 10000;
        stop_signals_install();
        while (!stop_requested() && clock_left_ms(deadline_ms) > 0) {
            clock_sleep_ms(1);
        }
        return stop_requested() ? stop_signal() : 99;
    }
    if (strcmp(what, "fail") == 0) {
        fprintf(stderr, "2026-01-01T00:00:00.000Z error ps-1 the disk is full\n");
        return 3;
    }
    if (strcmp(what, "quote") == 0) { /* its last line is no error, but speaks of one */
        fprintf(stderr, "2026-01-01T00:00:00.000Z info ps-1 after an error of the disk\n");
        return 4;
    }
    if (strcmp(what, "stubborn") == 0) {
        signal(SIGTERM, SIG_IGN);
        printf("ready\n");
        fflush(stdout);
    }
    sigset_t none; /* a stop signal ends it, also one that has been waiting */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (strcmp(what, "well") != 0) {
        sleep(100);
    }
    return 0;
}

static char dir[64];

static struct child *start(struct supervisor *s, const char *name, const char *what) {
    char log[PATH_BYTES_MAX];
    struct child *c = NULL;
    assert_int_equal(path_join(log, dir, name), OK);
    assert_int_equal(supervisor_add(s, name, log, &c), OK);
    assert_int_equal(child_arg(c, "child"), OK);
    assert_int_equal(child_arg(c, what), OK);
    assert_int_equal(supervisor_start(s, c), OK);
    return c;
}

static void await(struct supervisor *s, size_t ended) {
    uint64_t deadline_ms = clock_mono_ms() + 20000;
    while (ended > 0 && clock_left_ms(deadline_ms) > 0) {
        ended -= supervisor_reap(s);
        clock_sleep_ms(1);
    }
    assert_int_equal(ended, 0);
}

static void how_they_ended(void **state) {
    (void)state;
    struct supervisor s;
    char text[512];
    assert_int_equal(supervisor_init(&s, 3), OK);
    struct child *well = start(&s, "well", "well"), *failed = start(&s, "ps-1", "fail");
    struct child *killed = start(&s, "worker-0", "sleep"), *more = NULL;
    assert_int_equal(supervisor_add(&s, "x", "x", &more), ERR_LIMIT);
    kill(killed->pid, SIGKILL);
    await(&s, 3);
    assert_true(well->ended && WIFEXITED(well->wait_status) && WEXITSTATUS(well->wait_status) == 0);
    child_describe(failed, text, sizeof text);
    assert_non_null(strstr(text, "ps-1 ended with exit code 3: the disk is full (log: "));
    child_describe(killed, text, sizeof text);
    assert_non_null(strstr(text, "worker-0 was killed by signal 9"));
    assert_non_null(strstr(text, killed->log));
    assert_int_equal(killed->pid, 0);
    supervisor_fini(&s);
}

static void what_is_quoted_is_quoted_whole(void **state) {
    (void)state;
    struct supervisor s;
    char text[512];
    assert_int_equal(supervisor_init(&s, 1), OK);
    struct child *c = start(&s, "ps-1", "quote");
    await(&s, 1);
    child_describe(c, text, sizeof text);
    assert_non_null(
        strstr(text, "exit code 4: 2026-01-01T00:00:00.000Z info ps-1 after an error of the disk"));
    supervisor_fini(&s);
}

static void the_stubborn_are_killed(void **state) {
    (void)state;
    struct supervisor s;
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(supervisor_init(&s, 2), OK);
    struct child *polite = start(&s, "polite", "sleep"),
                 *stubborn = start(&s, "stubborn", "stubborn");
    for (int i = 0; i < 2000 && bytes == 0; i++) { /* until SIGTERM is ignored */
        mem_free(&text);
        if (file_read_all(stubborn->log, 4096, &text, &bytes) != OK) {
            bytes = 0;
        }
        clock_sleep_ms(5);
    }
    assert_true(bytes > 0);
    mem_free(&text);
    uint64_t start_ms = clock_mono_ms();
    supervisor_stop(&s, 200);
    assert_in_range(clock_mono_ms() - start_ms, 200, 20000);
    assert_int_equal(WTERMSIG(polite->wait_status), SIGTERM);
    assert_int_equal(WTERMSIG(stubborn->wait_status), SIGKILL);
    supervisor_fini(&s);
}

static void fini_leaves_nobody(void **state) {
    (void)state;
    struct supervisor s;
    assert_int_equal(supervisor_init(&s, 1), OK);
    pid_t pid = start(&s, "left", "sleep")->pid;
    supervisor_fini(&s);
    assert_int_equal(kill(pid, 0), -1);
}

/* Whenever it comes: before exec too, where the child still has the handlers of its parent. */
static void a_stop_signal_is_never_lost(void **state) {
    (void)state;
    enum { CHILDREN = 24 };
    struct supervisor s;
    assert_int_equal(supervisor_init(&s, CHILDREN), OK);
    stop_signals_install();
    for (int i = 0; i < CHILDREN; i++) {
        char name[32];
        snprintf(name, sizeof name, "listen-%d", i);
        struct child *c = start(&s, name, "listen");
        clock_sleep_ms(i % 4 == 3 ? (uint64_t)i / 4 : 0);
        kill(c->pid, i % 2 == 0 ? SIGTERM : SIGINT);
    }
    await(&s, CHILDREN);
    for (int i = 0; i < CHILDREN; i++) {
        const int status = s.children[i].wait_status;
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), i % 2 == 0 ? SIGTERM : SIGINT);
    }
    supervisor_fini(&s);
}

static void says(const struct child *c, const char *expected) {
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read_all(c->log, 4096, &text, &bytes), OK);
    assert_string_equal(text, expected);
    mem_free(&text);
}

/* Not by their numbers, and not because somebody remembered to close them. */
static void only_what_is_kept_is_inherited(void **state) {
    (void)state;
    struct supervisor s;
    assert_int_equal(supervisor_init(&s, 3), OK);
    const int low = open("/dev/null", O_RDONLY);
    assert_int_equal(dup2(low, 300), 300);
    assert_int_equal(dup2(low, 900), 900);
    struct child *none = start(&s, "none", "descriptors");
    s.keep[0] = 900;
    struct child *high = start(&s, "high", "descriptors");
    s.keep[1] = low;
    struct child *both = start(&s, "both", "descriptors");
    await(&s, 3);
    close(900);
    close(300);
    close(low);
    says(none, "and no more\n");
    says(high, "900 and no more\n");
    char expected[32];
    snprintf(expected, sizeof expected, "%d 900 and no more\n", low);
    says(both, expected);
    supervisor_fini(&s);
}

/* A child dies with the one who started it, however that ended. */
static void orphans_end(void **state) {
    (void)state;
    int ends[2];
    pid_t orphan = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct supervisor s;
        struct child *c = NULL;
        bool good = supervisor_init(&s, 1) == OK &&
                    supervisor_add(&s, "orphan", "/dev/null", &c) == OK &&
                    child_arg(c, "child") == OK && child_arg(c, "sleep") == OK &&
                    supervisor_start(&s, c) == OK &&
                    write(ends[1], &c->pid, sizeof c->pid) == sizeof c->pid;
        clock_sleep_ms(good ? 100000 : 0);
        _exit(1);
    }
    assert_int_equal(read(ends[0], &orphan, sizeof orphan), sizeof orphan);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    /* It is another's child now: gone, or a zombie that nobody has buried yet. */
    char path[64];
    bool gone = false;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)orphan);
    for (int i = 0; i < 2000 && !gone; i++) {
        FILE *f = fopen(path, "r");
        gone = f == NULL || fgetc(f) == EOF;
        if (f != NULL) {
            fclose(f);
        }
        clock_sleep_ms(5);
    }
    assert_true(gone);
    close(ends[0]);
    close(ends[1]);
}

/* A job's data may be hundreds of directories. */
static void arguments_without_end(void **state) {
    (void)state;
    struct supervisor s;
    struct child *c = NULL;
    char log[PATH_BYTES_MAX];
    assert_int_equal(supervisor_init(&s, 1), OK);
    assert_int_equal(path_join(log, dir, "many"), OK);
    assert_int_equal(supervisor_add(&s, "many", log, &c), OK);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(child_option_u64(c, "--data", i), OK);
    }
    assert_int_equal(c->argc, 2001);
    assert_null(c->argv[c->argc]);
    assert_int_equal(supervisor_start(&s, c), OK);
    await(&s, 1);
    assert_true(WIFEXITED(c->wait_status) && WEXITSTATUS(c->wait_status) == MANY_CAME);
    supervisor_fini(&s);
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}

int main(int argc, char **argv) {
    if (argc == 3) {
        return child_main(argv[2]);
    }
    if (argc > 3) {
        return argc == 2001 && strcmp(argv[2000], "999") == 0 ? MANY_CAME : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_they_ended),
        cmocka_unit_test(what_is_quoted_is_quoted_whole),
        cmocka_unit_test(the_stubborn_are_killed),
        cmocka_unit_test(fini_leaves_nobody),
        cmocka_unit_test(orphans_end),
        cmocka_unit_test(a_stop_signal_is_never_lost),
        cmocka_unit_test(only_what_is_kept_is_inherited),
        cmocka_unit_test(arguments_without_end),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
