/* Unit tests of ps/push_log.h and replay.h: whatever a partition went through, and wherever its
 * process died, a replay gives the rows of its last acknowledged push, or of a later one. */
#include "ps/push_log.h"

#include "common/base/file_ops.h"
#include "common/net/wire_values.h"
#include "ps/replay.h"
#include "tests/world.h"

#include <errno.h>
#include <math.h>

#define SEED           1717u
#define START          2u /* the base of the job's start */
#define JOB            70u
#define OPS            120u
#define STREAM_BATCHES (8u * WORLD_STREAM_SHARDS)
#define MARKS_MAX      4096u
#define CUTS_MAX       16u

/* What the partition was like when its log ended there. */
struct mark {
    uint32_t segment;
    uint64_t bytes, digest;
};
struct cut {
    uint64_t base;
    char dir[64];
    struct part_info info;
};
struct history {
    struct world *w;
    struct partition *p;
    struct push_log *log;
    struct push_log_life life;
    struct snapshot_writer *writer;
    struct push_frames frames;
    char dir[64];
    uint64_t seed;
    uint32_t next; /* batch */
    struct mark *marks;
    size_t mark_count;
    struct cut cuts[CUTS_MAX];
    uint32_t cut_count;
    bool cutting;
};

/* --- a partition's life ----------------------------------------------------------------------- */

/* Of the rows of a store, in whatever slots they are. */
static uint64_t digest_of_store(const struct partition *p, const struct field_rows *f,
                                const struct store *s) {
    uint64_t sum = 0;
    const uint32_t slots = s->table == NULL ? 0 : table_slots(s->table);
    for (uint32_t h = 0; h < slots; h++) {
        const struct row *row = table_row(s->table, h);
        if (row->step != 0 && !row_expired(row, s->evict_age, key_domain(p, f, row->id)->clock)) {
            sum += rng_mix(hash_bytes(row, table_row_bytes(s->table)) + s->unit);
        }
    }
    return sum;
}

static uint64_t digest_of(const struct history *h, const struct partition *p) {
    struct applied *names = NULL;
    struct buf bytes = BUF_EMPTY;
    uint64_t sum = p->domains.list[0].dense_step;
    for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
        sum += digest_of_store(p, &p->fields[f], &p->fields[f].rows);
        sum += digest_of_store(p, &p->fields[f], &p->fields[f].sightings);
    }
    for (uint32_t k = 0; k <= p->dense.state; k++) {
        sum = rng_mix(sum) ^
              hash_bytes(dense_vector(&p->dense, k), dense_floats(&p->dense) * sizeof(float));
    }
    for (uint32_t s = 0; s < p->spec.shards; s++) { /* a shard without a lease does not count */
        sum += p->fences[s] == 0 ? 0 : rng_mix(p->fences[s] << 20 | s);
    }
    assert_int_equal(applied_copy(&names, p->domains.list[0].applied), OK);
    for (uint32_t s = 0; h->w->stream && s < WORLD_STREAM_SHARDS; s++) {
        assert_int_equal(applied_grow(names, s, world_stream_plan[s]), OK);
    }
    assert_int_equal(applied_encode(names, &bytes), OK);
    sum += hash_bytes(bytes.data, bytes.len);
    buf_fini(&bytes);
    applied_destroy(&names);
    return sum;
}

static void note(void *self, const struct push_note *n) {
    struct history *h = self;
    push_log_note(h->log, n, &h->frames);
}

static void mark(struct history *h) {
    size_t count;
    const struct push_log_segment *s = push_log_segments(h->log, &count);
    assert_true(h->mark_count < MARKS_MAX && count > 0);
    h->marks[h->mark_count++] = (struct mark){
        .segment = s[count - 1].number, .bytes = s[count - 1].bytes, .digest = digest_of(h, h->p)};
}

static struct partition *fresh(const struct history *h) {
    struct world_job job;
    world_start(&job, h->w, 1);
    return job.p[0];
}

/* Of a push as serving.c calls it: frames as they came, floats unpacked. */
static enum status push(struct history *h, struct partition *p, uint32_t n, uint64_t fence,
                        bool with_ticket) {
    static struct world_request r;
    static float values[WORLD_FLOATS_MAX];
    static uint8_t frame[WORLD_FLOATS_MAX * 4];
    const struct world_batch b = world_batch(h->w, n);
    const enum value_type type = h->w->config.wire_values;
    struct pull_result pulled;
    struct push_result pushed;
    world_request(h->w, &b, p, &r);
    if (rng_below(h->seed, n, 1, 40) == 0 && r.floats > 0) {
        r.gradients[0] = NAN;
    }
    wire_values_pack(type, r.gradients, r.floats, frame);
    wire_values_unpack(type, frame, r.floats, r.gradients);
    h->frames = (struct push_frames){
        .values = type, .data = frame, .data_bytes = wire_values_bytes(type, r.floats)};
    if (h->w->stream) {
        h->frames.shard_batches = world_stream_plan[b.name.shard];
        assert_int_equal(partition_grow(p, b.name.shard, world_stream_plan[b.name.shard]), OK);
    }
    assert_int_equal(partition_serve_pull(p, &r.keys, true, with_ticket, n, values, &pulled), OK);
    return partition_push(p, b.name, fence, pulled.ticket, pulled.ticket != 0 ? NULL : &r.keys,
                          r.gradients, r.floats, &pushed);
}

static struct history *begin(uint64_t seed, bool stream, uint64_t memory,
                             const char *const *settings) {
    struct history *h = NULL;
    assert_int_equal(mem_new(&h), OK);
    assert_int_equal(mem_array(&h->marks, MARKS_MAX), OK);
    h->seed = seed;
    h->w = world_create(seed);
    h->w->stream = stream;
    h->w->memory_bytes = memory;
    h->w->id_space = 2500;
    h->w->config.copy_bytes = 65536;
    world_set(h->w, "log.level=error");
    for (; *settings != NULL; settings++) {
        world_set(h->w, *settings);
    }
    world_finish(h->w);
    log_level_set(LOG_ERROR);
    world_dir(h->dir);
    assert_int_equal(snapshot_writer_start(&h->writer), OK);
    h->life = (struct push_log_life){
        .job = JOB, .partitions = 1, .endpoint = "ipc://here", .segment_bytes = 100000};
    h->p = fresh(h);
    assert_int_equal(push_log_open(&h->log, h->dir, 3, 1), OK);
    push_log_begin(h->log, &h->life, START, h->p);
    partition_listen(h->p, note, h);
    mark(h);
    return h;
}

static void end_history(struct history **inout) {
    struct history *h = *inout;
    partition_destroy(&h->p);
    push_log_close(&h->log, true);
    assert_false(file_exists(h->dir));
    for (uint32_t i = 0; i < h->cut_count; i++) {
        world_dir_remove(h->cuts[i].dir);
    }
    snapshot_writer_stop(&h->writer);
    mem_free(&h->marks);
    mem_free(&h->w);
    mem_free(inout);
}

/* --- random operations ------------------------------------------------------------------------ */

static void cut_ended(struct history *h, bool commit) {
    if (!h->cutting) {
        return;
    }
    struct cut *c = &h->cuts[h->cut_count - 1];
    enum status status = OK;
    if (world_cut_done(h->p, &status, &c->info, NULL)) {
        assert_int_equal(status, OK);
        h->cutting = false;
        if (commit) {
            push_log_commit(h->log, c->base);
        }
    }
}

static void cut_begin_at(struct history *h) {
    struct cut *c = &h->cuts[h->cut_count];
    if (h->cutting || h->cut_count == CUTS_MAX) {
        return;
    }
    h->cut_count++;
    c->base = 101 + 2 * h->cut_count;
    world_dir(c->dir);
    assert_int_equal(partition_cut(h->p, h->writer, c->dir, 0, 1, c->base), OK);
    push_log_cut(h->log, c->base, h->p);
    h->cutting = true;
}

/* fences rise with the batches, as leases do; a repeat comes with the newest lease of its shard. */
static void operate(struct history *h, uint32_t i) {
    const uint64_t what = rng_below(h->seed, i, 2, 20);
    bool busy;
    assert_int_equal(partition_tick(h->p, i, &busy), OK);
    push_log_tick(h->log);
    cut_ended(h, rng_below(h->seed, i, 3, 2) == 0);
    if (what == 0) {
        cut_begin_at(h);
    } else if ((what == 1 && h->next > 0) || (h->w->stream && h->next == STREAM_BATCHES)) {
        const uint32_t again = (uint32_t)rng_below(h->seed, i, 4, h->next);
        const uint32_t shard = world_batch(h->w, again).name.shard;
        assert_int_equal(
            push(h, h->p, again, partition_fence(h->p, shard) + rng_below(h->seed, i, 5, 2), false),
            OK);
    } else {
        const uint32_t shard = world_batch(h->w, h->next).name.shard;
        const uint64_t seen = shard < h->p->spec.shards ? partition_fence(h->p, shard) : 0;
        const uint64_t fence = seen + (rng_below(h->seed, i, 6, 10) == 0) + (seen == 0);
        assert_int_equal(push(h, h->p, h->next, fence, i % 2 == 0), OK);
        h->next++;
    }
    assert_int_equal(push_log_check(h->log), OK);
    mark(h);
}

/* --- death ------------------------------------------------------------------------------------ */

/* Not synced: the test would wait for the disk most of its time. */
static void write_file(const char *path, const void *data, size_t bytes) {
    struct file f;
    assert_int_equal(file_open_write(&f, path), OK);
    assert_int_equal(file_write(&f, data, bytes), OK);
    assert_int_equal(file_close(&f), OK);
}

/* Makes the file one that was written up to `bytes` when its process died, with records that are
 * there up to `end`. */
static void die_in(const char *path, uint64_t bytes, uint64_t end) {
    struct push_log_head head;
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(file_read_all(path, 1 << 28, &text, &n), OK);
    if (bytes >= PUSH_LOG_HEAD_BYTES) {
        assert_int_equal(push_log_head_decode(&head, text, n), OK);
        push_log_end_encode(head.salt, end, (uint8_t *)text + PUSH_LOG_END_AT);
    }
    write_file(path, text, bytes);
    mem_free(&text);
}

/* Copies the log as it was when the process died: of the last segment only the first `bytes`. */
static void copy_log(const struct history *h, const char *to, uint64_t bytes) {
    char from[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    struct file_list names;
    size_t count, i = h->mark_count;
    const struct push_log_segment *s = push_log_segments(h->log, &count);
    assert_int_equal(file_list_dir(&names, h->dir), OK);
    for (size_t k = 0; k < names.count; k++) {
        char *text = NULL;
        size_t n = 0;
        assert_int_equal(path_join(from, h->dir, names.names[k]), OK);
        assert_int_equal(path_join(path, to, names.names[k]), OK);
        assert_int_equal(file_read_all(from, 1 << 28, &text, &n), OK);
        write_file(path, text, n);
        mem_free(&text);
    }
    file_list_free(&names);
    while (i > 0 && h->marks[i - 1].bytes > bytes &&
           h->marks[i - 1].segment == s[count - 1].number) {
        i--;
    }
    const bool there = i > 0 && h->marks[i - 1].segment == s[count - 1].number;
    assert_int_equal(push_log_path(h->log, s[count - 1].number, from), OK);
    assert_int_equal(path_join(path, to, strrchr(from, '/') + 1), OK);
    die_in(path, bytes, there ? h->marks[i - 1].bytes : PUSH_LOG_HEAD_BYTES);
}

static const struct cut *cut_of(const struct history *h, uint64_t base) {
    for (uint32_t i = 0; i < h->cut_count; i++) {
        if (h->cuts[i].base == base && !(h->cutting && i + 1 == h->cut_count)) {
            return &h->cuts[i];
        }
    }
    return NULL;
}

/* What a new process does. On success *p has the rows, and *log goes on. */
static enum status revive(const struct history *h, const char *dir, uint64_t base,
                          struct partition **p, struct push_log **log) {
    struct replay_result result;
    if (base == START) {
        *p = fresh(h);
    } else {
        struct world_job job;
        const struct cut *c = cut_of(h, base);
        world_restore(&job, h->w, 1, c->dir, &c->info, 1);
        *p = job.p[0];
    }
    assert_int_equal(push_log_open(log, dir, 3, 1), OK);
    return replay_run(*log, &h->life, base, *p, NULL, NULL, &result);
}

/* The digest that a log of which the last segment ends there must lead to. */
static uint64_t expected_at(const struct history *h, uint32_t segment, uint64_t bytes) {
    size_t i = h->mark_count;
    while (i > 1 && (h->marks[i - 1].segment > segment ||
                     (h->marks[i - 1].segment == segment && h->marks[i - 1].bytes > bytes))) {
        i--;
    }
    return h->marks[i - 1].digest;
}

/* Whether a process that died there can have written its part of the cut: it had begun the segment
 * before. */
static bool is_written(const struct history *h, uint64_t base, uint32_t segment, uint64_t bytes) {
    size_t count, i = 0;
    const struct push_log_segment *s = push_log_segments(h->log, &count);
    while (h->marks[i].segment < segment) {
        i++;
    }
    return cut_of(h, base) != NULL && !(s[count - 1].base == base && bytes < h->marks[i].bytes);
}

/* Dies with `bytes` of the last segment, and comes back from each base that is left. */
static size_t die_at(const struct history *h, uint64_t bytes) {
    uint64_t bases[CUTS_MAX + 1];
    size_t count, tried = 0;
    const struct push_log_segment *s = push_log_segments(h->log, &count);
    const uint32_t last = s[count - 1].number;
    char dir[64];
    world_dir(dir);
    copy_log(h, dir, bytes);
    struct push_log *look = NULL;
    assert_int_equal(push_log_open(&look, dir, 3, 1), OK);
    const size_t n = push_log_bases(look, bases, CUTS_MAX + 1);
    push_log_close(&look, false);
    for (size_t i = 0; i < n; i++) {
        struct partition *p = NULL;
        struct push_log *log = NULL;
        if (bases[i] != START && !is_written(h, bases[i], last, bytes)) {
            continue;
        }
        if (revive(h, dir, bases[i], &p, &log) != OK) {
            fail_msg("%s", fail_text());
        }
        assert_int_equal(digest_of(h, p), expected_at(h, last, bytes));
        partition_destroy(&p);
        push_log_close(&log, false);
        tried++;
    }
    world_dir_remove(dir);
    return tried;
}

static uint64_t last_bytes(const struct history *h) {
    size_t count;
    const struct push_log_segment *s = push_log_segments(h->log, &count);
    return s[count - 1].bytes;
}

static void run_history(uint64_t seed, bool stream, uint64_t memory, const char *const *settings,
                        struct partition_stats *stats) {
    struct history *h = begin(seed, stream, memory, settings);
    size_t tried = 0;
    for (uint32_t i = 0; i < OPS; i++) {
        operate(h, i);
        if (i % 3 == 0) {
            tried += die_at(h, rng_below(seed, i, 7, last_bytes(h) + 1));
        }
        if (i % 50 == 49) {
            tried += die_at(h, last_bytes(h));
        }
    }
    print_message("%zu deaths\n", tried);
    assert_true(tried > OPS / 4);
    partition_stats(h->p, stats);
    end_history(&h);
}

static void test_any_death(void **state) {
    (void)state;
    static const char *const ages[] = {"table.evict_age=25", "field.item.admit_after=2",
                                       "train.warmup_steps=90", NULL};
    static const char *const few_bits[] = {"table.state=u8", "table.weights=bf16",
                                           "wire.values=bf16", "table.decay=0.1", NULL};
    static const char *const refuse[] = {"server.memory_policy=refuse", "field.item.admit_after=2",
                                         NULL};
    static const char *const evict[] = {"server.memory_policy=evict", "table.evict_age=40",
                                        "field.item.admit_after=3", "server.ticket_bytes=100000",
                                        NULL};
    static const char *const exact[] = {"train.deterministic=true", "table.evict_age=25", NULL};
    struct partition_stats s;
    run_history(SEED, false, 0, ages, &s);
    assert_true(s.evicted_age > 0);
    run_history(SEED + 1, false, 0, few_bits, &s);
    run_history(SEED + 2, true, 0, ages, &s);
    run_history(SEED + 3, false, 400000, refuse, &s);
    assert_true(s.refused > 0);
    run_history(SEED + 4, false, 400000, evict, &s);
    assert_true(s.evicted_memory > 0 && s.evicted_age > 0);
    run_history(SEED + 5, false, 0, exact, &s);
}

/* Every byte of a short log; then it goes on, and dies again. */
static void test_every_byte(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct history *h = begin(SEED + 9, false, 0, none);
    h->w->id_space = 40;
    for (uint32_t n = 0; n < 3; n++) {
        assert_int_equal(push(h, h->p, n, 1, n == 1), OK);
        mark(h);
    }
    const uint64_t all = last_bytes(h);
    print_message("%llu bytes\n", (unsigned long long)all);
    for (uint64_t bytes = PUSH_LOG_HEAD_BYTES; bytes <= all; bytes++) {
        assert_int_equal(die_at(h, bytes), 1);
    }
    for (uint64_t bytes = 0; bytes < PUSH_LOG_HEAD_BYTES; bytes += 51) {
        assert_int_equal(die_at(h, bytes), 0); /* nothing to go on from */
    }
    end_history(&h);
}

/* A process that came back is as good as the one that died: it writes on in the same log. */
static void test_deaths_in_a_row(void **state) {
    (void)state;
    static const char *const ages[] = {"table.evict_age=25", "field.item.admit_after=2", NULL};
    struct history *h = begin(SEED + 10, false, 0, ages);
    struct partition *undisturbed = fresh(h);
    uint32_t n = 0;
    for (uint32_t life = 0; life < 12; life++) {
        const uint32_t some = 1 + (uint32_t)rng_below(SEED, life, 8, 12);
        for (uint32_t i = 0; i < some; i++, n++) {
            assert_int_equal(push(h, h->p, n, 1 + life, i % 2 == 0), OK);
            assert_int_equal(push(h, undisturbed, n, 1 + life, false), OK);
        }
        if (life % 4 == 3) {
            cut_begin_at(h);
            while (h->cutting) {
                bool busy;
                assert_int_equal(partition_tick(h->p, 0, &busy), OK);
                cut_ended(h, true);
            }
        }
        /* It dies while it writes a push that nobody is told of, and which is sent again. */
        size_t count;
        const uint64_t acknowledged = last_bytes(h);
        assert_int_equal(push(h, h->p, n, 1 + life, false), OK);
        const struct push_log_segment *s = push_log_segments(h->log, &count);
        char path[PATH_BYTES_MAX];
        assert_int_equal(push_log_path(h->log, s[count - 1].number, path), OK);
        die_in(path, acknowledged + rng_below(SEED, life, 9, last_bytes(h) + 1 - acknowledged),
               acknowledged);
        partition_destroy(&h->p);
        push_log_close(&h->log, false);
        assert_int_equal(revive(h, h->dir,
                                h->cut_count == 0 ? START : h->cuts[h->cut_count - 1].base, &h->p,
                                &h->log),
                         OK);
        partition_listen(h->p, note, h);
    }
    assert_int_equal(digest_of(h, h->p), digest_of(h, undisturbed));
    partition_destroy(&undisturbed);
    end_history(&h);
}

/* --- damage ----------------------------------------------------------------------------------- */

static void flip(const char *path, uint64_t byte, uint8_t bits) {
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(file_read_all(path, 1 << 28, &text, &n), OK);
    text[byte] = (char)(text[byte] ^ bits);
    write_file(path, text, n);
    mem_free(&text);
}

/* A changed bit anywhere is found, and told with file and offset of its record. */
static void test_damage_is_named(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct history *h = begin(SEED + 11, false, 0, none);
    char path[PATH_BYTES_MAX], place[PATH_BYTES_MAX + 40];
    for (uint32_t n = 0; n < 30; n++) {
        assert_int_equal(push(h, h->p, n, 1, false), OK);
        mark(h);
    }
    assert_int_equal(push_log_path(h->log, 1, path), OK);
    for (uint32_t i = 0; i < 300; i++) {
        const uint64_t byte = rng_below(SEED, i, 10, h->marks[30].bytes);
        const uint8_t bits = (uint8_t)(1 + rng_below(SEED, i, 11, 255));
        struct partition *p = NULL;
        struct push_log *log = NULL;
        size_t record = 0;
        while (record < 30 && h->marks[record].bytes <= byte) {
            record++;
        }
        flip(path, byte, bits);
        const enum status status = revive(h, h->dir, START, &p, &log);
        if (byte < PUSH_LOG_HEAD_BYTES) { /* not a log of this place at all */
            assert_int_equal(status, ERR_NOT_FOUND);
        } else {
            snprintf(place, sizeof place, "%s: offset %llu: ", path,
                     (unsigned long long)h->marks[record - 1].bytes);
            assert_int_equal(status, ERR_CORRUPT);
            assert_memory_equal(fail_text(), place, strlen(place));
        }
        flip(path, byte, bits);
        partition_destroy(&p);
        push_log_close(&log, false);
    }
    end_history(&h);
}

/* A segment that is missing or that ends early in the middle of the chain is damage too. */
static void test_a_broken_chain(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct history *h = begin(SEED + 12, false, 0, none);
    struct partition *p = NULL;
    struct push_log *log = NULL;
    char path[PATH_BYTES_MAX], aside[PATH_BYTES_MAX];
    size_t count = 0;
    for (uint32_t n = 0; count < 4; n++) {
        assert_int_equal(push(h, h->p, n, 1, false), OK);
        push_log_segments(h->log, &count);
    }
    assert_int_equal(push_log_path(h->log, 2, path), OK);
    assert_int_equal(path_join(aside, h->dir, "aside"), OK);
    assert_int_equal(file_rename(path, aside), OK);
    assert_int_equal(revive(h, h->dir, START, &p, &log), ERR_NOT_FOUND);
    assert_null(push_log_left(log));
    partition_destroy(&p);
    push_log_close(&log, false);
    assert_int_equal(file_rename(aside, path), OK);
    const uint64_t end = push_log_segments(h->log, &count)[1].bytes;
    for (int way = 0; way < 2; way++) {
        die_in(path, end - (way == 0), end - (way == 1));
        assert_int_equal(revive(h, h->dir, START, &p, &log), ERR_CORRUPT);
        assert_non_null(strstr(fail_text(), way == 0 ? "records up to offset"
                                                     : "the segment ends within a record"));
        partition_destroy(&p);
        push_log_close(&log, false);
    }
    end_history(&h);
}

/* What the kernel had not written died with the machine: a log of another start does not count. */
static void test_another_start_of_the_machine(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct history *h = begin(SEED + 13, false, 0, none);
    struct push_log *log = NULL;
    struct push_log_head head;
    uint8_t bytes[PUSH_LOG_HEAD_BYTES];
    char path[PATH_BYTES_MAX], *text = NULL;
    size_t n = 0;
    assert_int_equal(push_log_open(&log, h->dir, 3, 1), OK);
    assert_int_equal(push_log_left(log)->job, JOB);
    assert_string_equal(push_log_left(log)->endpoint, "ipc://here");
    push_log_close(&log, false);
    assert_int_equal(push_log_open(&log, h->dir, 3, 0), OK); /* nor one of another thread */
    assert_null(push_log_left(log));
    push_log_close(&log, false);
    assert_int_equal(push_log_path(h->log, 1, path), OK);
    assert_int_equal(file_read_all(path, 1 << 20, &text, &n), OK);
    assert_int_equal(push_log_head_decode(&head, text, n), OK);
    head.boot[0] ^= 1;
    push_log_head_encode(&head, bytes);
    write_file(path, bytes, sizeof bytes);
    assert_int_equal(push_log_open(&log, h->dir, 3, 1), OK);
    assert_null(push_log_left(log));
    push_log_close(&log, false);
    mem_free(&text);
    end_history(&h);
}

/* --- a disk that fails ------------------------------------------------------------------------ */

static int64_t room_left; /* bytes that fit the disk; negative: no limit */
static bool removals_fail;
static int error_of_writes;

static ssize_t full_pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (room_left < 0) {
        return file_ops_system.pwritev(fd, parts, count, offset);
    }
    if (room_left == 0) {
        errno = error_of_writes;
        return -1;
    }
    const size_t n = parts->iov_len < (size_t)room_left ? parts->iov_len : (size_t)room_left;
    room_left -= (int64_t)n;
    return file_ops_system.pwrite(fd, parts->iov_base, n, offset);
}

static int full_unlink(const char *path) {
    if (removals_fail) {
        errno = EROFS;
        return -1;
    }
    return file_ops_system.unlink(path);
}

static void with_bad_disk(struct file_ops *ops) {
    *ops = file_ops_system;
    ops->pwritev = full_pwritev;
    ops->unlink = full_unlink;
    room_left = -1;
    removals_fail = false;
    file_ops_set(ops);
}

static void test_a_full_disk(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    static struct file_ops ops;
    struct history *h = begin(SEED + 14, false, 0, none);
    struct partition *p = NULL, *other = fresh(h);
    struct push_log *log = NULL;
    for (uint32_t n = 0; n < 12; n++) {
        if (n == 5) {
            with_bad_disk(&ops);
            room_left = 1000;
            error_of_writes = n % 2 == 0 ? EIO : ENOSPC;
        }
        assert_int_equal(push(h, h->p, n, 1, false), OK);
        assert_int_equal(push(h, other, n, 1, false), OK);
        assert_int_equal(push_log_check(h->log), OK);
        assert_int_equal(push_log_bytes(h->log) == 0, n >= 5);
    }
    assert_int_equal(revive(h, h->dir, START, &p, &log), ERR_NOT_FOUND);
    partition_destroy(&p);
    push_log_close(&log, false);
    assert_int_equal(digest_of(h, h->p), digest_of(h, other)); /* training went on */
    cut_begin_at(h); /* still no room: not even for the head */
    assert_int_equal(push_log_bytes(h->log), 0);
    while (h->cutting) {
        bool busy;
        assert_int_equal(partition_tick(h->p, 0, &busy), OK);
        cut_ended(h, true);
    }
    file_ops_set(NULL);
    cut_begin_at(h);
    assert_true(push_log_bytes(h->log) > 0);
    mark(h);
    assert_int_equal(push(h, h->p, 12, 1, true), OK);
    mark(h);
    while (h->cutting) {
        bool busy;
        assert_int_equal(partition_tick(h->p, 0, &busy), OK);
        push_log_tick(h->log);
        cut_ended(h, true);
    }
    assert_int_equal(die_at(h, last_bytes(h)), 1);
    partition_destroy(&other);
    end_history(&h);
}

/* A log that can neither be written nor be made void: nothing more may be acknowledged. */
static void test_a_disk_that_does_nothing(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    static struct file_ops ops;
    struct history *h = begin(SEED + 15, false, 0, none);
    assert_int_equal(push(h, h->p, 0, 1, false), OK);
    mark(h);
    with_bad_disk(&ops);
    room_left = 0;
    removals_fail = true;
    error_of_writes = EROFS;
    assert_int_equal(push(h, h->p, 1, 1, false), OK);
    assert_int_equal(push_log_check(h->log), ERR_IO);
    push_log_cut(h->log, 77, h->p);
    assert_int_equal(push_log_check(h->log), ERR_IO);
    file_ops_set(NULL);
    assert_int_equal(die_at(h, last_bytes(h)), 1);
    end_history(&h);
}

static void test_a_log_that_grows_too_long(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct history *h = begin(SEED + 16, false, 0, none);
    h->life.bytes_max = 30000;
    push_log_begin(h->log, &h->life, START, h->p);
    uint64_t most = 0;
    for (uint32_t n = 0; n < 40; n++) {
        assert_int_equal(push(h, h->p, n, 1, false), OK);
        most = push_log_bytes(h->log) > most ? push_log_bytes(h->log) : most;
    }
    assert_true(most > 30000 && most < 60000);
    assert_int_equal(push_log_bytes(h->log), 0);
    end_history(&h);
}

static size_t files_in(const char *dir, const char *ending) {
    struct file_list names;
    size_t n = 0;
    assert_int_equal(file_list_dir(&names, dir), OK);
    for (size_t i = 0; i < names.count; i++) {
        n += strcmp(strrchr(names.names[i], '.'), ending) == 0;
    }
    file_list_free(&names);
    return n;
}

/* Segments are free when the cut after them is committed, one with each tick. They are written
 * over, and those go that were not needed until the next such cut. */
static void test_files_are_used_again(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct history *h = begin(SEED + 17, false, 0, none);
    size_t count = 0;
    uint32_t n = 0;
    while (count < 4) {
        assert_int_equal(push(h, h->p, n++, 1, false), OK);
        push_log_segments(h->log, &count);
    }
    push_log_cut(h->log, 51, h->p);
    push_log_commit(h->log, 49); /* nobody knows it */
    push_log_tick(h->log);
    push_log_segments(h->log, &count);
    assert_int_equal(count, 5);
    push_log_commit(h->log, 51);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(files_in(h->dir, ".free"), i < 4 ? i : 4);
        assert_int_equal(files_in(h->dir, ".log"), i < 4 ? 5 - i : 1);
        push_log_tick(h->log);
        push_log_commit(h->log, 51);
    }
    while (count < 8) { /* numbers 5 to 7 */
        assert_int_equal(push(h, h->p, n++, 1, false), OK);
        push_log_segments(h->log, &count);
        count += 5;
    }
    assert_int_equal(files_in(h->dir, ".free"), 2);
    assert_int_equal(files_in(h->dir, ".log"), 3);
    push_log_cut(h->log, 53, h->p); /* takes one */
    push_log_commit(h->log, 53);
    for (uint32_t i = 0; i < 4; i++) {
        push_log_tick(h->log); /* one was idle, three are free now */
    }
    assert_int_equal(files_in(h->dir, ".free"), 3);
    assert_int_equal(files_in(h->dir, ".log"), 1);
    end_history(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_death),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_deaths_in_a_row),
        cmocka_unit_test(test_damage_is_named),
        cmocka_unit_test(test_a_broken_chain),
        cmocka_unit_test(test_another_start_of_the_machine),
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_a_disk_that_does_nothing),
        cmocka_unit_test(test_a_log_that_grows_too_long),
        cmocka_unit_test(test_files_are_used_again),
    };
    return cmocka_run_group_tests_name("push_log", tests, NULL, NULL);
}
