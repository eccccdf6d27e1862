/* compare.c - `esmm compare`: the paper's table on the reader's own data.
 *
 * Every method is trained on the same shards by the same `esmm train` with the same settings, one
 * run after another. Each run is a child process, so that its memory is freed when it ends. Then
 * its last checkpoint is measured here.
 *
 *     for each seed:  the plain CTR net, whose p_ctr is the seed's common reference;
 *                     every method: train, score the test impressions, figures
 *     then            tables, JSON, CSV and a page with a picture, in OUT
 *
 * All command lines and all run directories are checked before the first run begins, so that a
 * typing mistake is reported at once and not after hours. A rerun with the same OUT trains what is
 * missing and measures everything again. Therefore it may use other test data and other lists of
 * methods and seeds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/data_fit.h"
#include "common/base/lock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/base/thread.h"
#include "compare_result.h"
#include "compare_run.h"
#include "tools/score/eval.h"
#include "tools/common/tools.h"

#define SEEDS_MAX      100
#define BOOTSTRAP_SEED 1 /* the same resamples for every method */

struct compare {
    struct compare_settings settings;
    struct compare_methods methods;
    struct dataset dataset; /* data set of --data */
    struct file_list eval;
    const char *truth, *method_text;
    uint32_t seeds, resamples;
    enum eval_weights weights;
    struct compare_cell *cells; /* [methods][seeds] */
    size_t done;                /* runs */
    struct lock lock;           /* lock of the output */
};

/* --- the command line ------------------------------------------------------------------------- */

/* Refuses a --method-set that applies to no method. */
static enum status check_method_sets(const struct compare *c) {
    for (size_t i = 0; i < c->settings.method_set.count; i++) {
        bool taken = false;
        for (size_t m = 0; m < c->methods.count; m++) {
            taken |=
                compare_set_for(&c->methods.method[m], c->settings.method_set.names[i]) != NULL;
        }
        if (!taken) {
            return fail(ERR_USAGE,
                        "--method-set '%s' is for none of the methods; expected "
                        "METHOD:section.key=value",
                        c->settings.method_set.names[i]);
        }
    }
    return OK;
}

static enum status compare_check(void *line) {
    struct compare *c = line;
    if (c->weights == EVAL_BOTH) {
        return fail(ERR_USAGE, "--weights both: one table has one kind; expected yes or no");
    }
    TRY(compare_methods_parse(&c->methods, c->method_text));
    return check_method_sets(c);
}

/* --- before the first run --------------------------------------------------------------------- */

/* Checks the weights before the first run, so that a fault is not found only after the last. */
static enum status check_weights(const struct compare *c, const struct dataset *eval) {
    char name[PATH_BYTES_MAX];
    const bool carried = eval->weights.there || eval->sample_rate < 1;
    if (carried && c->weights == EVAL_UNWEIGHTED) {
        log_warn("%s carries %s; every impression counts 1 in the figures (--weights yes)",
                 dataset_name(&c->eval, name), eval->weights.there ? "weights" : "a sample rate");
    }
    return carried || c->weights == EVAL_UNWEIGHTED
               ? OK
               : fail(ERR_CONFIG,
                      "%s carries no weights and no sample rate: --weights yes has nothing "
                      "to count",
                      dataset_name(&c->eval, name));
}

static enum status check_eval(const struct compare *c) {
    struct dataset eval = {0};
    struct buf doubts = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(dataset_read_all(&eval, &c->eval, &doubts));
    TRY_OUT(check_weights(c, &eval));
    const struct fit_side model = fit_side_data(&c->dataset);
    const struct fit_side data = fit_side_data(&eval);
    status = data_fit(&model, &data, &doubts);
    data_fit_log(&doubts);
out:
    buf_fini(&doubts);
    dataset_free(&eval);
    return status;
}

/* Writes the settings that a run's config.ini does not hold. A rerun must have the same. */
static enum status settings_text(const struct compare *c, uint64_t impressions, struct buf *out) {
    const struct compare_settings *s = &c->settings;
    for (size_t i = 0; i < s->data.count; i++) {
        char path[PATH_BYTES_MAX]; /* a rerun may start in another directory */
        const bool known = path_resolve(path, s->data.names[i]) == OK;
        TRY(buf_printf(out, "data = %s\n", known ? path : s->data.names[i]));
    }
    return buf_printf(out, "impressions = %llu\nservers = %llu\nworkers = %llu\nthreads = %llu\n",
                      (unsigned long long)impressions, (unsigned long long)s->servers,
                      (unsigned long long)s->workers, (unsigned long long)s->threads);
}

static enum status compare_keep_settings(const struct compare *c, const char *text) {
    char path[PATH_BYTES_MAX], sub[PATH_BYTES_MAX];
    TRY(path_join(path, c->settings.out, "settings.ini"));
    TRY(path_join(sub, c->settings.out, "runs"));
    if (file_exists(path)) {
        return compare_same_text(path, text, "a comparison with other settings is there");
    }
    if (file_exists(sub)) {
        return fail(ERR_EXISTS,
                    "%s is there, but no %s: it is not of a comparison; give another --out", sub,
                    path);
    }
    TRY(file_mkdirs(sub));
    TRY(path_join(sub, c->settings.out, "logs"));
    TRY(file_mkdirs(sub));
    return file_write_atomic(path, text, strlen(text));
}

static enum status look_at_all(struct compare *c) {
    for (size_t m = 0; m < c->methods.count; m++) {
        for (uint32_t seed = 1; seed <= c->seeds; seed++) {
            struct compare_run run;
            TRY(compare_run_look(&c->settings, &c->methods.method[m], seed, &run));
        }
    }
    return OK;
}

static enum status compare_prepare(struct compare *c) {
    struct buf text = BUF_EMPTY;
    TRY(data_fit_read(&c->dataset, &c->settings.data));
    if (c->dataset.no_conversion && c->methods.count > 1) {
        char name[PATH_BYTES_MAX];
        return fail(ERR_CONFIG,
                    "%s has no conversions (its log's schema says conversion = none): only "
                    "--methods ctr can be trained on it",
                    dataset_name(&c->settings.data, name));
    }
    TRY(check_eval(c));
    if (c->truth != NULL && !file_exists(c->truth)) {
        return fail(ERR_NOT_FOUND, "--truth: there is no %s", c->truth);
    }
    TRY(look_at_all(c));
    TRY(manifest_run_dir(c->settings.out));
    TRY(lock_take_in(&c->lock, c->settings.out));
    enum status status = settings_text(c, c->dataset.impressions, &text);
    if (status == OK) {
        status = compare_keep_settings(c, (const char *)text.data);
    }
    buf_fini(&text);
    TRY(status);
    return mem_array(&c->cells, c->methods.count * c->seeds);
}

/* --- runs ------------------------------------------------------------------------------------- */

static uint32_t scoring_threads(const struct compare *c) {
    const uint64_t threads = c->settings.workers * c->settings.threads;
    return (uint32_t)(threads < 256 ? threads : 256);
}

/* Scores the CTR net. The scores are kept for the other models of the seed, and the net's own
 * figures are computed from them. */
static enum status measure_reference(const struct compare *c, const struct compare_run *run,
                                     struct score_list *reference, struct compare_cell *cell) {
    struct scorer *scorer = NULL;
    struct evaluation figures[2];
    uint32_t count = 0;
    enum status status = OK;
    reference->count = 0;
    TRY_OUT(scorer_create(&scorer, run->dir, NULL));
    scorer_kernel(scorer, cell->kernel);
    TRY_OUT(scorer_score(scorer, &c->eval, scoring_threads(c),
                         (struct scorer_sink){score_list_take, reference}));
    enum score_form form;
    TRY_OUT(scorer_judged(scorer, &form));
    const struct evaluation_spec spec = {
        .form = form, .resamples = c->resamples, .seed = BOOTSTRAP_SEED};
    const struct eval_spec of = {.data = &c->eval, .weights = c->weights};
    TRY_OUT(eval_scores(&of, &spec, reference, figures, &count));
    cell->evaluation = figures[0];
    status = scorer_unseen(scorer, NULL, NULL); /* the other methods have the same rows, or fewer */
out:
    scorer_destroy(&scorer);
    return status;
}

static enum status compare_measure(const struct compare *c, const struct compare_run *run,
                                   const struct score_list *reference, struct compare_cell *cell) {
    struct scorer *scorer = NULL;
    struct evaluation figures[2];
    uint32_t count = 0;
    const struct eval_spec spec = {.data = &c->eval,
                                   .weights = c->weights,
                                   .truth = c->truth,
                                   .reference = reference,
                                   .threads = scoring_threads(c),
                                   .resamples = c->resamples,
                                   .seed = BOOTSTRAP_SEED};
    TRY(scorer_create(&scorer, run->dir, NULL));
    scorer_kernel(scorer, cell->kernel);
    const enum status status = eval_run(scorer, &spec, figures, &count);
    cell->evaluation = figures[0];
    scorer_destroy(&scorer);
    return status;
}

static void compare_tell(const struct compare *c, const struct compare_method *m, uint32_t seed,
                         const struct compare_run *run, const struct compare_cell *cell) {
    const struct evaluation *e = &cell->evaluation;
    fprintf(stderr, "[%zu/%zu] %s, seed %u: ", c->done, c->methods.count * (size_t)c->seeds,
            m->label, seed);
    if (run->complete) {
        fprintf(stderr, "was there");
    } else {
        fprintf(stderr, "trained on %.0f impressions in %.1f s", cell->impressions, cell->seconds);
    }
    if (isfinite(e->ctr.auc)) {
        fprintf(stderr, "; AUC ctr (all) %.4f", e->ctr.auc);
    }
    if (isfinite(e->cvr_clicked.auc)) {
        fprintf(stderr, "; AUC cvr (clicked) %.4f, ctcvr (all, common CTR) %.4f",
                e->cvr_clicked.auc, e->auc_ctcvr_reference);
    }
    fprintf(stderr, "\n");
}

static enum status compare_one(struct compare *c, size_t method, uint32_t seed,
                               struct score_list *reference) {
    const struct compare_method *m = &c->methods.method[method];
    struct compare_cell *cell = &c->cells[method * c->seeds + (seed - 1)];
    struct compare_run run;
    TRY(compare_run_train(&c->settings, m, seed, &run));
    TRY(compare_run_cost(&run, &cell->impressions, &cell->seconds));
    TRY(method == 0 ? measure_reference(c, &run, reference, cell)
                    : compare_measure(c, &run, reference, cell));
    c->done++;
    compare_tell(c, m, seed, &run, cell);
    return stop_requested() ? fail(ERR_CLOSED, "stopped") : OK;
}

static enum status run_all(struct compare *c) {
    struct score_list reference = {0};
    enum status status = OK;
    for (uint32_t seed = 1; seed <= c->seeds && status == OK; seed++) {
        for (size_t m = 0; m < c->methods.count && status == OK; m++) {
            status = compare_one(c, m, seed, &reference);
        }
    }
    score_list_fini(&reference);
    return status;
}

/* --- results ---------------------------------------------------------------------------------- */

static enum status write_as(const struct compare *c, const struct compare_result *r,
                            const char *name,
                            enum status (*writer)(const struct compare_result *, struct buf *),
                            FILE *echo) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(path_join(path, c->settings.out, name));
    TRY_OUT(writer(r, &text));
    TRY_OUT(file_write_atomic(path, text.data, text.len));
    if (echo != NULL) {
        fwrite(text.data, 1, text.len, echo);
    }
out:
    buf_fini(&text);
    return status;
}

static enum status compare_report(const struct compare *c) {
    char data[PATH_BYTES_MAX], eval[PATH_BYTES_MAX];
    const struct compare_result r = {.methods = &c->methods,
                                     .seeds = c->seeds,
                                     .cells = c->cells,
                                     .data = dataset_name(&c->settings.data, data),
                                     .eval = dataset_name(&c->eval, eval),
                                     .truth = c->truth,
                                     .resamples = c->resamples};
    TRY(write_as(c, &r, "compare.json", compare_json, NULL));
    TRY(write_as(c, &r, "compare.csv", compare_csv, NULL));
    TRY(write_as(c, &r, "compare.html", compare_html, NULL));
    TRY(write_as(c, &r, "compare.txt", compare_table, stdout));
    printf("%s/compare.html has the picture\n", c->settings.out);
    return OK;
}

static enum status compare_start(void *line) {
    struct compare *c = line;
    TRY(compare_prepare(c));
    stop_signals_install();
    TRY(run_all(c));
    return compare_report(c);
}

static void compare_init(void *line) {
    ((struct compare *)line)->lock = LOCK_NONE;
}

static void compare_fini(void *line) {
    struct compare *c = line;
    mem_free(&c->cells);
    dataset_free(&c->dataset);
    file_list_free(&c->settings.data);
    file_list_free(&c->settings.conf);
    file_list_free(&c->settings.set);
    file_list_free(&c->settings.method_set);
    file_list_free(&c->eval);
    lock_release(&c->lock);
}

#define AT(member) OPTION_AT(struct compare, member)
static const struct option_row compare_rows[] = {
    {"data", "DIR", OPTION_PATHS, AT(settings.data), .required = true,
     .help = "training shards (esmm prep)"},
    {"eval", "DIR", OPTION_PATHS, AT(eval), .required = true, .help = "test shards"},
    {"truth", "FILE", OPTION_TEXT, AT(truth),
     .help = "of the test log (esmm synth): adds CVR over the entire space"},
    {"methods", "LIST", OPTION_TEXT, AT(method_text), .preset = "all",
     .help = "of base, aman, oversampling, unbias, division, esmm-ns, esmm, share; with variants: "
             "aman:0.1 oversampling:5 unbias:weight; or all of these (all); and escm2-ips, "
             "escm2-dr, dcmt, mmoe, ple, ple:2 (levels), esm2, chain, aitm (docs/models.md)"},
    {"seeds", "N", OPTION_WHOLE, AT(seeds), .preset = "3", .least = 1, .most = SEEDS_MAX,
     .help = "1 to N: initial values and order"},
    {"out", "DIR", OPTION_TEXT, AT(settings.out), .preset = "compare",
     .help = "runs and results; continued if it is there"},
    {"conf", "FILE", OPTION_TEXTS, AT(settings.conf),
     .help = "configuration of every run; see docs/config.md"},
    {"set", "SECTION.KEY=V", OPTION_TEXTS, AT(settings.set), .help = "of every run"},
    {"method-set", "METHOD:SECTION.KEY=V", OPTION_TEXTS, AT(settings.method_set),
     .help = "of that method's runs; METHOD as in --methods, or a model for all its variants"},
    {"servers", "N", OPTION_WHOLE, AT(settings.servers), .preset = "1", .least = 1, .most = 256,
     .help = "parameter servers"},
    {"workers", "N", OPTION_WHOLE, AT(settings.workers), .preset = "1", .least = 1, .most = 256,
     .help = "workers"},
    {"threads", "N", OPTION_WHOLE, AT(settings.threads), .preset = "2", .least = 1, .most = 64,
     .help = "trainer threads per worker"},
    EVAL_BOOTSTRAP_ROW(struct compare),
    {"weights", "yes|no", OPTION_CHOICE, AT(weights), .choices = eval_weights_names, .preset = "no",
     .help = "a test impression counts its weight, or 1"},
    {NULL}};
const struct command command_compare = {
    .name = "compare",
    .summary = "train the paper's methods alike and print its table",
    .about =
        "Trains every method alike, each with several seeds, and prints the paper's table: AUCs "
        "of CTR, CVR and CTCVR with their populations, beside the paper's figures. See "
        "docs/compare.md.",
    .groups = (const struct option_group[]){{NULL, compare_rows}, {0}},
    .line_bytes = sizeof(struct compare),
    .init = compare_init,
    .check = compare_check,
    .run = compare_start,
    .fini = compare_fini};
