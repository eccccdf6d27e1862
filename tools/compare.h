/* compare.h - the paper's table: several methods trained alike on the same shards, each with several
 * seeds, judged on the same impressions (docs/compare.md).
 *
 *     compare_method.c   a label like "aman:0.1" and the settings it stands for
 *     compare_run.c      one training as a child process, and its evaluation
 *     compare_report.c   text, CSV, JSON      compare_page.c   HTML with one picture
 *     compare.c          the command: methods x seeds, in turn
 */
#ifndef TOOLS_COMPARE_H
#define TOOLS_COMPARE_H

#include "common/bytes.h"
#include "common/config.h"
#include "common/file.h"
#include "common/metric.h"
#include "common/shard.h"

#define COMPARE_METHODS_MAX 32
#define COMPARE_SEEDS_MAX   32
#define COMPARE_SETTINGS_MAX 64

/* --- methods --- */

struct compare_method {
    char label[64];
    char name[32];      /* of model.name */
    char variant[128];  /* "model.aman_rate=0.1", or empty */
};
/* "name" or "name:value": the value is aman's rate, oversampling's factor, unbias's reading.
 * ERR_USAGE. */
enum status compare_method_parse(struct compare_method *m, const char *label);
/* A batch of the method that gives a pass as many steps as `batch` gives a model of all impressions:
 * methods that train on clicked impressions alone would else make few steps. */
uint32_t compare_batch(const struct config *c, const struct dataset *data, uint32_t batch);
/* The paper's AUC x 100 on its public data (Ma et al. 2018, table 2), NaN where it has none. */
struct compare_paper {
    double cvr, cvr_sd, ctcvr, ctcvr_sd;
};
struct compare_paper compare_paper_of(const char *name);

/* --- the job --- */

struct compare {
    const char *data, *eval, *truth, *out, *conf;
    const char *set[COMPARE_SETTINGS_MAX]; /* of all methods */
    uint32_t sets;
    const char *method_set[COMPARE_SETTINGS_MAX]; /* "label:section.key=value" */
    uint32_t method_sets;
    struct compare_method method[COMPARE_METHODS_MAX];
    uint32_t methods;
    uint64_t seeds, servers, workers, threads, resamples;
    struct dataset dataset;                /* of data */
    struct evaluation (*result)[COMPARE_SEEDS_MAX]; /* [methods][seeds] */
    struct evaluation reference[COMPARE_SEEDS_MAX]; /* of the common CTR nets */
};

/* Trains the method with the seed unless OUT/runs/LABEL-SEED already holds its end. ERR_CONFIG: the
 * settings are no configuration. Any other failure names the run's log. */
enum status compare_train(struct compare *c, const struct compare_method *m, uint64_t seed);
/* OUT/runs/LABEL-SEED into out[PATH_BYTES_MAX]. */
enum status compare_dir(const struct compare *c, const struct compare_method *m, uint64_t seed,
                        char *out);

/* --- what is shown --- */

struct compare_column {
    const char *key;      /* in JSON and CSV: the field of struct evaluation */
    const char *title, *population;
    size_t offset;        /* of the double in struct evaluation */
    size_t interval;      /* of its struct interval; 0: none */
    double best;          /* what a perfect figure would be: 1 for ratios; NaN: the more the better */
};
#define COMPARE_COLUMNS 10
extern const struct compare_column compare_columns[COMPARE_COLUMNS];
static inline double compare_value(const struct evaluation *e, const struct compare_column *k) {
    return *(const double *)((const char *)e + k->offset);
}
/* Mean and sample standard deviation over the seeds; NaN if a value is; sd NaN with one seed. */
struct compare_mean {
    double mean, sd;
};
struct compare_mean compare_mean_of(const struct compare *c, uint32_t method,
                                    const struct compare_column *k);
/* Is any of the column's figures defined? Columns that are not are left out. */
bool compare_shown(const struct compare *c, const struct compare_column *k);

enum status compare_text(const struct compare *c, struct buf *out);
enum status compare_csv(const struct compare *c, struct buf *out);
enum status compare_json(const struct compare *c, struct buf *out);
enum status compare_page(const struct compare *c, struct buf *out);

#endif
