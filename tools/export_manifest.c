/* export_manifest.c - manifest.json of an npy export: what the arrays are and how p_ctr follows from
 * them. A reader needs this file and the arrays, nothing else. It holds no time, path or number of
 * servers, so that equal states give equal bytes. */
#include "export.h"

#include <stdio.h>

#include "common/json.h"

static const char *const formula_concat[] = {
    "x[f] = sum over the feature ids i of field f of weight_i * emb_f[i], a vector of dim_f",
    "x = the x[f] side by side: field f takes columns [column, column + dim)",
};
static const char *const formula_sides[] = {
    "x[f] = sum over the feature ids i of field f of weight_i * emb_f[i], a vector of dim_f",
    "x = (sum of x[f] over the user fields) followed by (sum of x[f] over the item fields)",
};
static const char *const formula_rest[] = {
    "for each tower: h = x; for every layer but the last: h = relu(h @ w.T + b)",
    "the last layer gives one logit: a (tower ctr) and b (tower cvr)",
    "p_ctr = 1 / (1 + exp(-a)); p_cvr = 1 / (1 + exp(-b)); p_ctcvr = p_ctr * p_cvr",
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

static void put_formula(struct json *j, const struct scan *scan) {
    json_open(j, "formula", '[');
    if (scan->layout.input == INPUT_SIDES) {
        put_lines(j, formula_sides, COUNT(formula_sides));
    } else {
        put_lines(j, formula_concat, COUNT(formula_concat));
    }
    put_lines(j, formula_rest, COUNT(formula_rest));
    json_close(j);
}

static void put_tower(struct json *j, const struct scan *scan, const char *tower) {
    const struct layout *l = &scan->layout;
    json_open(j, tower, '[');
    for (uint32_t k = 0; k <= l->layers; k++) {
        char path[64];
        json_open(j, NULL, '{');
        snprintf(path, sizeof path, "dense/%s.w%u.npy", tower, k + 1);
        json_str(j, "w", path);
        snprintf(path, sizeof path, "dense/%s.b%u.npy", tower, k + 1);
        json_str(j, "b", path);
        json_u64(j, "in", k == 0 ? l->input_width : l->hidden[k - 1]);
        json_u64(j, "out", k == l->layers ? 1 : l->hidden[k]);
        json_str(j, "activation", k == l->layers ? "none" : "relu");
        json_close(j);
    }
    json_close(j);
}

static void put_field(struct json *j, const struct scan *scan, uint32_t slot, uint64_t rows) {
    const struct field *field = &scan->manifest.schema.fields[slot];
    char name[EXPORT_NAME_BYTES], path[EXPORT_NAME_BYTES + 16];
    export_name(field->name, name);
    json_open(j, NULL, '{');
    json_str(j, "name", field->name);
    json_str(j, "side", field->side == SIDE_USER ? "user" : "item");
    json_u64(j, "dim", scan->layout.dim[slot]);
    json_u64(j, "column", scan->layout.column[slot]);
    json_u64(j, "rows", rows);
    snprintf(path, sizeof path, "%s/ids.npy", name);
    json_str(j, "ids", path);
    snprintf(path, sizeof path, "%s/emb.npy", name);
    json_str(j, "emb", path);
    json_f64(j, "init_scale", (double)config_table(&scan->config, field->name).init_scale);
    json_u64(j, "salt", field->salt);
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
    put_tower(j, scan, "ctr");
    put_tower(j, scan, "cvr");
    json_close(j);
    json_open(j, "absent_ids", '[');
    put_lines(j, absent_rule, COUNT(absent_rule));
    json_close(j);
    json_close(j);
}

enum status export_manifest(const struct scan *scan, const uint64_t *rows, struct buf *out) {
    struct json j;
    json_init(&j, out, true);
    json_open(&j, NULL, '{');
    json_str(&j, "format", "esmm-npy");
    json_u64(&j, "version", 1);
    json_u64(&j, "step", scan->manifest.step);
    json_u64(&j, "impressions", scan->manifest.impressions);
    json_u64(&j, "seed", scan->config.seed);
    put_model(&j, scan, rows);
    json_str(&j, "config", scan->manifest.config_text);
    json_close(&j);
    return j.status;
}
