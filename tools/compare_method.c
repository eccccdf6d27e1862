/* compare_method.c - labels of methods, their settings, and what the paper says of them. */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/method.h"

/* Which key the value after the colon is for. */
static const char *variant_key(const char *name) {
    static const char *const keys[][2] = {{"aman", "model.aman_rate"},
                                          {"oversampling", "model.oversampling_factor"},
                                          {"unbias", "model.unbias"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i][0], name) == 0) {
            return keys[i][1];
        }
    }
    return NULL;
}

static enum status check(const char *label, const char *setting) {
    struct config c;
    config_default(&c);
    if (config_set(&c, setting) == OK) {
        return OK;
    }
    char why[512];
    snprintf(why, sizeof why, "%s", fail_text());
    return fail(ERR_USAGE, "method '%.60s': %s", label, why);
}

enum status compare_method_parse(struct compare_method *m, const char *label) {
    char setting[160];
    *m = (struct compare_method){0};
    const char *colon = strchr(label, ':');
    const size_t n = colon == NULL ? strlen(label) : (size_t)(colon - label);
    if (strlen(label) >= sizeof m->label || n >= sizeof m->name ||
        strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789.-_:") != strlen(label)) {
        return fail(ERR_USAGE, "'%.60s' is no method", label);
    }
    memcpy(m->label, label, strlen(label) + 1);
    memcpy(m->name, label, n);
    snprintf(setting, sizeof setting, "model.name=%s", m->name);
    TRY(check(label, setting));
    if (colon == NULL) {
        return OK;
    }
    const char *key = variant_key(m->name);
    if (key == NULL) {
        return fail(ERR_USAGE, "method '%s': %s has no value after a colon", label, m->name);
    }
    snprintf(m->variant, sizeof m->variant, "%s=%s", key, colon + 1);
    return check(label, m->variant);
}

uint32_t compare_batch(const struct config *c, const struct dataset *data, uint32_t batch) {
    const struct sampling sampling = sampling_of(c);
    uint64_t sampled = 0;
    for (uint32_t s = 0; s < data->shard_count; s++) {
        const struct shard_info *info = &data->shards[s];
        sampled += sampling_count(&sampling, info->impressions, info->clicks, info->conversions);
    }
    const double share = data->impressions == 0 ? 1.0 : (double)sampled / (double)data->impressions;
    const double scaled = share < 1.0 ? ceil(batch * share) : batch;
    return scaled < 1.0 ? 1 : (uint32_t)scaled;
}

struct compare_paper compare_paper_of(const char *name) {
    static const struct {
        const char *name;
        struct compare_paper paper;
    } table[] = {
        {"base", {66.00, 0.37, 62.07, 0.45}},         {"aman", {65.21, 0.59, 63.53, 0.57}},
        {"oversampling", {67.18, 0.32, 63.05, 0.48}}, {"unbias", {66.65, 0.28, 63.56, 0.70}},
        {"division", {67.56, 0.48, 63.62, 0.09}},     {"esmm-ns", {68.25, 0.44, 64.44, 0.62}},
        {"esmm", {68.56, 0.37, 65.32, 0.49}},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return table[i].paper;
        }
    }
    return (struct compare_paper){NAN, NAN, NAN, NAN};
}
