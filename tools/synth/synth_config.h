/* synth_config.h - the configuration of a synthetic log, and the summary of the result.
 *
 * The world (users, items, what drives clicks and conversions) depends only on the configuration
 * and the seed, not on the number of impressions. docs/synth.md has the model and its sources.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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
    double confounding; /* rho: correlation of the hidden tastes for clicking and converting */
    double shared;      /* r: correlation of what drives clicks and conversions */
    double sc, sv, mc, mv, mx; /* strengths, see docs/synth.md */
    double power, price;       /* how well these fields show the drive to convert */
    double anomalies;          /* share of impressions with a conversion and no click */
    enum synth_shape shape;
    double days;                    /* the log's length in time; 0: no times */
    double drift;                   /* radians a day: see synth_world.c; 0: none; needs days */
    double attribution, delay_mean; /* days; see synth_times.h */
    double delay_fast, delay_spread;
    uint64_t features; /* SHAPE_ALICCP: total number of feature ids */
    uint32_t threads;  /* do not influence what is written */
};

struct synth_summary {
    uint64_t impressions, clicks, conversions, sessions, anomalies;
    uint64_t common_entries, item_entries;
    uint64_t after_day; /* with times: conversions more than a day after their click */
    uint64_t bytes;     /* of the log and of the truth file */
    double sum_p_ctr;   /* over all impressions */
    double sum_p_cvr;   /* p(conversion | click) over all impressions */
    double sum_p_cvr_do;
    double sum_p_ctcvr; /* p(click) p(conversion | click) over all impressions */
    double sum_clicked; /* p(conversion | click) over the clicked impressions */
};
