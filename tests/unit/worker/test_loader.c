/* Unit tests of worker/loader.h: where the batches of leases are, and windows of many shards,
 * against a naive computation from the shards themselves. */
#include "worker/loader.h"

#include <unistd.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/deal.h"
#include "common/job/plan.h"
#include "tests/dirs.h"
#include "tests/small_set.h"

#define EPOCH   1
#define IDS_MAX 4096

/* Windows of at most 200 impressions, in batches of 4: so that a range has two or three. */
static void setup_windows(struct fixture *t) {
    setup_data(t);
    t->config.window = 200;
    t->config.run = 2;
    t->config.batch = 4;
}

static void begin(struct fixture *t, struct loader *l) {
    const struct loader_spec spec = loader_spec_of(t);
    assert_int_equal(loader_init(l, &spec), OK);
}

static void end(struct fixture *t, struct loader *l) {
    loader_fini(l);
    assert_int_equal(file_remove_tree(t->dir), OK);
}

/* --- the naive computation -------------------------------------------------------------------- */

/* What is known of each impression by its id (from 1): all shards, read directly. */
struct known {
    bool here; /* in the window that is looked at */
    uint8_t labels;
    uint64_t user, item, second; /* u1, v1, u2 */
};
static struct known known[IDS_MAX];

static uint64_t value_of(const struct shard *s, uint32_t column, uint32_t bag) {
    const struct column *c = &s->column[column];
    return c->start[bag] < c->start[bag + 1] ? c->dict[c->code[c->start[bag]]] : 0;
}

static struct known known_of(const struct shard *s, uint32_t group, uint32_t i) {
    return (struct known){.labels = s->labels[i],
                          .user = value_of(s, 0, group),
                          .second = value_of(s, 1, group),
                          .item = value_of(s, 2, i)};
}

/* Notes the impressions of a slice: walks the shard in the epoch's order of its groups. */
static void know_slice(const struct fixture *t, uint32_t epoch, struct slice slice) {
    struct shard s = {0};
    uint32_t *order = NULL, at = 0;
    assert_int_equal(shard_read(&s, t->dir, t->info[slice.shard].name, &t->schema), OK);
    assert_int_equal(mem_array(&order, s.groups), OK);
    plan_groups(t->config.seed, true, epoch, slice.shard, s.groups, order);
    for (uint32_t g = 0; g < s.groups; g++) {
        for (uint32_t i = s.group_start[order[g]]; i < s.group_start[order[g] + 1]; i++, at++) {
            const uint64_t id = s.impression_id[i];
            assert_in_range(id, 1, IDS_MAX - 1);
            if (at >= slice.begin && at < slice.end) {
                assert_false(known[id].here);
                known[id] = known_of(&s, order[g], i);
                known[id].here = true;
            }
        }
    }
    mem_free(&order);
    shard_free(&s);
}

static uint32_t know_window(const struct fixture *t, const struct loader *l, uint32_t epoch,
                            uint32_t window) {
    struct slice *slices;
    uint32_t count, impressions = 0;
    memset(known, 0, sizeof known);
    assert_int_equal(ranges_slices(&l->ranges, epoch, window, &slices, &count), OK);
    for (uint32_t i = 0; i < count; i++) {
        know_slice(t, epoch, slices[i]);
        impressions += slices[i].end - slices[i].begin;
    }
    mem_free(&slices);
    return impressions;
}

/* Every impression of the window is one of the slices', each once, with its own values. */
static void check_window(const struct fixture *t, const struct loader *l, struct read_window *w) {
    const struct shard *s = &w->shard;
    assert_int_equal(s->impressions, know_window(t, l, w->key.epoch, w->key.window));
    assert_int_equal(s->impressions, ranges_window_impressions(&l->ranges, w->key.window));
    for (uint32_t g = 0; g < s->groups; g++) {
        for (uint32_t i = s->group_start[g]; i < s->group_start[g + 1]; i++) {
            const struct known got = known_of(s, g, i), *want = &known[s->impression_id[i]];
            assert_true(want->here);
            assert_int_equal(got.labels, want->labels);
            assert_int_equal(got.user, want->user);
            assert_int_equal(got.second, want->second);
            assert_int_equal(got.item, want->item);
            known[s->impression_id[i]].here = false;
        }
    }
}

/* The runs are those that deal gives for the window. */
static void check_runs(const struct fixture *t, const struct read_window *w) {
    const struct deal_spec spec = {.seed = t->config.seed,
                                   .epoch = w->key.epoch,
                                   .window = w->key.window,
                                   .run = t->config.run,
                                   .batches = w->batches,
                                   .blocks = 1};
    struct run *runs;
    uint32_t count;
    assert_int_equal(deal(&w->shard, &spec, &runs, &count), OK);
    assert_int_equal(w->run_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(w->runs[i].group, runs[i].group);
        assert_int_equal(w->runs[i].begin, runs[i].begin);
        assert_int_equal(w->runs[i].end, runs[i].end);
    }
    mem_free(&runs);
}

/* --- windows ---------------------------------------------------------------------------------- */

static void windows_are_their_slices(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct read_window w = {0};
    uint32_t impressions = 0;
    setup_windows(&t);
    begin(&t, &l);
    assert_true(loader_mixes(&l));
    assert_true(l.ranges.windows >= 3);
    for (uint32_t k = 0; k < l.ranges.windows; k++) {
        w.key = (struct window_key){LEASE_TRAIN, EPOCH, k};
        assert_int_equal(loader_load(&l, &w), OK); /* frees the one before */
        assert_int_equal(w.batches, ranges_window_batches(&l.ranges, k));
        check_window(&t, &l, &w);
        check_runs(&t, &w);
        impressions += w.shard.impressions;
    }
    assert_int_equal(impressions, t.dataset.impressions);
    read_window_free(&w);
    end(&t, &l);
}

/* A model that trains on clicked impressions only has windows of those. */
static void windows_of_a_sample(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct read_window w = {0};
    uint32_t impressions = 0;
    setup_windows(&t);
    assert_int_equal(config_set(&t.config, "model.name=base"), OK);
    begin(&t, &l);
    for (uint32_t k = 0; k < l.ranges.windows; k++) {
        w.key = (struct window_key){LEASE_TRAIN, EPOCH, k};
        assert_int_equal(loader_load(&l, &w), OK);
        assert_int_equal(w.shard.impressions, ranges_window_impressions(&l.ranges, k));
        assert_int_equal(w.batches, ranges_window_batches(&l.ranges, k));
        for (uint32_t i = 0; i < w.shard.impressions; i++) {
            assert_true(w.shard.labels[i] & LABEL_CLICK);
        }
        impressions += w.shard.impressions;
    }
    assert_int_equal(impressions, t.dataset.clicks);
    assert_true(impressions < t.dataset.impressions);
    read_window_free(&w);
    end(&t, &l);
}

static uint32_t copies_of(const struct shard *s, uint64_t id, uint32_t begin, uint32_t end_at) {
    uint32_t copies = 0;
    for (uint32_t i = begin; i < end_at; i++) {
        copies += s->impression_id[i] == id;
    }
    return copies;
}

/* The copies of an impression that a window has are in one run, so that they are one step. */
static void copies_stay_together(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct read_window w = {0};
    uint32_t together = 0;
    setup_windows(&t);
    assert_int_equal(config_set(&t.config, "model.name=oversampling"), OK);
    assert_int_equal(config_set(&t.config, "model.oversampling_factor=3"), OK);
    begin(&t, &l);
    w.key = (struct window_key){LEASE_TRAIN, EPOCH, 0};
    assert_int_equal(loader_load(&l, &w), OK);
    for (uint32_t r = 0; r < w.run_count; r++) {
        const struct run *run = &w.runs[r];
        for (uint32_t i = run->begin; i < run->end; i++) {
            const uint64_t id = w.shard.impression_id[i];
            const uint32_t copies = copies_of(&w.shard, id, 0, w.shard.impressions);
            assert_int_equal(copies_of(&w.shard, id, run->begin, run->end), copies);
            together += copies == 3;
        }
    }
    assert_true(together > 0);
    read_window_free(&w);
    end(&t, &l);
}

static void ranges_have_their_places(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct reading_place place;
    uint32_t most = 0;
    setup_windows(&t);
    begin(&t, &l);
    for (uint32_t range = 0; range < l.ranges.count; range++) {
        struct wire_lease lease = lease_of(LEASE_TRAIN, EPOCH, range);
        lease.ahead = range + 1 == l.ranges.count ? 0 : range + 2;
        assert_int_equal(loader_place(&l, &lease, &place), OK);
        const struct range_batches want = ranges_place(&l.ranges, range);
        assert_int_equal(place.window.kind, LEASE_TRAIN);
        assert_int_equal(place.window.epoch, EPOCH);
        assert_int_equal(place.window.window, l.ranges.window[range]);
        assert_int_equal(place.first, want.first);
        assert_int_equal(place.count, want.count);
        assert_int_equal(place.ahead.kind, lease.ahead > 0 ? LEASE_TRAIN : LEASE_WAIT);
        assert_int_equal(place.ahead.window,
                         lease.ahead > 0 ? l.ranges.window[lease.ahead - 1] : 0);
        most = place.count > most ? place.count : most;
    }
    assert_true(most > 1);
    assert_int_equal(
        loader_place(&l, &(struct wire_lease){.kind = LEASE_TRAIN, .shard = l.ranges.count},
                     &place),
        ERR_PROTOCOL);
    assert_int_equal(loader_place(&l, &(struct wire_lease){.kind = LEASE_EVAL, .shard = 2}, &place),
                     OK);
    assert_int_equal(place.window.kind, LEASE_EVAL);
    assert_int_equal(place.window.window, 2);
    end(&t, &l);
}

/* --- failures --------------------------------------------------------------------------------- */

static enum status load(struct loader *l, struct read_window *w, uint32_t window) {
    w->key = (struct window_key){LEASE_TRAIN, EPOCH, window};
    return loader_load(l, w);
}

static void a_damaged_shard_fails_its_window(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct read_window w = {0};
    char path[PATH_BYTES_MAX];
    setup_windows(&t);
    begin(&t, &l);
    assert_int_equal(path_join(path, t.dir, t.info[1].name), OK);
    assert_int_equal(truncate(path, (off_t)t.info[1].bytes / 2), 0);
    assert_int_equal(load(&l, &w, 0), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), t.info[1].name));
    read_window_free(&w);
    end(&t, &l);
}

/* A shard of other counts than the manifest's. */
static void a_shard_of_another_set_fails_its_window(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct read_window w = {0};
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    setup_windows(&t);
    begin(&t, &l);
    assert_int_equal(path_join(from, t.dir, t.info[0].name), OK);
    assert_int_equal(path_join(to, t.dir, t.info[2].name), OK);
    assert_int_equal(unlink(to), 0);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(load(&l, &w, 0), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), t.info[2].name));
    assert_non_null(strstr(fail_text(), "the manifest says"));
    read_window_free(&w);
    end(&t, &l);
}

static void a_stop_ends_loading(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct read_window w = {0};
    setup_windows(&t);
    begin(&t, &l);
    atomic_store(&l.stop, true);
    assert_int_equal(load(&l, &w, 0), ERR_CLOSED);
    read_window_free(&w);
    end(&t, &l);
}

static void failing_memory(void **state) {
    (void)state;
    struct fixture t;
    struct loader l;
    struct read_window w = {0};
    size_t failures = 0;
    setup_windows(&t);
    begin(&t, &l);
    for (size_t k = 1;; k++, failures++) {
        mem_fail_after(k);
        const enum status status = load(&l, &w, 0);
        mem_fail_after(0);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
    }
    assert_true(failures > 20);
    check_window(&t, &l, &w);
    read_window_free(&w);
    end(&t, &l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_their_slices),
        cmocka_unit_test(windows_of_a_sample),
        cmocka_unit_test(copies_stay_together),
        cmocka_unit_test(ranges_have_their_places),
        cmocka_unit_test(a_damaged_shard_fails_its_window),
        cmocka_unit_test(a_shard_of_another_set_fails_its_window),
        cmocka_unit_test(a_stop_ends_loading),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
