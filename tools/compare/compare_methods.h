/* compare_methods.h - which methods `esmm compare` trains, and what the paper reports of them.
 *
 * A method is written MODEL or MODEL:VARIANT. The text is its label in everything that is written:
 *
 *     esmm             model.name = esmm
 *     aman:0.1         model.name = aman, model.aman_rate = 0.1
 *     oversampling:5   model.name = oversampling, model.oversampling_factor = 5
 *     unbias:weight    model.name = unbias, model.unbias = weight
 *     ple:2            model.name = ple, model.levels = 2
 */
#pragma once

#include <stddef.h>

#include "common/base/status.h"

#define COMPARE_METHODS_MAX 32 /* with the common CTR net */
#define COMPARE_LABEL_MAX   32 /* bytes, with the NUL */

/* AUC x 100 on Ali-CCP, mean and standard deviation of 10 runs (Ma et al. 2018, Table 2); NaN where
 * the paper has no such row. */
struct compare_paper {
    double cvr, cvr_sd;     /* clicked impressions */
    double ctcvr, ctcvr_sd; /* all impressions, p_ctr of one common CTR net */
};

struct compare_method {
    char label[COMPARE_LABEL_MAX];
    char file[COMPARE_LABEL_MAX]; /* the label as part of a file's name: ':' is '-' */
    const char *model;            /* value of model.name; static */
    char variant[64];             /* "section.key=value", or "" */
    struct compare_paper paper;
};
struct compare_methods {
    struct compare_method method[COMPARE_METHODS_MAX];
    size_t count;
};

/* Parses "base,aman:0.1,esmm". "all" is every row of the paper's table, and share. The first method
 * of the result is always the common CTR net ("ctr"), whether it is in the text or not. ERR_USAGE:
 * an unknown name (the nearest known one is told), one twice, a variant of a model that has none,
 * none at all, too many. The value of a variant is checked where the configuration is. */
enum status compare_methods_parse(struct compare_methods *m, const char *text);
