#include "ps/snapshot.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/base/thread.h"
#include "ps/partition_state.h"
#include "tests/job_sample.h"
#include "tests/unit/base/faulty_disk.h"
#include "tests/world.h"

#define SEED   909u
#define BEFORE 120u /* batches before the cut */
#define DURING 60u  /* and while it is written */

static struct world *world_of(uint64_t seed, uint64_t copy_bytes, bool deterministic) {
    struct world *w = world_create(seed);
    world_set(w, "table.evict_age=30");
    world_set(w, "table.admit_after=2");
    world_set(w, "field.shop.admit_after=1");
    w->config.copy_bytes = copy_bytes;
    w->config.deterministic = deterministic;
    w->id_space = 4000;
    world_finish(w);
    return w;
}

static void same_as_file(const struct world *w, const char *dir, const struct part_info *info,
                         const struct world_dump *at_cut) {
    struct world_job restored;
    world_restore(&restored, w, 1, dir, info, 1);
    struct world_dump d = world_dump(&restored);
    world_same(at_cut, &d, "the part and the state at the cut");
    world_dump_free(&d);
    world_stop(&restored);
}

/* One cut with pushes going on, ticks at random between them. */
static void run_cut(uint64_t seed, uint64_t copy_bytes, bool deterministic, uint32_t tick_percent,
                    char *dir, struct part_info *info) {
    struct world *w = world_of(seed, copy_bytes, deterministic);
    struct world_job job, plain;
    struct snapshot_writer *writer = NULL;
    struct partition_stats s;
    enum status status = OK;
    struct applied *names = NULL;
    bool busy, done = false;
    world_start(&job, w, 1);
    world_start(&plain, w, 1);
    assert_int_equal(snapshot_writer_start(&writer), OK);
    for (uint32_t n = 0; n < BEFORE; n++) {
        world_push(w, job.p[0], n);
        world_push(w, plain.p[0], n);
    }
    struct world_dump at_cut = world_dump(&job);
    partition_stats(job.p[0], &s);
    const uint64_t idle = s.bytes_total;
    assert_int_equal(partition_cut(job.p[0], writer, dir, 0, 1, 0), OK);
    assert_int_equal(partition_cut(job.p[0], writer, dir, 0, 1, 0), ERR_AGAIN);
    for (uint32_t n = BEFORE; n < BEFORE + DURING; n++) {
        world_push(w, job.p[0], n);
        world_push(w, plain.p[0], n);
        if (rng_below(seed, n, 77, 100) < tick_percent) {
            assert_int_equal(partition_tick(job.p[0], 0, &busy), OK);
        }
        done = done || world_cut_done(job.p[0], &status, info, &names);
        partition_stats(job.p[0], &s);
        assert_true(done || s.bytes_total < idle + copy_bytes + 2000000);
    }
    status = done ? status : world_cut_wait(job.p[0], info, &names);
    assert_int_equal(status, OK);
    assert_true(applied_equal(names, at_cut.applied));
    applied_destroy(&names);
    assert_int_equal(info->version, BEFORE);
    assert_string_equal(info->name, "part-00000-of-00001.bin");
    same_as_file(w, dir, info, &at_cut);
    struct world_dump a = world_dump(&job), b = world_dump(&plain);
    world_same(&a, &b, "with and without a snapshot");
    partition_stats(job.p[0], &s);
    assert_null(job.p[0]->hooks);
    world_dump_free(&a);
    world_dump_free(&b);
    world_dump_free(&at_cut);
    world_stop(&job);
    world_stop(&plain);
    snapshot_writer_stop(&writer);
    mem_free(&w);
}

static void test_cut_under_pushes(void **state) {
    (void)state;
    const uint64_t copies[] = {1, 65536, 1 << 20, 64 << 20};
    const uint32_t ticks[] = {0, 5, 50, 100};
    for (uint64_t i = 0; i < 16; i++) {
        char dir[64];
        struct part_info info;
        world_dir(dir);
        run_cut(SEED + i, copies[i % 4], false, ticks[i / 4], dir, &info);
        world_dir_remove(dir);
    }
}

/* Deterministic jobs: the file's bytes do not depend on when the ticks came. */
static void test_deterministic_bytes(void **state) {
    (void)state;
    struct part_info first = {0};
    const uint32_t ticks[] = {100, 0, 20};
    for (int i = 0; i < 3; i++) {
        char dir[64];
        struct part_info info;
        world_dir(dir);
        run_cut(SEED, i == 1 ? 1 : 1 << 20, true, ticks[i], dir, &info);
        world_dir_remove(dir);
        if (i == 1) {
            continue; /* other chunks, other blocks; checked for its contents */
        }
        if (i > 0) {
            assert_int_equal(info.checksum, first.checksum);
            assert_int_equal(info.bytes, first.bytes);
        }
        first = info;
    }
}

/* An empty partition, and a second cut after the first. */
static void test_cuts_in_turn(void **state) {
    (void)state;
    struct world *w = world_of(SEED, 1 << 20, false);
    struct world_job job;
    struct snapshot_writer *writer = NULL;
    struct part_info info;
    char dir[64];
    enum status status;
    world_dir(dir);
    world_start(&job, w, 1);
    assert_int_equal(snapshot_writer_start(&writer), OK);
    assert_false(partition_cut_done(job.p[0], &status, &info));
    for (uint32_t n = 0; n < 3; n++) {
        struct world_dump at_cut = world_dump(&job);
        world_save(&job, writer, dir, &info);
        assert_int_equal(info.version, n);
        same_as_file(w, dir, &info, &at_cut);
        world_dump_free(&at_cut);
        world_push(w, job.p[0], n);
    }
    world_stop(&job);
    snapshot_writer_stop(&writer);
    world_dir_remove(dir);
    mem_free(&w);
}

/* --- failures --------------------------------------------------------------------------------- */

enum harm { HARM_NO_DIR, HARM_DIR_REMOVED, HARM_FILE_SIZE };

static void limit_file_size(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The checkpoint fails, says why, leaves no file; the partition goes on, and the next cut is good.
 * */
static void run_harm(enum harm harm) {
    struct world *w = world_of(SEED, 65536, false);
    struct world_job job, plain;
    struct snapshot_writer *writer = NULL;
    struct part_info info;
    char dir[64], at[80];
    world_dir(dir);
    snprintf(at, sizeof at, "%s/sub", dir);
    world_start(&job, w, 1);
    world_start(&plain, w, 1);
    assert_int_equal(snapshot_writer_start(&writer), OK);
    for (uint32_t n = 0; n < BEFORE + DURING; n++) {
        if (n == BEFORE) {
            assert_int_equal(harm == HARM_NO_DIR ? OK : file_mkdirs(at), OK);
            if (harm == HARM_FILE_SIZE) {
                limit_file_size(20000);
            }
            assert_int_equal(partition_cut(job.p[0], writer, at, 0, 1, 0), OK);
        }
        if (n == BEFORE + 2 && harm == HARM_DIR_REMOVED) {
            int tries = 100; /* the writer may make a file between its removal and rmdir */
            while (tries-- > 0 && file_remove_tree(at) != OK) {
            }
            assert_true(tries >= 0);
        }
        world_push(w, job.p[0], n);
        world_push(w, plain.p[0], n);
    }
    assert_true(world_cut_wait(job.p[0], &info, NULL) != OK);
    assert_true(strlen(fail_text()) > 0);
    limit_file_size(RLIM_INFINITY);
    struct file_list list = {0};
    if (harm == HARM_FILE_SIZE) {
        assert_int_equal(file_list_dir(&list, at), OK);
        assert_int_equal(list.count, 0);
        file_list_free(&list);
    }
    struct world_dump a = world_dump(&job), b = world_dump(&plain);
    world_same(&a, &b, "after a failed checkpoint");
    world_save(&job, writer, dir, &info);
    same_as_file(w, dir, &info, &a);
    world_dump_free(&a);
    world_dump_free(&b);
    world_stop(&job);
    world_stop(&plain);
    snapshot_writer_stop(&writer);
    world_dir_remove(dir);
    mem_free(&w);
}

static void test_write_fails(void **state) {
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    run_harm(HARM_NO_DIR);
    run_harm(HARM_DIR_REMOVED);
    run_harm(HARM_FILE_SIZE);
}

/* In turn each call to the disk fails while a part is written: with some of a write done, and with
 * all later calls failing too. The cut fails and says why, or the part is good; the next one is. */
static void test_every_call_fails(void **state) {
    (void)state;
    struct world *w = world_of(SEED, 65536, false);
    struct world_job job;
    struct snapshot_writer *writer = NULL;
    struct part_info info;
    char dir[64];
    uint32_t n = 0, failures = 0;
    world_dir(dir);
    world_start(&job, w, 1);
    assert_int_equal(snapshot_writer_start(&writer), OK);
    for (; n < 30; n++) {
        world_push(w, job.p[0], n);
    }
    bool fired[4] = {true, true, true, true};
    for (long nth = 1; fired[0] || fired[1] || fired[2] || fired[3]; nth++) {
        for (int k = 0; k < 4; k++) {
            struct world_dump at_cut = world_dump(&job);
            faulty_arm(nth, k < 2 ? ENOSPC : EIO, k % 2 == 0 ? 1 : LONG_MAX);
            enum status status = partition_cut(job.p[0], writer, dir, 0, 1, 0);
            world_push(w, job.p[0], n++);
            status = status == OK ? world_cut_wait(job.p[0], &info, NULL) : status;
            fired[k] = faulty_disarm() > 0;
            assert_true(fired[k] || status == OK);
            if (status == OK) {
                same_as_file(w, dir, &info, &at_cut);
            } else {
                failures++;
                assert_non_null(strstr(fail_text(), k < 2 ? "No space left" : "Input/output"));
            }
            world_dump_free(&at_cut);
        }
    }
    assert_true(failures > 20);
    atomic_store(&faulty.unsteady, true);
    struct world_dump at_cut = world_dump(&job);
    world_save(&job, writer, dir, &info);
    atomic_store(&faulty.unsteady, false);
    same_as_file(w, dir, &info, &at_cut);
    world_dump_free(&at_cut);
    world_stop(&job);
    snapshot_writer_stop(&writer);
    world_dir_remove(dir);
    mem_free(&w);
}

/* Memory that fails while cutting or copying costs the checkpoint at most. */
static void test_memory_fails(void **state) {
    (void)state;
    for (size_t nth = 1; nth < 30; nth++) {
        struct world *w = world_of(SEED, 65536, false);
        struct world_job job;
        struct snapshot_writer *writer = NULL;
        struct part_info info;
        struct partition_stats s;
        char dir[64];
        world_dir(dir);
        world_start(&job, w, 1);
        assert_int_equal(snapshot_writer_start(&writer), OK);
        for (uint32_t n = 0; n < 20; n++) {
            world_push(w, job.p[0], n);
        }
        mem_fail_after(nth);
        const enum status status = partition_cut(job.p[0], writer, dir, 0, 1, 0);
        if (status == OK) {
            bool busy;
            assert_int_equal(partition_tick(job.p[0], 0, &busy), OK);
        }
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        world_push(w, job.p[0], 20);
        if (status == OK) {
            world_cut_wait(job.p[0], &info, NULL);
        }
        partition_stats(job.p[0], &s);
        assert_int_equal(s.version, 21);
        world_save(&job, writer, dir, &info);
        world_stop(&job);
        snapshot_writer_stop(&writer);
        world_dir_remove(dir);
        mem_free(&w);
    }
}

/* A partition or the writer goes away in the middle: no file appears, nothing leaks or hangs. */
static void test_ends_in_the_middle(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 12; i++) {
        struct world *w = world_of(SEED, 65536, false);
        struct world_job job;
        struct snapshot_writer *writer = NULL;
        struct part_info info;
        char dir[64], path[96];
        world_dir(dir);
        world_start(&job, w, 1);
        assert_int_equal(snapshot_writer_start(&writer), OK);
        for (uint32_t n = 0; n < BEFORE; n++) {
            world_push(w, job.p[0], n);
        }
        assert_int_equal(partition_cut(job.p[0], writer, dir, 0, 1, 0), OK);
        for (uint32_t n = 0; n < i / 4; n++) {
            world_push(w, job.p[0], BEFORE + n);
        }
        if (i % 2 == 0) {
            world_stop(&job);
            snapshot_writer_stop(&writer);
        } else {
            snapshot_writer_stop(&writer);
            if (i % 4 == 1) { /* the partition still runs and sees the end */
                world_push(w, job.p[0], BEFORE + 10);
                assert_int_equal(world_cut_wait(job.p[0], &info, NULL), ERR_CLOSED);
            }
            world_stop(&job);
        }
        snprintf(path, sizeof path, "%s/part-00000-of-00001.bin", dir);
        assert_false(file_exists(path));
        world_dir_remove(dir);
        mem_free(&w);
    }
}

/* --- threads ---------------------------------------------------------------------------------- */

struct runner {
    struct thread thread;
    struct world *w;
    struct partition *p;
    struct snapshot_writer *writer;
    const char *dir;
    uint32_t index;
    uint32_t parts;
};

/* A partition thread: pushes and ticks under cut after cut, and waits for every 50th batch's. */
static enum status run_partition(void *arg) {
    struct runner *r = arg;
    static _Thread_local struct world_request request;
    for (uint32_t n = 0; n < 200; n++) {
        const struct world_batch b = world_batch(r->w, n);
        struct push_result pushed;
        struct part_info info;
        enum status status = partition_cut(r->p, r->writer, r->dir, r->index, 2, 0);
        bool busy, done = false;
        if (status != OK && status != ERR_AGAIN) {
            return status;
        }
        world_request(r->w, &b, r->p, &request);
        TRY(partition_push(r->p, b.name, 1, 0, &request.keys, request.gradients, request.floats,
                           &pushed));
        for (uint32_t spins = 0; spins < 20000 && !done; spins++) {
            TRY(partition_tick(r->p, n, &busy));
            done = partition_cut_done(r->p, &status, &info);
            if (done) {
                buf_fini(&info.applied);
                TRY(status);
                r->parts++;
            } else if (n % 50 == 49) {
                clock_sleep_ms(1);
            } else {
                break;
            }
        }
    }
    return OK;
}

static void test_threads(void **state) {
    (void)state;
    struct world *w = world_of(SEED, 65536, false);
    struct world_job job;
    struct snapshot_writer *writer = NULL;
    struct runner runners[2];
    char dir[64];
    world_dir(dir);
    world_start(&job, w, 2);
    assert_int_equal(snapshot_writer_start(&writer), OK);
    for (uint32_t i = 0; i < 2; i++) {
        runners[i] =
            (struct runner){.w = w, .p = job.p[i], .writer = writer, .dir = dir, .index = i};
        assert_int_equal(thread_start(&runners[i].thread, "test-ps", run_partition, &runners[i]),
                         OK);
    }
    for (uint32_t i = 0; i < 2; i++) {
        const enum status status = thread_join(&runners[i].thread);
        if (status != OK) {
            fail_msg("thread %u: %s", i, fail_text());
        }
        assert_true(runners[i].parts >= 4);
    }
    world_stop(&job);
    snapshot_writer_stop(&writer);
    world_dir_remove(dir);
    mem_free(&w);
}

/* Pushes until one takes long; the longest one's time. */
static uint64_t slowest_push(struct small_job *j, uint32_t pushes, uint64_t enough_ms) {
    uint64_t slowest_ms = 0;
    for (uint32_t n = 0; n < pushes && slowest_ms < enough_ms; n++) {
        const uint64_t start_ms = clock_mono_ms();
        bool busy;
        job_push(j, 1);
        assert_int_equal(partition_tick(j->part[0], start_ms, &busy), OK);
        const uint64_t took_ms = clock_mono_ms() - start_ms;
        slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
    }
    return slowest_ms;
}

/* The disk takes nothing (the part is a pipe that nobody reads): an update waits for it, but not
 * for so long that workers would give the partition up. The snapshot is lost, the job is not. */
static void test_a_disk_that_hangs(void **state) {
    (void)state;
    const char *const settings[] = {"table.dim=32",         "server.copy_bytes=65536",
                                    "net.request_ms=100",   "net.give_up_ms=1000",
                                    "table.optimizer=adam", NULL};
    struct small_job j;
    struct snapshot_writer *writer = NULL;
    struct part_info info;
    enum status status = OK;
    char pipe[PATH_BYTES_MAX], bytes[4096];
    job_init(&j, SEED, settings);
    job_start(&j, 1);
    job_push(&j, 90);
    job_path(&j, "part-00000-of-00001.bin.tmp", pipe);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    const int end = open(pipe, O_RDWR | O_NONBLOCK);
    assert_true(end >= 0);
    fcntl(end, F_SETPIPE_SZ, 4096);
    assert_int_equal(snapshot_writer_start(&writer), OK);
    assert_int_equal(partition_cut(j.part[0], writer, j.root, 0, 1, 0), OK);
    const uint64_t waited_ms = slowest_push(&j, 60, 400);
    assert_in_range(waited_ms, 400, 5000);
    assert_true(slowest_push(&j, 10, 400) < 400); /* it is given up: nobody waits any more */
    while (!partition_cut_done(j.part[0], &status, &info)) {
        bool busy;
        while (read(end, bytes, sizeof bytes) > 0) { /* the writer comes to its end */
        }
        assert_int_equal(partition_tick(j.part[0], clock_mono_ms(), &busy), OK);
        clock_sleep_ms(1);
    }
    assert_int_equal(status, ERR_TIMEOUT);
    assert_non_null(strstr(fail_text(), "the disk took no rows for 500 ms"));
    snapshot_writer_stop(&writer);
    close(end);
    job_fini(&j);
}

/* With a bound the writer takes its time; but an update that needs room does not wait for it. */
static void test_pace(void **state) {
    (void)state;
    const char *const settings[] = {"table.dim=32", "server.copy_bytes=65536",
                                    "table.optimizer=adam", NULL};
    struct small_job j;
    struct part_info info;
    enum status status = OK;
    uint64_t bytes = 0;
    bool busy;
    job_init(&j, SEED, settings);
    job_start(&j, 1);
    job_push(&j, 90);
    for (int k = 0; k < 3; k++) { /* without a bound; with one; with a tight one under pushes */
        struct snapshot_writer *writer = NULL;
        assert_int_equal(snapshot_writer_start(&writer), OK);
        snapshot_writer_limit(writer, k == 0 ? 0 : k == 1 ? 2 * bytes : bytes / 100);
        const uint64_t from_ms = clock_mono_ms();
        assert_int_equal(partition_cut(j.part[0], writer, j.root, 0, 1, 0), OK);
        if (k == 2) {
            assert_true(slowest_push(&j, 40, 1500) < 1500);
            snapshot_writer_stop(&writer); /* the rest would take minutes */
        }
        while (!partition_cut_done(j.part[0], &status, &info)) {
            assert_int_equal(partition_tick(j.part[0], clock_mono_ms(), &busy), OK);
            clock_sleep_ms(1);
        }
        const uint64_t took_ms = clock_mono_ms() - from_ms;
        assert_int_equal(status, k < 2 ? OK : ERR_CLOSED);
        assert_true(k != 1 || took_ms >= 300); /* half a second, less what may go ahead */
        bytes = info.bytes;
        buf_fini(&info.applied);
        snapshot_writer_stop(&writer);
    }
    job_fini(&j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_under_pushes),   cmocka_unit_test(test_deterministic_bytes),
        cmocka_unit_test(test_cuts_in_turn),       cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_every_call_fails),   cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_ends_in_the_middle), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_a_disk_that_hangs),  cmocka_unit_test(test_pace),
    };
    faulty_disk_use();
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
