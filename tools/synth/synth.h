/* synth.h - `esmm synth`: a raw log in Ali-CCP's format, or a delimited one with times, whose true
 * probabilities are known.
 *
 * The world (users, items, what drives clicks and conversions) follows from the configuration and
 * the seed alone, not from the number of impressions; docs/synth.md has the model and its sources.
 */
#ifndef TOOLS_SYNTH_SYNTH_H
#define TOOLS_SYNTH_SYNTH_H

#include <stdbool.h>
#include <stdint.h>
#include "common/base/status.h"

enum synth_shape {
    SHAPE_PLAIN,  /* about 13 + 8 entries: the reference's fields */
    SHAPE_ALICCP, /* the public log's sizes: 518 + 13 entries, ids of ten million features */
};

struct synth_config {
    uint64_t seed;
    uint64_t impressions, holdout;
    uint32_t users, items;
    double user_skew, item_skew; /* Zipf's exponents */
    double ctr, cvr;             /* wanted: mean p(click), p(conversion | click) of clicks */
    double confounding;          /* rho: of the hidden tastes for clicking and converting */
    double shared;               /* r: of what drives clicks and what drives conversions */
    double sc, sv, mc, mv, mx;   /* strengths, see docs/synth.md */
    double power, price;         /* how well these two fields show the drive to convert */
    double anomalies;            /* share of impressions with a conversion and no click */
    enum synth_shape shape;
    double days;                    /* the log's length in time; 0: no times */
    double drift;                   /* radians a day: see synth_world.c; 0: none; needs days */
    double attribution, delay_mean; /* days; see synth_times.h */
    double delay_fast, delay_spread;
    uint64_t features; /* SHAPE_ALICCP: feature ids in all */
    uint32_t threads;  /* no influence on what is written */
};

struct synth_summary {
    uint64_t impressions, clicks, conversions, sessions, anomalies;
    uint64_t common_entries, item_entries;
    uint64_t after_day; /* conversions more than a day after their click; with times */
    uint64_t bytes;     /* of the log and of the truth file */
    double sum_p_ctr;   /* over all impressions */
    double sum_p_cvr;   /* p(conversion | click) over all */
    double sum_p_cvr_do;
    double sum_p_ctcvr; /* p(click) p(conversion | click) over all */
    double sum_clicked; /* p(conversion | click) over the clicked ones */
};

/* What the command line says, starting from preset e. ERR_USAGE. *help: --help was given and
 * nothing else is checked. *out points into argv. */
enum status synth_parse(struct synth_config *c, int argc, char **argv, const char **out,
                        bool *help);
extern const char synth_help[];

/* Writes out/train and, with a holdout, out/eval: sample_skeleton.csv, common_features.csv,
 * truth.bin each; with times log.csv, log.schema, truth.bin. `out` must not exist; everything is
 * made in out.tmp and appears by one rename; a failure or a stop signal (ERR_CLOSED) leaves
 * nothing. summaries[0] train, [1] eval. Progress goes to standard error if `progress`. Blocks;
 * starts c->threads threads. */
enum status synth_run(const struct synth_config *c, const char *out, bool progress,
                      struct synth_summary summaries[2]);

#endif
