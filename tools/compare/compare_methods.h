/* compare_methods.h - which methods `esmm compare` trains, and what the paper reports of them.
 *
 * A method is written as MODEL or MODEL:VARIANT. This text is its label in all output:
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

#define COMPARE_METHODS_MAX 32 /* including the common CTR net */
#define COMPARE_LABEL_MAX   32 /* bytes, with the NUL */

/* AUC x 100 on Ali-CCP, mean and standard deviation of 10 runs (Ma et al. 2018, Table 2); NaN if
 * the paper has no such row. */
struct compare_paper {
    double cvr, cvr_sd;     /* over clicked impressions */
    double ctcvr, ctcvr_sd; /* over all impressions; p_ctr is from one common CTR net */
};

struct compare_method {
    char label[COMPARE_LABEL_MAX];
    char file[COMPARE_LABEL_MAX]; /* the label for use in file names: ':' becomes '-' */
    const char *model;            /* value of model.name; static */
    char variant[64];             /* "section.key=value", or "" */
    struct compare_paper paper;
};
struct compare_methods {
    struct compare_method method[COMPARE_METHODS_MAX];
    size_t count;
};

/* Parses "base,aman:0.1,esmm". "all" means every row of the paper's table, and share. The first
 * method of the result is always the common CTR net ("ctr"), whether or not the text names it.
 * ERR_USAGE: a name is unknown (the message gives the nearest known one) or occurs twice, a model
 * with a variant has no variants, there is no method, or there are too many. The value of a variant
 * is checked later, with the configuration. */
enum status compare_methods_parse(struct compare_methods *m, const char *text);
