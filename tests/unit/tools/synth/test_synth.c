#include "tools/common/tools.h"
#include "tools/synth/synth.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/record.h"
#include "tools/synth/synth_fields.h"
#include "common/data/truth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TEXT_MAX ((size_t)1 << 28)

/* Every test has a directory of its own in *state. */
static int make_dir(void **state) {
    char *dir = strdup("/tmp/esmm-test-XXXXXX");
    *state = dir;
    return dir != NULL && mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state) {
    mem_fail_after(0);
    const enum status status = file_remove_tree(*state);
    free(*state);
    return status == OK ? 0 : -1;
}

static void in(void **state, const char *name, char path[PATH_BYTES_MAX]) {
    assert_int_equal(path_join(path, *state, name), OK);
}

/* What a command line of these words (and --out x) configures. */
static enum status parsed(struct synth_config *c, const char *words) {
    char text[512];
    char *argv[64] = {"synth", "--out", "x"}, *rest = text;
    struct synth_line line = {0};
    bool printed;
    int argc = 3;
    snprintf(text, sizeof text, "%s", words);
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        argv[argc++] = word;
    }
    const enum status status = command_parse(&command_synth, &line, argc, argv, stdout, &printed);
    assert_true(status != OK || strcmp(line.out, "x") == 0);
    *c = line.config;
    return status;
}

static struct synth_config configured(const char *words) {
    struct synth_config c;
    assert_int_equal(parsed(&c, words), OK);
    return c;
}

/* --- reading a log back ----------------------------------------------------------------------- */

/* A part's files, parsed with nothing of the writer's code. */
struct parsed_log {
    const struct synth_fields *fields;
    char *skeleton, *common;
    struct truth truth;
    uint64_t *index; /* of the common rows, in their order */
    size_t common_rows, rows, user_entries, item_entries, user_longest, item_longest;
    uint64_t seen[F_COUNT]; /* entries of each field */
};

static char *read_text(void **state, const char *name, const char *file) {
    char path[PATH_BYTES_MAX], *text = NULL;
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/%s/%s", (const char *)*state, name, file);
    assert_int_equal(file_read_all(path, TEXT_MAX, &text, &bytes), OK);
    assert_int_equal(strlen(text), bytes);
    assert_true(bytes > 0 && text[bytes - 1] == '\n');
    return text;
}

static uint64_t take_number(char **at, int base, char end) {
    char *stop = NULL;
    const uint64_t v = strtoull(*at, &stop, base);
    assert_true(stop > *at && *stop == end);
    *at = stop + 1;
    return v;
}

static bool is_user_field(uint32_t f) {
    return f <= F_INTENTION_BAG;
}

/* One entry up to its separator, which is given back: field and id agree, the value is sound. */
static char take_entry(struct parsed_log *log, char **at, bool user) {
    char *name = *at;
    uint32_t f = 0;
    char *end = strchr(name, '\x02');
    assert_non_null(end);
    *end = '\0';
    while (f < F_COUNT && strcmp(log->fields->field[f].name, name) != 0) {
        f++;
    }
    assert_true(f < F_COUNT && is_user_field(f) == user);
    *at = end + 1;
    const uint64_t id = take_number(at, 10, '\x03');
    const struct synth_field *field = &log->fields->field[f];
    assert_true(id >= field->first && id < field->first + field->n);
    const double value = strtod(*at, &end);
    assert_true(end > *at && value > 0 && value < 10);
    assert_true(memchr(*at, '.', (size_t)(end - *at)) != NULL && end - *at <= 7);
    log->seen[f]++;
    *at = end + 1;
    return *end;
}

/* "n,entry\x01entry...\n" */
static size_t take_entries(struct parsed_log *log, char **at, bool user) {
    const uint64_t announced = take_number(at, 10, ',');
    uint64_t n = 1;
    char separator;
    while ((separator = take_entry(log, at, user)) == '\x01') {
        n++;
    }
    assert_int_equal(separator, '\n');
    assert_int_equal(n, announced);
    return n;
}

static void parse_common(struct parsed_log *log) {
    char *at = log->common;
    size_t cap = 1;
    for (const char *c = at; *c != '\0'; c++) {
        cap += *c == '\n';
    }
    log->index = calloc(cap, sizeof *log->index);
    while (*at != '\0') {
        char *start = at;
        log->index[log->common_rows++] = take_number(&at, 16, ',');
        assert_int_equal(at - start, 17);
        const size_t n = take_entries(log, &at, true);
        log->user_entries += n;
        log->user_longest = n > log->user_longest ? n : log->user_longest;
    }
}

static size_t find_index(const struct parsed_log *log, uint64_t index) {
    size_t i = 0;
    while (i < log->common_rows && log->index[i] != index) {
        i++;
    }
    return i;
}

/* Every line of the skeleton against the truth; sessions are runs, each with its common row. */
static void parse_skeleton(struct parsed_log *log, uint64_t first_id) {
    bool *used = calloc(log->common_rows, sizeof *used);
    char *at = log->skeleton;
    uint64_t session = 0, anomalies = 0;
    size_t sessions = 0, in_order = 0;
    while (*at != '\0') {
        const uint64_t id = take_number(&at, 10, ',');
        const uint64_t click = take_number(&at, 10, ','), conversion = take_number(&at, 10, ',');
        const uint64_t index = take_number(&at, 16, ',');
        const struct truth_row *row = truth_find(&log->truth, id);
        assert_int_equal(id, first_id + log->rows);
        assert_non_null(row);
        assert_int_equal(click, (row->labels & LABEL_CLICK) != 0);
        anomalies += !click && conversion;
        assert_true(!click || conversion == ((row->labels & LABEL_CONVERSION) != 0));
        assert_int_equal((row->labels & LABEL_CONVERSION) != 0,
                         click && (row->labels & TRUTH_POTENTIAL) != 0);
        if (index != session || log->rows == 0) {
            const size_t place = find_index(log, index);
            assert_true(place < log->common_rows && !used[place]);
            used[place] = true;
            in_order += place == sessions++;
            session = index;
        }
        const size_t n = take_entries(log, &at, false);
        log->item_entries += n;
        log->item_longest = n > log->item_longest ? n : log->item_longest;
        log->rows++;
    }
    assert_int_equal(sessions, log->common_rows); /* all used, none twice */
    assert_true(sessions < 50 || in_order < sessions / 5);
    assert_true(anomalies < 10);
    free(used);
}

static void parse_log(struct parsed_log *log, void **state, const char *part,
                      const struct synth_fields *fields, uint64_t first_id) {
    char path[PATH_BYTES_MAX];
    *log = (struct parsed_log){.fields = fields};
    snprintf(path, sizeof path, "%s/%s/truth.bin", (const char *)*state, part);
    assert_int_equal(truth_read(&log->truth, path), OK);
    log->skeleton = read_text(state, part, "sample_skeleton.csv");
    log->common = read_text(state, part, "common_features.csv");
    parse_common(log);
    parse_skeleton(log, first_id);
    assert_int_equal(log->truth.count, log->rows);
}

static void parsed_log_fini(struct parsed_log *log) {
    truth_free(&log->truth);
    mem_free(&log->skeleton);
    mem_free(&log->common);
    free(log->index);
}

static void run(void **state, const struct synth_config *c, const char *name,
                struct synth_summary summaries[2]) {
    char out[PATH_BYTES_MAX];
    in(state, name, out);
    assert_int_equal(synth_run(c, out, false, summaries), OK);
}

static void agrees(const struct parsed_log *log, const struct synth_summary *s) {
    uint64_t clicks = 0, conversions = 0;
    double ctr = 0, ctcvr = 0, ctr_variance = 0, ctcvr_variance = 0;
    for (size_t i = 0; i < log->truth.count; i++) {
        const struct truth_row *row = &log->truth.rows[i];
        const double p = (double)row->p_ctr, q = p * (double)row->p_cvr;
        clicks += (row->labels & LABEL_CLICK) != 0;
        conversions += (row->labels & LABEL_CONVERSION) != 0;
        ctr += p;
        ctcvr += q;
        ctr_variance += p * (1 - p);
        ctcvr_variance += q * (1 - q);
    }
    assert_int_equal(s->impressions, log->rows);
    assert_int_equal(s->sessions, log->common_rows);
    assert_int_equal(s->common_entries, log->user_entries);
    assert_int_equal(s->item_entries, log->item_entries);
    assert_int_equal(s->clicks, clicks);
    assert_int_equal(s->conversions, conversions);
    assert_true(fabs(s->sum_p_ctr - ctr) < 1e-4 * ctr);
    assert_true(fabs(s->sum_p_ctcvr - ctcvr) < 1e-4 * ctcvr);
    assert_true(fabs((double)clicks - ctr) < 4 * sqrt(ctr_variance));
    assert_true(fabs((double)conversions - ctcvr) < 4 * sqrt(ctcvr_variance));
}

/* --- the two shapes --------------------------------------------------------------------------- */

static void a_plain_log(void **state) {
    const struct synth_config c = configured("--impressions 60000 --holdout 20000 --seed 11");
    struct synth_summary s[2];
    struct synth_fields f;
    struct parsed_log train, eval;
    run(state, &c, "log", s);
    fields_init(&f, &c);
    parse_log(&train, state, "log/train", &f, 1);
    parse_log(&eval, state, "log/eval", &f, 60001);
    agrees(&train, &s[0]);
    agrees(&eval, &s[1]);
    assert_int_equal(train.rows, 60000);
    assert_int_equal(eval.rows, 20000);
    assert_int_equal(train.user_entries, 13 * train.common_rows);
    assert_int_equal(train.item_entries, 8 * train.rows);
    assert_int_equal(train.seen[F_CATEGORY_BAG], HISTORY * train.common_rows);
    /* sessions of mean 58, sd 50 */
    assert_true(fabs((double)train.rows / (double)train.common_rows - 58) < 8);
    /* CTR and CVR as asked, within what a thousand sessions and 24 conversions let expect */
    assert_true(fabs((double)s[0].clicks / 60000 / 0.04 - 1) < 0.1);
    assert_true(fabs(s[0].sum_p_ctcvr / s[0].sum_p_ctr / 0.01 - 1) < 0.15);
    assert_true(s[0].sum_p_cvr_do < s[0].sum_p_cvr);
    assert_true(s[0].sum_p_cvr / 60000 < s[0].sum_clicked / (double)s[0].clicks);
    parsed_log_fini(&train);
    parsed_log_fini(&eval);
}

/* No power and no weak price: fields are left out, the rest stays well-formed. */
static void a_log_without_fields(void **state) {
    const struct synth_config c = configured("--impressions 3000 --preset weak --price 0");
    struct synth_summary s[2];
    struct synth_fields f;
    struct parsed_log log;
    char eval[PATH_BYTES_MAX];
    run(state, &c, "log", s);
    fields_init(&f, &c);
    parse_log(&log, state, "log/train", &f, 1);
    agrees(&log, &s[0]);
    assert_int_equal(log.seen[F_POWER] + log.seen[F_PRICE], 0);
    assert_int_equal(log.user_entries, 12 * log.common_rows);
    assert_int_equal(log.item_entries, 7 * log.rows);
    in(state, "log/eval", eval);
    assert_false(file_exists(eval));
    parsed_log_fini(&log);
}

static double mean(size_t sum, size_t n) {
    return (double)sum / (double)n;
}

/* The sizes of the public log (its notes: 518 entries of 13 fields, 13.4 of 10, at most 2,706 and
 * 59). Users recur, so the mean of a small log is loose. */
static void a_log_of_aliccp_shape(void **state) {
    const struct synth_config c =
        configured("--impressions 40000 --shape aliccp --features 300000 --seed 12");
    struct synth_summary s[2];
    struct synth_fields f;
    struct parsed_log log;
    uint32_t user_fields = 0, item_fields = 0;
    run(state, &c, "log", s);
    fields_init(&f, &c);
    parse_log(&log, state, "log/train", &f, 1);
    agrees(&log, &s[0]);
    for (uint32_t i = 0; i < F_COUNT; i++) {
        user_fields += is_user_field(i) && log.seen[i] > 0;
        item_fields += !is_user_field(i) && log.seen[i] > 0;
        assert_int_equal(log.seen[i] > 0, f.field[i].n > 0);
    }
    assert_int_equal(user_fields, 13);
    assert_int_equal(item_fields, 10);
    assert_true(f.features > 295000 && f.features < 305000);
    assert_true(fabs(mean(log.user_entries, log.common_rows) - 518) < 75);
    assert_true(log.user_longest > 1200 && log.user_longest <= 2015);
    assert_true(fabs(mean(log.item_entries, log.rows) - 13.4) < 0.7);
    assert_true(log.item_longest > 35 && log.item_longest <= 76);
    assert_true(fabs(mean(log.seen[F_BRAND], log.rows) - 0.71) < 0.06);
    assert_true(fabs(mean(log.seen[F_AGE], log.common_rows) - 0.87) < 0.06);
    parsed_log_fini(&log);
}

/* --- the same bytes --------------------------------------------------------------------------- */

static void same_file(void **state, const char *a, const char *b, bool same) {
    char path[PATH_BYTES_MAX], *text_a = NULL, *text_b = NULL;
    size_t bytes_a = 0, bytes_b = 0;
    in(state, a, path);
    assert_int_equal(file_read_all(path, TEXT_MAX, &text_a, &bytes_a), OK);
    in(state, b, path);
    assert_int_equal(file_read_all(path, TEXT_MAX, &text_b, &bytes_b), OK);
    assert_int_equal(bytes_a == bytes_b && memcmp(text_a, text_b, bytes_a) == 0, same);
    mem_free(&text_a);
    mem_free(&text_b);
}

static void same_part(void **state, const char *a, const char *b, bool same) {
    static const char *const files[] = {"sample_skeleton.csv", "common_features.csv", "truth.bin"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char x[256], y[256];
        snprintf(x, sizeof x, "%s/%s", a, files[i]);
        snprintf(y, sizeof y, "%s/%s", b, files[i]);
        same_file(state, x, y, same);
    }
}

static void threads_do_not_matter(void **state) {
    static const char *const shapes[] = {"--impressions 30000 --holdout 9000 --seed 5",
                                         "--impressions 9000 --holdout 3000 --seed 5 "
                                         "--shape aliccp --features 20000"};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        struct synth_config c = configured(shapes[k]);
        struct synth_summary s[2], first[2];
        static const uint32_t threads[] = {1, 1, 2, 7};
        for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
            char a[32], b[32], name[16];
            c.threads = threads[t];
            snprintf(name, sizeof name, "%zu-%zu", k, t);
            run(state, &c, name, t == 0 ? first : s);
            for (int part = 0; part < 2; part++) {
                snprintf(a, sizeof a, "%zu-0/%s", k, part == 0 ? "train" : "eval");
                snprintf(b, sizeof b, "%s/%s", name, part == 0 ? "train" : "eval");
                same_part(state, a, b, true);
            }
            assert_true(t == 0 || memcmp(s, first, sizeof s) == 0);
        }
    }
}

static void times_and_threads(void **state) {
    static const char *const files[] = {"train/log.csv", "train/log.schema", "train/truth.bin",
                                        "eval/log.csv",  "eval/log.schema",  "eval/truth.bin"};
    struct synth_config c =
        configured("--impressions 9000 --holdout 4000 --seed 5 --days 3 --threads 1");
    struct synth_summary s[2], again[2];
    char a[64], b[64], truth[64];
    run(state, &c, "one", s);
    c.threads = 5;
    run(state, &c, "five", again);
    assert_memory_equal(s, again, sizeof s);
    c.drift = 0.8;
    run(state, &c, "drifts-five", again);
    assert_int_equal(s[0].clicks, again[0].clicks);
    assert_true(s[0].sum_p_ctr == again[0].sum_p_ctr && s[0].sum_p_cvr != again[0].sum_p_cvr);
    c.threads = 1;
    run(state, &c, "drifts", again);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(a, sizeof a, "drifts/%s", files[i]);
        snprintf(b, sizeof b, "drifts-five/%s", files[i]);
        same_file(state, a, b, true);
    }
    c.drift = 0;
    c.days = 0;
    run(state, &c, "none", again);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(a, sizeof a, "one/%s", files[i]);
        snprintf(b, sizeof b, "five/%s", files[i]);
        snprintf(truth, sizeof truth, "none/%s", files[i]);
        same_file(state, a, b, true);
        if (i % 3 == 2) {
            same_file(state, a, truth, true); /* times change nothing that is true */
        }
    }
    assert_true(s[0].conversions == again[0].conversions && s[0].after_day <= s[0].conversions);
}

/* Another seed is another log; a holdout changes nothing in train; a longer log begins the same. */
static void what_matters(void **state) {
    struct synth_config c = configured("--impressions 5000 --seed 1");
    struct synth_summary s[2];
    char path[PATH_BYTES_MAX], *shorter = NULL, *longer = NULL;
    size_t bytes = 0, more = 0;
    run(state, &c, "a", s);
    c.holdout = 2000;
    run(state, &c, "b", s);
    same_part(state, "a/train", "b/train", true);
    same_file(state, "b/train/truth.bin", "b/eval/truth.bin", false);
    c.seed = 2;
    run(state, &c, "c", s);
    same_part(state, "a/train", "c/train", false);
    c.seed = 1;
    c.impressions = 8000;
    run(state, &c, "d", s);
    in(state, "a/train/sample_skeleton.csv", path);
    assert_int_equal(file_read_all(path, TEXT_MAX, &shorter, &bytes), OK);
    in(state, "d/train/sample_skeleton.csv", path);
    assert_int_equal(file_read_all(path, TEXT_MAX, &longer, &more), OK);
    assert_true(more > bytes && memcmp(shorter, longer, bytes) == 0);
    mem_free(&shorter);
    mem_free(&longer);
}

static void smallest_logs(void **state) {
    static const char *const words[] = {
        "--impressions 1 --users 1 --items 1", "--impressions 1 --holdout 1",
        "--impressions 100 --users 2 --items 3 --user-skew 0 --item-skew 5",
        "--impressions 1 --shape aliccp --features 10000"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const struct synth_config c = configured(words[i]);
        struct synth_summary s[2];
        struct synth_fields f;
        struct parsed_log log;
        char name[8], part[16];
        snprintf(name, sizeof name, "%zu", i);
        snprintf(part, sizeof part, "%zu/train", i);
        run(state, &c, name, s);
        fields_init(&f, &c);
        parse_log(&log, state, part, &f, 1);
        assert_int_equal(log.rows, c.impressions);
        parsed_log_fini(&log);
    }
}

/* --- refusals --------------------------------------------------------------------------------- */

static void directory_is_empty(void **state) {
    struct file_list list;
    assert_int_equal(file_list_dir(&list, *state), OK);
    assert_int_equal(list.count, 0);
    file_list_free(&list);
}

static void existing_is_refused(void **state) {
    const struct synth_config c = configured("--impressions 10");
    struct synth_summary s[2];
    char out[PATH_BYTES_MAX];
    in(state, "log", out);
    assert_int_equal(file_mkdirs(out), OK);
    assert_int_equal(synth_run(&c, out, false, s), ERR_EXISTS);
    assert_non_null(strstr(fail_text(), "exists already"));
    in(state, "log/", out);
    assert_int_equal(synth_run(&c, out, false, s), ERR_EXISTS);
    assert_int_equal(synth_run(&c, "", false, s), ERR_USAGE);
}

static void fails_cleanly(void **state, const char *words) {
    const struct synth_config c = configured(words);
    bool done = false;
    char out[PATH_BYTES_MAX];
    in(state, "log", out);
    for (size_t n = 1; n < 300 && !done; n += 1 + n / 20) {
        struct synth_summary s[2];
        mem_fail_after(n);
        const enum status status = synth_run(&c, out, false, s);
        mem_fail_after(0);
        done = status == OK;
        assert_true(done || status == ERR_MEMORY);
        if (!done) {
            /* removing what was begun may have failed for the same reason */
            char leftover[PATH_BYTES_MAX];
            in(state, "log.tmp", leftover);
            assert_int_equal(file_remove_tree(leftover), OK);
            directory_is_empty(state);
        }
    }
    assert_true(done);
}

static void failing_memory(void **state) {
    fails_cleanly(state, "--impressions 100 --users 10 --items 10 --threads 2");
}

static void failing_memory_with_times(void **state) {
    fails_cleanly(state, "--impressions 100 --users 10 --items 10 --threads 2 --days 2");
}

/* --- the command line ------------------------------------------------------------------------- */

static void command_lines(void **state) {
    static const char *const bad[] = {"",
                                      "--impressions 0",
                                      "--impressions x",
                                      "--impressions 10 --ctr 0",
                                      "--impressions 10 --ctr 1",
                                      "--impressions 10 --ctr nan",
                                      "--impressions 10 --cvr 0.5x",
                                      "--impressions 10 --confounding 0.96",
                                      "--impressions 10 --shared 1.1",
                                      "--impressions 10 --sc inf",
                                      "--impressions 10 --preset x",
                                      "--impressions 10 --shape x",
                                      "--impressions 10 --features 20000",
                                      "--impressions 10 --threads 0",
                                      "--impressions 10 --users 0",
                                      "--impressions 10 --unknown",
                                      "--impressions 10 --ctr",
                                      "--impressions 10 extra",
                                      "--impressions 10 --days -1",
                                      "--impressions 10 --days 3 --attribution 0",
                                      "--impressions 10 --delay-fast 1.1",
                                      "--impressions 10 --delay-mean 0",
                                      "--impressions 10 --drift 0.1",
                                      "--impressions 10 --days 3 --drift -1",
                                      "--impressions 10 --anomalies -1",
                                      "--impressions 10 --shape aliccp --features 1"};
    struct synth_config c;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parsed(&c, bad[i]) != ERR_USAGE) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    c = configured("--impressions 2K");
    assert_true(c.impressions == 2000 && c.holdout == 0 && c.seed == 1 && c.users == 10000 &&
                c.items == 50000 && c.ctr == 0.04 && c.cvr == 0.01 && c.confounding == 0.3 &&
                c.threads >= 1);
    c = configured("--cvr 0.02 --impressions 1 --preset strong --mx 0.1");
    assert_true(c.cvr == 0.02 && c.mx == 0.1 && c.sv == 0.35 && c.power == 0 && c.price == 0.7);
    c = configured("--impressions 1 --shape aliccp");
    assert_true(c.features == 10000000 && c.users == 400000 && c.items == 4300000);
    c = configured("--impressions 1 --shape aliccp --features 1M --items 5");
    assert_true(c.features == 1000000 && c.users == 40000 && c.items == 5);
}

int main(void) {
#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        WITH_DIR(a_plain_log),
        WITH_DIR(a_log_without_fields),
        WITH_DIR(a_log_of_aliccp_shape),
        WITH_DIR(threads_do_not_matter),
        WITH_DIR(what_matters),
        WITH_DIR(smallest_logs),
        WITH_DIR(existing_is_refused),
        WITH_DIR(failing_memory),
        WITH_DIR(failing_memory_with_times),
        WITH_DIR(times_and_threads),
        cmocka_unit_test(command_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
