/* Unit tests of tools/run/crew.h: this program is its own child (a child's program is always
 * /proc/self/exe), told by its arguments what to do. */
#include "tools/run/crew.h"

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

static struct crew_child *add(struct crew *c, const char *name, const char *what) {
    struct crew_child *child = NULL;
    assert_int_equal(crew_add(c, CHILD_WORKER, (uint32_t)c->count, &child), OK);
    assert_int_equal(path_join(child->log, dir, name), OK);
    assert_int_equal(words_add(&child->command, "esmm"), OK);
    assert_int_equal(words_add(&child->command, "child"), OK);
    assert_int_equal(words_add(&child->command, what), OK);
    return child;
}

static void start(struct crew *c, size_t child) {
    const struct supervisor_world world = crew_world(c);
    assert_int_equal(world.start(c, child, 0), OK);
}

static struct crew_child *add_started(struct crew *c, const char *name, const char *what) {
    struct crew_child *child = add(c, name, what);
    start(c, c->count - 1);
    return child;
}

/* Until so many have ended; endings[i] is child i's. */
static void await(struct crew *c, size_t ended, struct ending *endings) {
    const struct supervisor_world world = crew_world(c);
    const uint64_t deadline_ms = clock_mono_ms() + 20000;
    while (ended > 0 && clock_left_ms(deadline_ms) > 0) {
        struct event e;
        world.wait(c, &e);
        if (e.kind == EVENT_ENDED) {
            endings[e.child] = e.ending;
            ended--;
        }
    }
    assert_int_equal(ended, 0);
}

static void how_they_ended(void **state) {
    (void)state;
    struct crew c;
    struct ending e[4];
    struct crew_child *more = NULL;
    assert_int_equal(crew_init(&c, 4, NULL), OK);
    add_started(&c, "well", "well");
    add_started(&c, "ps-1", "fail");
    struct crew_child *killed = add_started(&c, "worker-0", "sleep");
    add_started(&c, "worker-1", "quote");
    assert_int_equal(crew_add(&c, CHILD_WORKER, 5, &more), ERR_LIMIT);
    kill(killed->pid, SIGKILL);
    await(&c, 4, e);
    assert_true(e[0].kind == ENDING_EXIT && e[0].code == 0);
    assert_true(e[1].kind == ENDING_EXIT && e[1].code == 3);
    assert_string_equal(e[1].text, "the disk is full");
    assert_true(e[2].kind == ENDING_KILLED && e[2].code == SIGKILL);
    assert_int_equal(killed->pid, 0);
    assert_int_equal(e[3].code, 4);
    assert_string_equal(e[3].text, "2026-01-01T00:00:00.000Z info ps-1 after an error of the disk");
    crew_fini(&c);
}

/* The whole: supervisor and processes. One of them ignores SIGTERM. */
static void the_stubborn_are_killed(void **state) {
    (void)state;
    struct crew c;
    struct supervisor s;
    const struct supervisor_policy policy = {
        .fail_ms = 100, .term_ms = 1500, .lost_ms = 1500, .kill_ms = 20000};
    const struct supervisor_world world = crew_world(&c);
    assert_int_equal(crew_init(&c, 3, NULL), OK);
    struct crew_child *coord = add(&c, "coord", "fail");
    struct crew_child *polite = add(&c, "polite", "sleep");
    struct crew_child *stubborn = add(&c, "stubborn", "stubborn");
    snprintf(coord->tag, sizeof coord->tag, "coord-0");
    c.supervised[0].kind = CHILD_COORD;
    const uint64_t start_ms = clock_mono_ms();
    supervisor_init(&s, &world, &policy, c.supervised, c.count);
    assert_int_equal(supervisor_run(&s), ERR_PEER);
    assert_string_equal(fail_text(), "coord-0 ended with exit code 3: the disk is full");
    assert_true(s.lasting);
    assert_in_range(clock_mono_ms() - start_ms, 100, 20000);
    assert_true(WIFSIGNALED(polite->wait_status));
    assert_true(WIFSIGNALED(stubborn->wait_status));
    crew_fini(&c);
}

static void fini_leaves_nobody(void **state) {
    (void)state;
    struct crew c;
    assert_int_equal(crew_init(&c, 1, NULL), OK);
    const pid_t pid = add_started(&c, "left", "sleep")->pid;
    crew_fini(&c);
    assert_int_equal(kill(pid, 0), -1);
}

/* Whenever it comes: before exec too, where the child still has the handlers of its parent. */
static void a_stop_signal_is_never_lost(void **state) {
    (void)state;
    enum { CHILDREN = 24 };
    struct crew c;
    struct ending e[CHILDREN];
    assert_int_equal(crew_init(&c, CHILDREN, NULL), OK);
    stop_signals_install();
    for (int i = 0; i < CHILDREN; i++) {
        char name[32];
        snprintf(name, sizeof name, "listen-%d", i);
        const struct crew_child *child = add_started(&c, name, "listen");
        clock_sleep_ms(i % 4 == 3 ? (uint64_t)i / 4 : 0);
        kill(child->pid, i % 2 == 0 ? SIGTERM : SIGINT);
    }
    await(&c, CHILDREN, e);
    for (int i = 0; i < CHILDREN; i++) {
        assert_int_equal(e[i].kind, ENDING_EXIT);
        assert_int_equal(e[i].code, i % 2 == 0 ? SIGTERM : SIGINT);
    }
    crew_fini(&c);
}

static void says(const struct crew_child *c, const char *expected) {
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read_all(c->log, 65536, &text, &bytes), OK);
    assert_string_equal(text, expected);
    mem_free(&text);
}

/* Not by their numbers, and not because somebody remembered to close them. */
static void only_what_is_kept_is_inherited(void **state) {
    (void)state;
    struct crew c;
    struct ending e[2];
    assert_int_equal(crew_init(&c, 2, NULL), OK);
    const int low = open("/dev/null", O_RDONLY);
    assert_int_equal(dup2(low, 300), 300);
    assert_int_equal(dup2(low, 900), 900);
    c.progress_fd = 900;
    c.lock_fd = low;
    struct crew_child *coord = add_started(&c, "both", "descriptors");
    struct crew_child *other = add_started(&c, "none", "descriptors");
    await(&c, 2, e);
    close(300);
    says(other, "and no more\n");
    char expected[64];
    snprintf(expected, sizeof expected, "%d 900 and no more\n", low);
    says(coord, expected);
    start(&c, 0); /* again, with a pipe of its own under the same number */
    await(&c, 1, e);
    snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
             "%d 900 and no more\n", low);
    says(coord, expected);
    close(low);
    crew_fini(&c);
}

/* A child dies with the one who started it, however that ended. */
static void orphans_end(void **state) {
    (void)state;
    int ends[2];
    pid_t orphan = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct crew c;
        bool good = crew_init(&c, 1, NULL) == OK;
        const pid_t child = add_started(&c, "orphan", "sleep")->pid;
        good = good && write(ends[1], &child, sizeof child) == sizeof child;
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
    struct crew c;
    struct ending e[1];
    assert_int_equal(crew_init(&c, 1, NULL), OK);
    struct crew_child *child = add(&c, "many", "many");
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(words_number(&child->command, "--data", i), OK);
    }
    assert_int_equal(child->command.count, 2003);
    start(&c, 0);
    await(&c, 1, e);
    assert_int_equal(e[0].code, MANY_CAME);
    crew_fini(&c);
}

/* --- over a connection ------------------------------------------------------------------------ */

/* `sh -c COMMAND` stands for ssh: what comes behind is its first argument. */
static struct crew_child *add_there(struct crew *c, const char *name, const char *script) {
    struct crew_child *child = add(c, name, "what's more");
    assert_int_equal(words_option(&child->prefix, "sh", "-c"), OK);
    assert_int_equal(words_option(&child->prefix, script, "ssh"), OK);
    snprintf(child->tag, sizeof child->tag, "[far %s]", name);
    child->grace_s = 7;
    child->lifeline_s = 9;
    return child;
}

static void a_role_over_a_connection(void **state) {
    (void)state;
    struct crew c;
    struct event event;
    struct ending e[3];
    size_t left = 3;
    const struct supervisor_world world = crew_world(&c);
    assert_int_equal(crew_init(&c, 3, NULL), OK);
    /* Its command, a process number, and a last line without an end. */
    struct crew_child *asked =
        add_there(&c, "asked",
                  "echo \"$1\" >&2; echo 'x info tether the ps is process 42' >&2; "
                  "read -r beat; read -r word; printf 'heard %s' \"$word\" >&2; exit 137");
    struct crew_child *lost = add_there(&c, "lost", "echo broken pipe >&2; exit 255");
    struct crew_child *cut = add_there(&c, "cut", "sleep 100");
    start(&c, 0);
    start(&c, 1);
    start(&c, 2);
    event.kind = EVENT_NONE;
    while (event.kind != EVENT_UP) {
        world.wait(&c, &event);
        if (event.kind == EVENT_ENDED) {
            e[event.child] = event.ending;
            left--;
        }
    }
    assert_int_equal(event.child, 0);
    assert_int_equal(asked->process, 42);
    world.tell(&c, 0, SIGTERM);
    world.cut(&c, 2);
    await(&c, left, e);
    assert_true(e[0].kind == ENDING_KILLED && e[0].code == 9);
    assert_string_equal(e[0].text, "heard term");
    says(asked, "esmm tether --lifeline 9 --grace 7 child 'what'\\''s more'\n"
                "x info tether the ps is process 42\nheard term\n");
    assert_int_equal(e[1].kind, ENDING_LOST);
    assert_string_equal(e[1].text, "broken pipe");
    assert_int_equal(e[2].kind, ENDING_LOST);
    assert_true(cut->lost && lost->lost && !asked->lost);
    /* The next attempt removes the process that the lost one may have left. */
    struct words command = {0};
    cut->process = 99;
    assert_int_equal(crew_remote_command(cut, &command), OK);
    assert_string_equal(command.list[command.count - 1],
                        "esmm tether --lifeline 9 --grace 7 --replace 99 child 'what'\\''s more'");
    words_fini(&command);
    crew_fini(&c);
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
        return argc == 2003 && strcmp(argv[2002], "999") == 0 ? MANY_CAME : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_they_ended),
        cmocka_unit_test(the_stubborn_are_killed),
        cmocka_unit_test(fini_leaves_nobody),
        cmocka_unit_test(orphans_end),
        cmocka_unit_test(a_stop_signal_is_never_lost),
        cmocka_unit_test(only_what_is_kept_is_inherited),
        cmocka_unit_test(arguments_without_end),
        cmocka_unit_test(a_role_over_a_connection),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
