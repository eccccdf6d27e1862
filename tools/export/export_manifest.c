/* export_manifest.c - writes manifest.json of an npy export. It says what the arrays are and how to
 * compute p_ctr from them. A reader needs only this file and the arrays. It holds no time, path or
 * number of servers, so that equal states give equal bytes. */
#include "export.h"

#include <stdio.h>

#include "common/base/json.h"
#include "export_name.h"
#include "tools/common/field_report.h"
#include "worker/model/loss.h"

static const char *const formula_concat[] = {
    "x[f] = sum over the feature ids i of field f of weight_i * emb_f[i], a vector of dim_f",
    "x = the x[f] side by side: field f takes columns [column, column + dim)",
};
static const char *const formula_sides[] = {
    "x[f] = sum over the feature ids i of field f of weight_i * emb_f[i], a vector of dim_f",
    "x = (sum of x[f] over the user fields) followed by (sum of x[f] over the item fields)",
};
static const char *const formula_experts[] = {
    "with experts: out[j] = relu(x @ w.T + b) of expert j; for each tower g = softmax(x @ w.T + b) of its "
    "gate, h = sum over k of g[k] * out[experts[k]], in place of x below",
};
static const char *const formula_levels[] = {
    "with levels: the gate 'shared' gives an h like the towers'; then for each of levels in order the same with "
    "its experts and gates, an expert having in place of x the h of the level before that it `reads`, and a "
    "gate the one of its own name; the h of the last level is in place of x below",
};
static const char *const formula_attention[] = {
    "with attention: q1, q2 = h of ctr and of ctcvr before their last layers, L their width; "
    "u[0] = q2, u[1] = relu(q1 @ g.w.T + g.b); s[i] = sum of (u[i] @ k.w.T) * (u[i] @ q.w.T) / sqrt(L); "
    "a = softmax(s); the last layer of ctcvr has a[0] * (u[0] @ v.w.T) + a[1] * (u[1] @ v.w.T) in place "
    "of q2",
};
static const char *const formula_rest[] = {
    "for each tower: h = x; for every layer but the last: h = relu(h @ w.T + b)",
    "the last layer gives one logit; p_NAME of tower NAME = 1 / (1 + exp(-logit))",
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const absent_rule[] = {
    "an id that is not in ids.npy has its initial value; all arithmetic on u64 wraps",
    "mix(x): x += 0x9e3779b97f4a7c15; x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9; "
    "x = (x ^ (x >> 27)) * 0x94d049bb133111eb; return x ^ (x >> 31)",
    "stream = mix(mix(seed) ^ mix(id ^ salt)), with the field's salt",
    "for pair k: word = mix(stream ^ k); u = ((word >> 40) + 0.5) / 2^24; "
    "v = (word mod 2^24) / 2^24",
    "emb[2k] = init_scale * sqrt(-2 ln u) * cos(2 pi v); "
    "emb[2k+1] = init_scale * sqrt(-2 ln u) * sin(2 pi v)",
    "the program computes this in f32 with polynomials: within 2e-6 * init_scale of the formula",
};

static void put_lines(struct json *j, const char *const *lines, size_t count) {
    for (size_t i = 0; i < count; i++) {
        json_str(j, NULL, lines[i]);
    }
}

static const char *const formula_thinned[] = {
    "the training log kept a share of its unclicked impressions (sample_rate), and was trained as it "
    "is: add log(sample_rate) to the logit of p_ctr; p_cvr stays, p_ctcvr = p_ctr * p_cvr",
};

/* Returns the formula that makes the two probabilities from the towers' outputs. */
static const char *formula_of(enum model_name model) {
    switch (model) {
    case MODEL_CTR: return "p_ctr is all that the model predicts";
    case MODEL_COUNT: return "a row is how often its feature occurred; nothing is predicted";
    case MODEL_BASE:
    case MODEL_AMAN:
    case MODEL_OVERSAMPLING: return "p_cvr is all that the model predicts";
    case MODEL_DIVISION:
    case MODEL_AITM: return "p_cvr = p_ctcvr / p_ctr";
    case MODEL_ESM2: return "p_cvr = p_act * p_buy + (1 - p_act) * p_skip; p_ctcvr = p_ctr * p_cvr";
    case MODEL_CHAIN: return "p_cvr = the product of all towers but ctr; p_ctcvr = p_ctr * p_cvr";
    default: return "p_ctcvr = p_ctr * p_cvr";
    }
}

static void put_formula(struct json *j, const struct scan *scan) {
    json_open(j, "formula", '[');
    if (scan->layout.input == INPUT_SIDES) {
        put_lines(j, formula_sides, COUNT(formula_sides));
    } else {
        put_lines(j, formula_concat, COUNT(formula_concat));
    }
    put_lines(j, formula_experts, scan->layout.experts > 0 ? COUNT(formula_experts) : 0);
    put_lines(j, formula_levels, scan->layout.levels > 1 ? COUNT(formula_levels) : 0);
    put_lines(j, formula_rest, COUNT(formula_rest));
    put_lines(j, formula_attention, scan->layout.attention ? COUNT(formula_attention) : 0);
    json_str(j, NULL, formula_of(scan->config.model));
    put_lines(j, formula_thinned,
              loss_shift_of(&scan->config, scan->manifest.sample_rate) != 0.0f
                  ? COUNT(formula_thinned)
                  : 0);
    json_close(j);
}

static void put_path(struct json *j, const char *key, const char *folder, const char *array) {
    char path[EXPORT_NAME_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s.npy", folder, array);
    json_str(j, key, path);
}

static void put_layer(struct json *j, const struct layout_array *w, const struct layout_array *b,
                      const char *activation) {
    put_path(j, "w", "dense", w->name);
    put_path(j, "b", "dense", b->name);
    json_u64(j, "in", w->cols);
    json_u64(j, "out", w->rows);
    json_str(j, "activation", activation);
}

static void put_tower(struct json *j, const struct layout *l, uint32_t tower) {
    json_open(j, l->tower[tower], '[');
    for (uint32_t k = l->experts > 0 ? 1 : 0; k <= l->layers; k++) {
        json_open(j, NULL, '{');
        put_layer(j, layout_weight(l, k, tower), layout_bias(l, k, tower),
                  k == l->layers ? "none" : "relu");
        json_close(j);
    }
    json_close(j);
}

static void put_block(struct json *j, const struct layout *l, uint32_t level, uint32_t block,
                      const char *activation) {
    put_layer(j, layout_block(l, level, block), layout_block_bias(l, level, block), activation);
}

static void put_experts(struct json *j, const struct layout *l, uint32_t level) {
    json_open(j, "experts", '[');
    for (uint32_t k = 0; k < l->experts; k++) {
        json_open(j, NULL, '{');
        put_block(j, l, level, k, "relu");
        if (level > 0) {
            json_str(j, "reads", layout_strand(l, k / l->own));
        }
        json_close(j);
    }
    json_close(j);
    json_open(j, "gates", '{');
    for (uint32_t s = 0; s < layout_gates(l, level); s++) {
        json_open(j, layout_strand(l, s), '{');
        put_block(j, l, level, l->experts + s, "softmax");
        json_open(j, "experts", '[');
        for (uint32_t k = 0; k < layout_choices(l, s); k++) {
            json_u64(j, NULL, layout_expert(l, s, k));
        }
        json_close(j);
        json_close(j);
    }
    json_close(j);
}

/* Writes the levels above the first one. */
static void put_levels(struct json *j, const struct layout *l) {
    json_open(j, "levels", '[');
    for (uint32_t level = 1; level < l->levels; level++) {
        json_open(j, NULL, '{');
        put_experts(j, l, level);
        json_close(j);
    }
    json_close(j);
}

static void put_attention(struct json *j, const struct layout *l) {
    json_open(j, "attention", '{');
    for (uint32_t part = 0; part < LAYOUT_PARTS; part++) {
        const char *name = layout_attention(l, (enum layout_part)part)->name;
        put_path(j, name, "dense", name);
    }
    json_close(j);
}

static void put_field(struct json *j, const struct scan *scan, uint32_t slot, uint64_t rows) {
    const struct field *field = &scan->manifest.schema.fields[slot];
    char name[EXPORT_NAME_BYTES];
    export_name(field->name, name);
    json_open(j, NULL, '{');
    json_str(j, "name", field->name);
    json_str(j, "side", side_name(field->side));
    json_u64(j, "dim", scan->layout.dim[slot]);
    json_u64(j, "column", scan->layout.column[slot]);
    json_u64(j, "rows", rows);
    put_path(j, "ids", name, "ids");
    put_path(j, "emb", name, "emb");
    json_f64(j, "init_scale", (double)config_table(&scan->config, field->name).init_scale);
    json_u64(j, "salt", field->salt);
    json_open(j, "texts", '{');
    field_report_json(field_schemas_find(&scan->manifest.fields, field->name), j);
    json_close(j);
    json_close(j);
}

static void put_model(struct json *j, const struct scan *scan, const uint64_t *rows) {
    const struct layout *l = &scan->layout;
    json_open(j, "model", '{');
    json_str(j, "input", l->input == INPUT_SIDES ? "sides" : "concat");
    json_u64(j, "input_width", l->input_width);
    json_open(j, "hidden", '[');
    for (uint32_t k = 0; k < l->layers; k++) {
        json_u64(j, NULL, l->hidden[k]);
    }
    json_close(j);
    put_formula(j, scan);
    json_open(j, "fields", '[');
    for (uint32_t f = 0; f < l->fields; f++) {
        put_field(j, scan, f, rows[f]);
    }
    json_close(j);
    json_open(j, "towers", '{');
    for (uint32_t t = 0; t < l->towers; t++) {
        put_tower(j, l, t);
    }
    json_close(j);
    if (l->experts > 0) {
        put_experts(j, l, 0);
    }
    if (l->levels > 1) {
        put_levels(j, l);
    }
    if (l->attention) {
        put_attention(j, l);
    }
    json_open(j, "absent_ids", '[');
    put_lines(j, absent_rule, COUNT(absent_rule));
    json_close(j);
    json_close(j);
}

enum status export_manifest(const struct scan *scan, const uint64_t *rows, struct buf *out) {
    struct json j;
    json_begin(&j, out, true);
    json_str(&j, "format", "esmm-npy");
    json_u64(&j, "version", 1);
    json_u64(&j, "step", scan->manifest.step);
    json_u64(&j, "impressions", scan->manifest.impressions);
    json_u64(&j, "seed", scan->config.seed);
    if (scan->manifest.sample_rate < 1) {
        json_f64(&j, "sample_rate", scan->manifest.sample_rate);
    }
    put_model(&j, scan, rows);
    json_str(&j, "config", scan->manifest.config_text);
    return json_end(&j);
}
