/* compare_methods.c - the table of methods. Source of the figures: Ma et al. 2018, arXiv
 * 1804.07931, Table 2, "public dataset". For AMAN and OVERSAMPLING the table gives only the best of
 * the searched rates and factors, so every variant of them is compared with that one row. */
#include "compare_methods.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/nearest.h"

struct known {
    const char *name;
    const char *variant_key; /* NULL: no variants */
    struct compare_paper paper;
};
#define NO_PAPER                                                                                   \
    { NAN, NAN, NAN, NAN }
static const struct known known[] = {
    {"ctr", NULL, NO_PAPER},
    {"base", NULL, {66.00, 0.37, 62.07, 0.45}},
    {"aman", "model.aman_rate", {65.21, 0.59, 63.53, 0.57}},
    {"oversampling", "model.oversampling_factor", {67.18, 0.32, 63.05, 0.48}},
    {"unbias", "model.unbias", {66.65, 0.28, 63.56, 0.70}},
    {"division", NULL, {67.56, 0.48, 63.62, 0.09}},
    {"esmm-ns", NULL, {68.25, 0.44, 64.44, 0.62}},
    {"esmm", NULL, {68.56, 0.37, 65.32, 0.49}},
    {"share", NULL, NO_PAPER},
    /* not in "all" */
    {"escm2-ips", NULL, NO_PAPER},
    {"escm2-dr", NULL, NO_PAPER},
    {"dcmt", NULL, NO_PAPER},
    {"mmoe", NULL, NO_PAPER},
    {"ple", "model.levels", NO_PAPER},
    {"esm2", NULL, NO_PAPER},
    {"chain", NULL, NO_PAPER},
    {"aitm", NULL, NO_PAPER},
};
#define ALL   9 /* the first ALL rows are "all" */
#define KNOWN (sizeof known / sizeof known[0])

static enum status compare_method_find(const char *name, const struct known **out) {
    struct nearest nearest = nearest_of(name);
    for (size_t i = 0; i < KNOWN; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *out = &known[i];
            return OK;
        }
        nearest_try(&nearest, known[i].name);
    }
    return fail(ERR_USAGE, "--methods: unknown method '%s'; did you mean '%s'?", name,
                nearest.name);
}

static enum status add(struct compare_methods *m, const char *label) {
    char name[COMPARE_LABEL_MAX];
    const struct known *k = NULL;
    if (m->count == COMPARE_METHODS_MAX) {
        return fail(ERR_USAGE, "--methods: more than %d methods", COMPARE_METHODS_MAX - 1);
    }
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(label, m->method[i].label) == 0) {
            return i == 0 ? OK : fail(ERR_USAGE, "--methods: '%s' is there twice", label);
        }
    }
    struct compare_method *out = &m->method[m->count];
    *out = (struct compare_method){.variant = ""};
    snprintf(out->label, sizeof out->label, "%s", label);
    snprintf(out->file, sizeof out->file, "%s", label);
    snprintf(name, sizeof name, "%s", label);
    char *value = strchr(name, ':');
    if (value != NULL) {
        *value++ = '\0';
        out->file[value - name - 1] = '-';
    }
    TRY(compare_method_find(name, &k));
    if (value != NULL) {
        if (k->variant_key == NULL) {
            return fail(ERR_USAGE, "--methods: '%s' has no variants, so there is no '%s'", name,
                        label);
        }
        if (value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.")] != '\0' ||
            value[0] == '\0') {
            return fail(ERR_USAGE, "--methods: '%s': a variant is a word or a number", label);
        }
        snprintf(out->variant, sizeof out->variant, "%s=%s", k->variant_key, value);
    }
    out->model = k->name;
    out->paper = k->paper;
    m->count++;
    return OK;
}

static enum status compare_methods_add(struct compare_methods *m) {
    for (size_t i = 1; i < ALL; i++) {
        TRY(add(m, known[i].name));
    }
    return OK;
}

enum status compare_methods_parse(struct compare_methods *m, const char *text) {
    m->count = 0;
    TRY(add(m, "ctr"));
    if (strcmp(text, "all") == 0) {
        return compare_methods_add(m);
    }
    for (const char *at = text; at != NULL;) {
        char label[COMPARE_LABEL_MAX];
        const size_t n = strcspn(at, ",");
        if (n == 0 || n >= sizeof label) {
            return fail(ERR_USAGE, "--methods: '%.*s' is no name of a method", (int)n, at);
        }
        snprintf(label, sizeof label, "%.*s", (int)n, at);
        TRY(add(m, label));
        at = at[n] == ',' ? at + n + 1 : NULL;
    }
    return OK;
}
