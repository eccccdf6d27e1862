/* compare.c - the command: parse, train everything that is missing, judge, write.
 *
 * OUT/settings holds what the runs were made with; the same command again goes on where it stopped,
 * another one is refused, since its runs would not be alike.
 */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/thread.h"
#include "eval.h"
#include "options.h"
#include "tools.h"

static const char paper_methods[] = "base,aman,oversampling,unbias,division,esmm-ns,esmm,share";

enum {
    C_DATA = 256, C_EVAL, C_TRUTH, C_OUT, C_METHODS, C_SEEDS, C_CONF, C_SET, C_METHOD_SET, C_SERVERS,
    C_WORKERS, C_THREADS, C_BOOTSTRAP, C_HELP
};
static const struct option options[] = {{"data", required_argument, NULL, C_DATA},
                                        {"eval", required_argument, NULL, C_EVAL},
                                        {"truth", required_argument, NULL, C_TRUTH},
                                        {"out", required_argument, NULL, C_OUT},
                                        {"methods", required_argument, NULL, C_METHODS},
                                        {"seeds", required_argument, NULL, C_SEEDS},
                                        {"conf", required_argument, NULL, C_CONF},
                                        {"set", required_argument, NULL, C_SET},
                                        {"method-set", required_argument, NULL, C_METHOD_SET},
                                        {"servers", required_argument, NULL, C_SERVERS},
                                        {"workers", required_argument, NULL, C_WORKERS},
                                        {"threads", required_argument, NULL, C_THREADS},
                                        {"bootstrap", required_argument, NULL, C_BOOTSTRAP},
                                        {"help", no_argument, NULL, C_HELP},
                                        {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm compare --data DIR --eval DIR --out DIR [--truth FILE] [options]\n\n"
    "Trains several methods alike on the same shards and prints one table (docs/compare.md).\n\n"
    "  --data DIR, --eval DIR   impression shards to train on and to judge on (esmm prep)\n"
    "  --truth FILE             of esmm synth, for the held-out shards: adds CVR over the entire space\n"
    "  --out DIR                runs, compare.txt, .csv, .json and .html; the same command goes on\n"
    "                           with the runs that are missing\n"
    "  --methods A,B,...        values of model.name; aman:RATE, oversampling:FACTOR,\n"
    "                           unbias:rejection and unbias:weight set what the name stands for\n"
    "                           (base,aman,oversampling,unbias,division,esmm-ns,esmm,share)\n"
    "  --seeds N                trainings of each, with train.seed 1 to N (3)\n"
    "  --conf FILE, --set K=V   configuration of all methods; --set can be repeated\n"
    "  --method-set M:K=V       of the method labelled M alone; can be repeated\n"
    "  --servers N --workers N --threads N   of each training (1, 1, 1)\n"
    "  --bootstrap N            resamples over users for the intervals (1000; 0: none)\n\n"
    "Methods that train on clicked impressions alone get a batch so much smaller that a pass has as\n"
    "many steps (--method-set base:train.batch=N for another one).\n";

struct compare_line {
    struct compare compare;
    const char *method_list;
    bool help;
};

static enum status keep(const char *list[COMPARE_SETTINGS_MAX], uint32_t *count, const char *what,
                        const char *value) {
    if (*count == COMPARE_SETTINGS_MAX) {
        return fail(ERR_USAGE, "more than %d times %s", COMPARE_SETTINGS_MAX, what);
    }
    list[(*count)++] = value;
    return OK;
}

static enum status apply(void *line, int option, const char *value) {
    struct compare_line *l = line;
    struct compare *c = &l->compare;
    switch (option) {
    case C_DATA: c->data = value; return OK;
    case C_EVAL: c->eval = value; return OK;
    case C_TRUTH: c->truth = value; return OK;
    case C_OUT: c->out = value; return OK;
    case C_METHODS: l->method_list = value; return OK;
    case C_SEEDS: return option_u64("--seeds", value, 1, COMPARE_SEEDS_MAX, &c->seeds);
    case C_CONF: c->conf = value; return OK;
    case C_SET: return keep(c->set, &c->sets, "--set", value);
    case C_METHOD_SET: return keep(c->method_set, &c->method_sets, "--method-set", value);
    case C_SERVERS: return option_u64("--servers", value, 1, 64, &c->servers);
    case C_WORKERS: return option_u64("--workers", value, 1, 64, &c->workers);
    case C_THREADS: return option_u64("--threads", value, 1, 64, &c->threads);
    case C_BOOTSTRAP: return option_u64("--bootstrap", value, 0, EVAL_RESAMPLES_MAX, &c->resamples);
    default: l->help = true; return OK;
    }
}

static enum status parse_methods(struct compare *c, const char *list) {
    while (*list != '\0') {
        char label[80];
        const size_t n = strcspn(list, ",");
        snprintf(label, sizeof label, "%.*s", (int)(n < sizeof label ? n : sizeof label - 1), list);
        if (c->methods == COMPARE_METHODS_MAX) {
            return fail(ERR_USAGE, "--methods: more than %d", COMPARE_METHODS_MAX);
        }
        TRY(compare_method_parse(&c->method[c->methods], label));
        for (uint32_t m = 0; m < c->methods; m++) {
            if (strcmp(c->method[m].label, label) == 0) {
                return fail(ERR_USAGE, "--methods: %s twice", label);
            }
        }
        c->methods++;
        list += n + (list[n] == ',');
    }
    return c->methods > 0 ? OK : fail(ERR_USAGE, "--methods names none");
}

/* A --method-set must be for a method that there is. */
static enum status check_method_sets(const struct compare *c) {
    for (uint32_t i = 0; i < c->method_sets; i++) {
        bool found = false;
        for (uint32_t m = 0; m < c->methods; m++) {
            const size_t n = strlen(c->method[m].label);
            found |= strncmp(c->method_set[i], c->method[m].label, n) == 0 && c->method_set[i][n] == ':';
        }
        if (!found) {
            return fail(ERR_USAGE, "--method-set %s: expected METHOD:section.key=value with one of --methods",
                        c->method_set[i]);
        }
    }
    return OK;
}

static enum status parse(struct compare_line *l, int argc, char **argv) {
    struct compare *c = &l->compare;
    *l = (struct compare_line){.method_list = paper_methods,
                               .compare = {.seeds = 3, .servers = 1, .workers = 1, .threads = 1,
                                           .resamples = EVAL_RESAMPLES}};
    TRY(options_read(argc, argv, options, apply, l, &l->help));
    if (l->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    const char *missing = c->data == NULL ? "--data" : c->eval == NULL ? "--eval" : c->out == NULL ? "--out" : NULL;
    if (missing != NULL) {
        return fail(ERR_USAGE, "%s is missing; see --help", missing);
    }
    TRY(parse_methods(c, l->method_list));
    return check_method_sets(c);
}

/* --- the settings file ------------------------------------------------------------------------ */

static enum status settings_text(const struct compare *c, struct buf *out) {
    char *conf = NULL;
    size_t bytes = 0;
    TRY(buf_printf(out, "data %s\neval %s\nservers %llu workers %llu threads %llu\n", c->data, c->eval,
                   (unsigned long long)c->servers, (unsigned long long)c->workers,
                   (unsigned long long)c->threads));
    for (uint32_t i = 0; i < c->sets; i++) {
        TRY(buf_printf(out, "set %s\n", c->set[i]));
    }
    for (uint32_t i = 0; i < c->method_sets; i++) {
        TRY(buf_printf(out, "method-set %s\n", c->method_set[i]));
    }
    if (c->conf != NULL) {
        TRY(file_read_all(c->conf, (size_t)1 << 20, &conf, &bytes));
        const enum status status = buf_printf(out, "conf\n%s\n", conf);
        mem_free(&conf);
        return status;
    }
    return OK;
}

static enum status same_settings(const struct compare *c) {
    char path[PATH_BYTES_MAX], *old = NULL;
    size_t bytes = 0;
    struct buf now = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(path_join(path, c->out, "settings"));
    TRY_OUT(settings_text(c, &now));
    if (file_exists(path)) {
        TRY_OUT(file_read_all(path, (size_t)2 << 20, &old, &bytes));
        if (bytes != now.len || memcmp(old, now.data, bytes) != 0) {
            TRY_OUT(fail(ERR_CONFIG, "%s was begun with other settings (see %s): take another --out", c->out,
                         path));
        }
    } else {
        TRY_OUT(file_write_atomic(path, now.data, now.len));
    }
out:
    mem_free(&old);
    buf_fini(&now);
    return status;
}

/* --- the runs --------------------------------------------------------------------------------- */

static enum status judge(struct compare *c, const struct compare_method *m, uint64_t seed,
                         const struct score_list *reference, struct evaluation *e) {
    char dir[PATH_BYTES_MAX];
    struct local *local = NULL;
    TRY(compare_dir(c, m, seed, dir));
    TRY(local_create(&local, dir));
    const struct eval_spec spec = {.data = c->eval,
                                   .truth = c->truth,
                                   .reference = reference,
                                   .threads = (uint32_t)(c->workers * c->threads),
                                   .resamples = (uint32_t)c->resamples,
                                   .seed = 1};
    const enum status status = eval_run(local, &spec, e);
    local_destroy(&local);
    return status;
}

static void told(const struct compare_method *m, uint64_t seed, uint64_t start_ms,
                 const struct evaluation *e) {
    const double value[] = {e->auc_ctr, e->auc_cvr_clicked, e->auc_ctcvr_reference};
    char shown[3][16];
    for (int i = 0; i < 3; i++) {
        snprintf(shown[i], sizeof shown[i], isnan(value[i]) ? "undefined" : "%.4f", value[i]);
    }
    fprintf(stderr, "%-18s seed %llu: AUC of CTR %s, CVR clicked %s, CTCVR with the common CTR %s  (%.0f s)\n",
            m->label, (unsigned long long)seed, shown[0], shown[1], shown[2],
            (double)(clock_mono_ms() - start_ms) / 1000);
}

/* All methods with one seed; first the CTR net that they have in common. */
static enum status run_seed(struct compare *c, uint64_t seed) {
    struct compare_method ctr;
    struct score_list reference = {0};
    char dir[PATH_BYTES_MAX];
    enum status status = OK;
    TRY_OUT(compare_method_parse(&ctr, "ctr"));
    TRY_OUT(compare_train(c, &ctr, seed));
    TRY_OUT(compare_dir(c, &ctr, seed, dir));
    TRY_OUT(eval_reference(dir, c->eval, (uint32_t)(c->workers * c->threads), &reference));
    for (uint32_t m = 0; m < c->methods; m++) {
        const uint64_t start_ms = clock_mono_ms();
        struct evaluation *e = &c->result[m][seed - 1];
        TRY_OUT(compare_train(c, &c->method[m], seed));
        TRY_OUT(judge(c, &c->method[m], seed, &reference, e));
        told(&c->method[m], seed, start_ms, e);
    }
out:
    score_list_fini(&reference);
    return status;
}

static enum status write_one(const struct compare *c, const char *name,
                             enum status (*make)(const struct compare *, struct buf *), bool show) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(path_join(path, c->out, name));
    TRY_OUT(make(c, &text));
    TRY_OUT(file_write_atomic(path, text.data, text.len));
    if (show) {
        fwrite(text.data, 1, text.len, stdout);
    }
out:
    buf_fini(&text);
    return status;
}

static enum status compare_run(struct compare *c) {
    char runs[PATH_BYTES_MAX];
    TRY(dataset_read(&c->dataset, c->data));
    TRY(path_join(runs, c->out, "runs"));
    TRY(file_mkdirs(runs));
    TRY(same_settings(c));
    TRY(mem_array((void **)&c->result, c->methods, sizeof *c->result));
    for (uint64_t seed = 1; seed <= c->seeds; seed++) {
        TRY(run_seed(c, seed));
    }
    TRY(write_one(c, "compare.csv", compare_csv, false));
    TRY(write_one(c, "compare.json", compare_json, false));
    TRY(write_one(c, "compare.html", compare_page, false));
    return write_one(c, "compare.txt", compare_text, true);
}

enum status tool_compare(int argc, char **argv) {
    struct compare_line *l = NULL;
    TRY(mem_alloc((void **)&l, sizeof *l));
    enum status status = parse(l, argc, argv);
    if (status == OK && l->help) {
        fputs(help, stdout);
    } else if (status == OK) {
        stop_signals_install();
        status = compare_run(&l->compare);
    }
    mem_free(&l->compare.result);
    dataset_free(&l->compare.dataset);
    mem_free(&l);
    return status;
}
