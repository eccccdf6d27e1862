/* Unit tests of the comparison's parts that train nothing: the list of methods, statistics over
 * seeds, and what the writers make of evaluations made by hand, undefined figures among them. */
#include "tools/compare/compare_result.h"
#include "tools/compare/compare_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 7u

static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want)))) {
        fail_msg("got %.17g, expected %.17g", got, want);
    }
}

/* --- methods ---------------------------------------------------------------------------------- */

static void methods_are_read(void **state) {
    (void)state;
    struct compare_methods m;
    assert_int_equal(compare_methods_parse(&m, "base,aman:0.1,unbias:weight,ctr,esmm-ns"), OK);
    assert_int_equal(m.count, 5);
    assert_string_equal(m.method[0].label, "ctr");
    assert_string_equal(m.method[2].label, "aman:0.1");
    assert_string_equal(m.method[2].file, "aman-0.1");
    assert_string_equal(m.method[2].model, "aman");
    assert_string_equal(m.method[2].variant, "model.aman_rate=0.1");
    assert_string_equal(m.method[3].variant, "model.unbias=weight");
    assert_string_equal(m.method[4].variant, "");
    assert_near(m.method[4].paper.cvr, 68.25);
    assert_near(m.method[4].paper.ctcvr, 64.44);
    assert_true(isnan(m.method[0].paper.cvr));
    assert_int_equal(compare_methods_parse(&m, "ple:2,ple"), OK);
    assert_string_equal(m.method[1].variant, "model.levels=2");
    assert_string_equal(m.method[2].variant, "");
    assert_int_equal(compare_methods_parse(&m, "all"), OK);
    assert_int_equal(m.count, 9);
    assert_string_equal(m.method[1].label, "base");
    assert_string_equal(m.method[8].label, "share");
}

static void bad_methods_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {{"bsae", "'base'"},
               {"esmm_ns", "'esmm-ns'"},
               {"esmm,esmm", "twice"},
               {"", "no name"},
               {"esmm,", "no name"},
               {"esmm:3", "no variants"},
               {"aman:", "word or a number"},
               {"aman:../x", "word or a number"},
               {"aman:0.000000000000000000000000000000000001", "no name"}};
    struct compare_methods m;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(compare_methods_parse(&m, bad[i].text), ERR_USAGE);
        if (strstr(fail_text(), bad[i].says) == NULL) {
            fail_msg("'%s': %s", bad[i].text, fail_text());
        }
    }
    struct buf many = BUF_EMPTY;
    for (int i = 0; i < COMPARE_METHODS_MAX; i++) {
        assert_int_equal(buf_printf(&many, "%saman:0.%d", i > 0 ? "," : "", i + 1), OK);
    }
    assert_int_equal(compare_methods_parse(&m, (const char *)many.data), ERR_USAGE);
    assert_non_null(strstr(fail_text(), "more than"));
    buf_fini(&many);
}

static void settings_find_their_method(void **state) {
    (void)state;
    struct compare_methods m;
    assert_int_equal(compare_methods_parse(&m, "aman:0.1,esmm-ns"), OK);
    const struct compare_method *aman = &m.method[1], *ns = &m.method[2];
    assert_string_equal(compare_set_for(aman, "aman:0.1:table.lr=0.5"), "table.lr=0.5");
    assert_string_equal(compare_set_for(aman, "aman:table.lr=0.5"), "table.lr=0.5");
    assert_null(compare_set_for(aman, "aman:0.2:table.lr=0.5"));
    assert_null(compare_set_for(ns, "esmm:table.lr=0.5"));
    assert_null(compare_set_for(ns, "esmm-ns"));
    assert_null(compare_set_for(ns, "esmm-ns:table.lr"));
}

static void texts_are_compared(void **state) {
    (void)state;
    char path[] = "/tmp/test-compare-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a = 1\nb = 2\n", 12), 12);
    close(fd);
    assert_int_equal(compare_same_text(path, "a = 1\nb = 2\n", "x"), OK);
    assert_int_equal(compare_same_text(path, "a = 1\nb = 3\n", "x"), ERR_EXISTS);
    assert_non_null(strstr(fail_text(), "line 2"));
    assert_non_null(strstr(fail_text(), "'b = 2'"));
    assert_non_null(strstr(fail_text(), "'b = 3'"));
    assert_int_equal(compare_same_text(path, "a = 1\n", "x"), ERR_EXISTS);
    assert_int_equal(compare_same_text(path, "a = 1\nb = 2\nc = 3\n", "x"), ERR_EXISTS);
    unlink(path);
    assert_int_equal(compare_same_text(path, "", "x"), ERR_NOT_FOUND);
}

/* --- statistics ------------------------------------------------------------------------------- */

static void mean_and_sd(void **state) {
    (void)state;
    double mean, sd;
    size_t used;
    compare_mean_sd((const double[]){2, 4, 4, 4, 5, 5, 7, 9}, 8, &mean, &sd, &used);
    assert_near(mean, 5);
    assert_near(sd, sqrt(32.0 / 7));
    assert_int_equal(used, 8);
    compare_mean_sd((const double[]){NAN, 1, INFINITY, 3}, 4, &mean, &sd, &used);
    assert_near(mean, 2);
    assert_near(sd, sqrt(2));
    assert_int_equal(used, 2);
    compare_mean_sd((const double[]){NAN, 3}, 2, &mean, &sd, &used);
    assert_near(mean, 3);
    assert_true(isnan(sd));
    compare_mean_sd((const double[]){NAN}, 1, &mean, &sd, &used);
    assert_true(isnan(mean) && isnan(sd));
    assert_int_equal(used, 0);
    double x[50], pairs = 0; /* the variance is half the mean square difference of all pairs */
    for (uint32_t i = 0; i < 50; i++) {
        x[i] = 0.65 + 0.01 * rng_normal(SEED, i, 0);
    }
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < 50; k++) {
            pairs += (x[i] - x[k]) * (x[i] - x[k]);
        }
    }
    compare_mean_sd(x, 50, &mean, &sd, &used);
    assert_near(sd, sqrt(pairs / (2 * 50.0 * 49.0)));
}

/* --- a comparison by hand: ctr, base and esmm, two seeds -------------------------------------- */

static struct evaluation nothing(void) {
    struct evaluation e;
    const struct evaluation_spec spec = {.form = SCORE_CVR};
    assert_int_equal(evaluation_compute(&e, NULL, 0, &spec), OK); /* all undefined */
    e.impressions = 1000;
    e.clicks = 100;
    e.conversions = 7;
    return e;
}

static struct compare_methods methods;
static struct compare_cell cells[6];
static struct compare_result by_hand(const char *truth, uint32_t resamples) {
    static const double cvr[2][2] = {{0.60, 0.62}, {0.65, 0.69}};
    assert_int_equal(compare_methods_parse(&methods, "base,esmm"), OK);
    for (int i = 0; i < 6; i++) {
        cells[i] =
            (struct compare_cell){.evaluation = nothing(), .impressions = 1000, .seconds = 2};
        cells[i].evaluation.auc_cvr_entire_best = 0.8;
    }
    cells[0].evaluation.ctr.auc = 0.61;
    cells[1].evaluation.ctr.auc = NAN;
    for (int m = 0; m < 2; m++) {
        for (int s = 0; s < 2; s++) {
            struct evaluation *e = &cells[2 + 2 * m + s].evaluation;
            e->cvr_clicked.auc = cvr[m][s];
            e->cvr_clicked.auc_95 = (struct interval){cvr[m][s] - 0.1, cvr[m][s] + 0.2};
            e->auc_cvr_entire = cvr[m][s] + 0.05;
            e->cvr_clicked.ne = 0.9;
            e->ratio_cvr_entire = m == 0 ? 1.5 : 1.25;
        }
    }
    return (struct compare_result){.methods = &methods,
                                   .seeds = 2,
                                   .cells = cells,
                                   .data = "a<b>&\"c\"",
                                   .eval = "eval",
                                   .truth = truth,
                                   .resamples = resamples};
}

static void over_seeds(void **state) {
    (void)state;
    const struct compare_result r = by_hand(NULL, 200);
    const struct compare_figure *cvr = &compare_figures[COMPARE_CVR];
    struct compare_summary s = compare_summarise(&r, 2, cvr);
    assert_int_equal(s.seeds, 2);
    assert_near(s.mean, 0.67);
    assert_near(s.sd, sqrt(0.0008));
    assert_near(s.interval.low, 0.57);
    assert_near(s.interval.high, 0.87);
    s = compare_against_base(&r, 2, cvr);
    assert_int_equal(s.seeds, 2);
    assert_near(s.mean, 0.06);
    assert_near(s.sd, sqrt(0.0002));
    assert_int_equal(compare_against_base(&r, 1, cvr).seeds, 0);
    assert_int_equal(compare_against_base(&r, 0, cvr).seeds, 0);
    s = compare_summarise(&r, 0, cvr);
    assert_int_equal(s.seeds, 0);
    assert_true(isnan(s.mean) && isnan(s.interval.low));
    const struct compare_result without = by_hand(NULL, 0);
    assert_true(isnan(compare_summarise(&without, 2, cvr).interval.low));
    assert_int_equal(compare_figure_count(&r), COMPARE_FIGURES_LABELS);
    const struct compare_result true_ones = by_hand("truth.bin", 0);
    assert_int_equal(compare_figure_count(&true_ones), COMPARE_FIGURES);
}

/* The line that begins with `label`, its blanks squeezed, of the n-th table that has one. */
static const char *line_of(const char *text, const char *label, int n) {
    static char out[512];
    size_t len = 0;
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        const size_t bytes = strlen(label);
        if (strncmp(at, label, bytes) == 0 && at[bytes] == ' ' && n-- == 0) {
            for (; *at != '\n' && *at != '\0'; at++) {
                if (*at != ' ' || at[1] != ' ') {
                    out[len++] = *at;
                }
            }
            out[len] = '\0';
            return out;
        }
    }
    return "";
}

static void tables(void **state) {
    (void)state;
    struct buf out = BUF_EMPTY;
    const struct compare_result r = by_hand("truth.bin", 200);
    assert_int_equal(compare_table(&r, &out), OK);
    const char *text = (const char *)out.data;
    assert_string_equal(line_of(text, "ctr", 0), "ctr 61.00 - - - - -");
    assert_string_equal(line_of(text, "base", 0),
                        "base - 61.00 ± 1.41 66.00 ± 0.37 - - 62.07 ± 0.45");
    assert_string_equal(line_of(text, "esmm", 0),
                        "esmm - 67.00 ± 2.83 68.56 ± 0.37 - - 65.32 ± 0.49");
    assert_string_equal(line_of(text, "esmm", 1), "esmm 0.90 ± 0.00 -");
    assert_string_equal(line_of(text, "esmm", 2), "esmm 72.00 ± 2.83 1.25 ± 0.00 - -");
    assert_string_equal(line_of(text, "esmm", 3), "esmm +6.00 ± 1.41 - +6.00 ± 1.41");
    assert_non_null(strstr(text, "best 80.00"));
    assert_non_null(strstr(text, "positive 7"));
    assert_null(strstr(text, "nan"));
    buf_clear(&out);
    assert_int_equal(compare_csv(&r, &out), OK);
    text = (const char *)out.data;
    assert_int_equal(
        strncmp(text, "method,seed,auc_ctr,auc_cvr_clicked,auc_ctcvr,auc_ctcvr_reference,", 66), 0);
    assert_non_null(
        strstr(text, "\nctr,1,0.61,,,,,,,,,\nctr,2,,,,,,,,,,\nbase,1,,0.6,,,0.9,,0.65,1.5,,\n"));
    assert_non_null(strstr(text, "\nesmm,2,,0.69,,,0.9,,0.74,1.25,,\n"));
    buf_fini(&out);
}

static void json_and_page(void **state) {
    (void)state;
    struct buf out = BUF_EMPTY;
    const struct compare_result r = by_hand("truth.bin", 200);
    assert_int_equal(compare_json(&r, &out), OK);
    const char *text = (const char *)out.data;
    assert_non_null(strstr(text, "\"data\": \"a<b>&\\\"c\\\"\""));
    assert_non_null(strstr(text, "\"auc_cvr_clicked\": null"));
    assert_non_null(strstr(text, "\"trained_seconds\": 2"));
    assert_non_null(strstr(text, "\"against_base\": {}"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    buf_clear(&out);
    assert_int_equal(compare_html(&r, &out), OK);
    text = (const char *)out.data;
    assert_non_null(strstr(text, "a&lt;b&gt;&amp;&quot;c&quot;"));
    assert_non_null(strstr(text, "prefers-color-scheme:dark"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http"));
    assert_null(strstr(text, "\"nan"));
    assert_null(strstr(text, "inf\""));
    size_t dots = 0, bands = 0, pictures = 0;
    for (const char *at = text; (at = strchr(at, '<')) != NULL; at++) {
        dots += strncmp(at, "<circle", 7) == 0;
        bands += strncmp(at, "<line class=\"band\"", 18) == 0;
        pictures += strncmp(at, "<svg", 4) == 0;
    }
    assert_int_equal(pictures, 1);
    assert_int_equal(
        dots, 1 + 4 + 4 + 4 + 4); /* CTR of one seed; CVR, entropy, against truth, ratio of 2 x 2 */
    assert_int_equal(bands, 2);   /* CVR (clicked) of base and esmm */
    buf_fini(&out);
}

static enum status (*const writers[])(const struct compare_result *, struct buf *) = {
    compare_table, compare_csv, compare_json, compare_html};

static void memory_may_fail(void **state) {
    (void)state;
    const struct compare_result r = by_hand("truth.bin", 200);
    for (size_t w = 0; w < sizeof writers / sizeof writers[0]; w++) {
        enum status status = ERR_MEMORY;
        for (size_t n = 1; status != OK; n++) {
            struct buf out = BUF_EMPTY;
            mem_fail_after(n);
            status = writers[w](&r, &out);
            mem_fail_after(0);
            assert_true(status == OK || status == ERR_MEMORY);
            buf_fini(&out);
            assert_true(n < 1000);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_read),
        cmocka_unit_test(bad_methods_are_refused),
        cmocka_unit_test(settings_find_their_method),
        cmocka_unit_test(texts_are_compared),
        cmocka_unit_test(mean_and_sd),
        cmocka_unit_test(over_seeds),
        cmocka_unit_test(tables),
        cmocka_unit_test(json_and_page),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
