/* config.c - a configuration from assignments, and back to text. (From a file: config_ini.c.)
 *
 * The keys live in one table (config_keys.c); setting, printing, checking, the reference page and
 * the search for the nearest name are loops over it.
 *
 * A value that is refused leaves the configuration as it was.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>

#include "config_keys.h"
#include "common/base/mem.h"
#include "common/base/nearest.h"

#define NAME_BYTES_MAX    100 /* of what a message repeats */
#define KEY_BYTES         (2 * NAME_BYTES_MAX + 2)
#define TABLE_VALUE_BYTES 4 /* every member of struct table_config that a key names */

_Static_assert(sizeof(enum optimizer_kind) == TABLE_VALUE_BYTES, "enums are as wide as the rest");

void config_default(struct config *c) {
    struct optimizer_config adam = {.kind = OPT_ADAM,
                                    .lr = 1e-3f,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.999f,
                                    .eps = 1e-8f,
                                    .adagrad_init = 0.1f,
                                    .ftrl_beta = 1.0f};
    struct optimizer_config dense = adam;
    dense.correction = CORRECT_ROW; /* every batch updates all of them */
    *c = (struct config){
        .input = INPUT_CONCAT,
        .tower = {360, 200, 80},
        .tower_layers = 3,
        .ctcvr_weight = 1,
        .aman_rate = 0.1f,
        .oversampling_factor = 5,
        .unbias = UNBIAS_REJECTION,
        .unbias_clip = 0.05f,
        .cvr_weight = 0.1f,
        .propensity_min = 0.01f,
        .counterfactual_weight = 0.001f,
        .behaviours = 1,
        .behaviour_weight = 1,
        .experts = 4,
        .levels = 1,
        .calibrator_weight = 0.6f,
        .dropout = 0,
        .prior_bias = true,
        .prior_cvr = 0.5f,
        .batch = 2048,
        .epochs = 1,
        .max_steps = UINT64_MAX,
        .seed = 1,
        .shuffle = true,
        .deterministic = false,
        .consistency = CONSISTENCY_ASYNC,
        .staleness_max = 64,
        .in_flight = 0,
        .warmup_steps = 0,
        .wire_values = VALUE_F32,
        .precision = PRECISION_F32,
        .kernel = KERNEL_AUTO,
        .table = {.dim = 18, .init_scale = 0.001f, .admit_after = 1, .evict_age = 0, .opt = adam},
        .dense = dense,
        .server_threads = 1,
        .memory_bytes = 0,
        .memory_policy = MEMORY_REFUSE,
        .ticket_bytes = 256u << 20,
        .ticket_ms = 60000,
        .copy_bytes = 64u << 20,
        .every_impressions = 0,
        .every_seconds = 0,
        .every_shards = 0,
        .keep = 3,
        .request_ms = 2000,
        .give_up_ms = 20000,
        .stall_ms = 300000,
        .log_level = LOG_INFO,
        .heartbeat_ms = 1000,
        .lease_ms = 10000,
        .message_bytes_max = 256u << 20,
    };
}

/* --- unknown names ---------------------------------------------------------------------------- */

static bool is_override(const char *section) {
    return strncmp(section, "field.", 6) == 0;
}

static enum status unknown_key(const char *section, const char *name) {
    char asked[KEY_BYTES];
    char known[KEY_BYTES];
    char nearest[KEY_BYTES] = "";
    size_t best = SIZE_MAX;
    snprintf(asked, sizeof asked, "%.*s.%.*s", NAME_BYTES_MAX, section, NAME_BYTES_MAX, name);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (is_override(section) && !config_key_of_table(k)) {
            continue;
        }
        snprintf(known, sizeof known, "%.*s.%s", NAME_BYTES_MAX,
                 is_override(section) ? section : k->section, k->name);
        const size_t d = nearest_distance(asked, known);
        if (d < best) {
            best = d;
            memcpy(nearest, known, sizeof nearest);
        }
    }
    return fail(ERR_CONFIG, "unknown key %s; the nearest is %s", asked, nearest);
}

enum status config_section_check(const char *section) {
    struct nearest nearest = nearest_of(section);
    if (is_override(section)) {
        return schema_name_good(section + 6)
                   ? OK
                   : fail(ERR_CONFIG,
                          "[%s]: expected a field's name of 1 to %d printable ASCII characters "
                          "without '=', '[', ']' and without blanks at the ends",
                          section, FIELD_NAME_MAX - 1);
    }
    for (size_t i = 0; i < config_key_count; i++) {
        nearest_try(&nearest, config_keys[i].section);
    }
    return nearest.distance == 0 ? OK
                                 : fail(ERR_CONFIG, "unknown section [%s]; the nearest is [%s]",
                                        section, nearest.name);
}

/* --- one assignment --------------------------------------------------------------------------- */

static enum status find_or_add_override(struct config *c, const char *name,
                                        struct field_override **out) {
    for (uint32_t i = 0; i < c->field_count; i++) {
        if (strcmp(c->field[i].name, name) == 0) {
            *out = &c->field[i];
            return OK;
        }
    }
    if (c->field_count == FIELDS_MAX) {
        return fail(ERR_CONFIG, "[field.%s] is one too many, expected at most %d such sections",
                    name, FIELDS_MAX);
    }
    *out = &c->field[c->field_count++];
    **out = (struct field_override){0};
    memcpy((*out)->name, name, strlen(name));
    return OK;
}

static void copy_table_value(const struct config_key *k, struct table_config *to,
                             const struct table_config *from) {
    memcpy((char *)to + k->offset, (const char *)from + k->offset, TABLE_VALUE_BYTES);
}

static enum status set_override(struct config *c, const char *section, size_t key,
                                const char *text) {
    struct table_config value = {0};
    struct field_override *f = NULL;
    TRY(config_section_check(section));
    TRY(config_key_parse(&config_keys[key], text, &value));
    TRY(find_or_add_override(c, section + 6, &f));
    assert(config_key_bit(key) < sizeof f->set);
    copy_table_value(&config_keys[key], &f->table, &value);
    f->set[config_key_bit(key)] = true;
    return OK;
}

enum status config_set_in(struct config *c, const char *section, const char *name,
                          const char *text) {
    size_t key = config_key_find(is_override(section) ? "table" : section, name);
    if (key == config_key_count) {
        return unknown_key(section, name);
    }
    if (is_override(section)) {
        return set_override(c, section, key, text);
    }
    const struct config_key *k = &config_keys[key];
    return config_key_parse(k, text, config_key_of_table(k) ? (void *)&c->table : (void *)c);
}

/* A key has no dot and a field's name may have some: the section ends at the last dot. */
enum status config_set(struct config *c, const char *assignment) {
    char left[CONFIG_SECTION_BYTES + NAME_BYTES_MAX];
    size_t n = strcspn(assignment, "=");
    bool good = assignment[n] == '=' && n < sizeof left;
    if (good) {
        memcpy(left, assignment, n);
        left[n] = '\0';
        good = strchr(left, '.') != NULL;
    }
    if (!good) {
        return fail(ERR_CONFIG, "'%.200s' is not of the form section.key=value", assignment);
    }
    char *dot = strrchr(left, '.');
    *dot = '\0';
    return config_set_in(c, left, dot + 1, assignment + n + 1);
}

/* --- questions -------------------------------------------------------------------------------- */

/* What the keys' own rules say, for a struct that was filled in otherwise: print and read back. */
static enum status check_ranges(const struct config *c) {
    struct config *copy = NULL;
    struct buf text = BUF_EMPTY;
    enum status status;
    TRY_OUT(mem_new(&copy));
    TRY_OUT(config_text(c, &text));
    TRY_OUT(config_parse(copy, "the configuration", (const char *)text.data));
out:
    buf_fini(&text);
    mem_free(&copy);
    return status;
}

/* A row holds one vector per dictionary. */
static enum status check_dims(const struct config *c) {
    const uint32_t dictionaries = method_of(c->model)->dictionaries;
    uint32_t widest = c->table.dim;
    for (uint32_t f = 0; f < c->field_count; f++) {
        const uint32_t row = config_table(c, c->field[f].name).dim / dictionaries;
        widest = row > widest ? row : widest;
    }
    if (widest * dictionaries > DIM_MAX) {
        return fail(ERR_CONFIG,
                    "a dim of %u, but this model keeps %u vectors a feature: expected at "
                    "most %u",
                    widest, dictionaries, DIM_MAX / dictionaries);
    }
    return OK;
}

/* FTRL computes a weight from z and n anew: what decay took from it would come back. */
static enum status check_decay(const struct config *c) {
    for (uint32_t f = 0; f <= c->field_count; f++) {
        const bool all = f == c->field_count;
        const struct table_config t = all ? c->table : config_table(c, c->field[f].name);
        if (t.opt.kind == OPT_FTRL && t.opt.decay > 0.0f) {
            return fail(ERR_CONFIG,
                        "%s%s: optimizer = ftrl excludes decay (%.9g); expected decay = 0 and "
                        "ftrl_l2, which is its own",
                        all ? "table" : "field.", all ? "" : c->field[f].name, (double)t.opt.decay);
        }
    }
    return OK;
}

enum status config_check(const struct config *c) {
    TRY(check_ranges(c));
    if (c->give_up_ms <= c->request_ms) {
        return fail(ERR_CONFIG, "net.give_up_ms (%u) must be larger than net.request_ms (%u)",
                    c->give_up_ms, c->request_ms);
    }
    if (c->stall_ms <= c->give_up_ms || c->stall_ms <= c->lease_ms) {
        return fail(ERR_CONFIG,
                    "net.stall_ms (%u) must be larger than net.give_up_ms (%u) and "
                    "net.lease_ms (%u)",
                    c->stall_ms, c->give_up_ms, c->lease_ms);
    }
    if (c->lease_ms < 2 * (uint64_t)c->heartbeat_ms) {
        return fail(ERR_CONFIG, "net.lease_ms (%u) must be at least twice net.heartbeat_ms (%u)",
                    c->lease_ms, c->heartbeat_ms);
    }
    TRY(check_dims(c));
    TRY(check_decay(c));
    if (c->delay != DELAY_NONE && c->model != MODEL_ESMM) {
        return fail(ERR_CONFIG, "model.delay is a choice of model.name = esmm alone; expected "
                                "model.delay = none with any other model");
    }
    if (c->levels != 1 && c->model != MODEL_PLE) {
        return fail(ERR_CONFIG,
                    "model.levels (%u) is a choice of model.name = ple alone; expected "
                    "model.levels = 1 with any other model",
                    c->levels);
    }
    if (c->deterministic && c->memory_bytes > 0 && c->memory_policy == MEMORY_EVICT) {
        return fail(ERR_CONFIG, "train.deterministic and server.memory_policy=evict exclude each "
                                "other: what is evicted depends on the number of servers");
    }
    return OK;
}

struct table_config config_table(const struct config *c, const char *name) {
    struct table_config t = c->table;
    for (uint32_t f = 0; f < c->field_count; f++) {
        if (strcmp(c->field[f].name, name) != 0) {
            continue;
        }
        for (size_t i = 0; i < config_key_count; i++) {
            if (config_key_of_table(&config_keys[i]) && c->field[f].set[config_key_bit(i)]) {
                copy_table_value(&config_keys[i], &t, &c->field[f].table);
            }
        }
    }
    t.dim *= method_of(c->model)->dictionaries;
    return t;
}

/* --- text ------------------------------------------------------------------------------------- */

static enum status print_line(const struct config_key *k, const void *base, struct buf *out) {
    TRY(buf_printf(out, "%s = ", k->name));
    TRY(config_key_print(k, base, out));
    return buf_printf(out, "\n");
}

static const void *base_of(const struct config_key *k, const struct config *c) {
    return config_key_of_table(k) ? (const void *)&c->table : (const void *)c;
}

static enum status print_override(const struct field_override *f, struct buf *out) {
    TRY(buf_printf(out, "\n[field.%s]\n", f->name));
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_key_of_table(&config_keys[i]) && f->set[config_key_bit(i)]) {
            TRY(print_line(&config_keys[i], &f->table, out));
        }
    }
    return OK;
}

enum status config_text(const struct config *c, struct buf *out) {
    const char *section = "";
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (strcmp(section, k->section) != 0) {
            section = k->section;
            TRY(buf_printf(out, "%s[%s]\n", i > 0 ? "\n" : "", section));
        }
        TRY(print_line(k, base_of(k, c), out));
    }
    for (uint32_t f = 0; f < c->field_count; f++) {
        TRY(print_override(&c->field[f], out));
    }
    return OK;
}

/* was, now: the structs that the key is a member of. */
static enum status same_value(const struct config_key *k, const char *section, const void *was,
                              const void *now) {
    struct buf a = {0}, b = {0};
    enum status status = OK;
    TRY_OUT(config_key_print(k, was, &a));
    TRY_OUT(config_key_print(k, now, &b));
    if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) {
        status = fail(ERR_CONFIG, "%s.%s was %.*s and is %.*s now", section, k->name, (int)a.len,
                      (const char *)a.data, (int)b.len, (const char *)b.data);
    }
out:
    buf_fini(&a);
    buf_fini(&b);
    return status;
}

enum status config_same(const struct config *was, const struct config *now,
                        const char *const *keys) {
    for (; *keys != NULL; keys++) {
        char section[KEY_BYTES];
        const size_t n = strcspn(*keys, ".");
        snprintf(section, sizeof section, "%.*s", (int)n, *keys);
        const size_t k = config_key_find(section, *keys + n + 1);
        assert(k < config_key_count && !config_key_of_table(&config_keys[k]));
        TRY(same_value(&config_keys[k], section, was, now));
    }
    return OK;
}

enum status config_same_table(const struct config *was, const struct config *now, const char *field,
                              const char *const *names) {
    const struct table_config a = config_table(was, field), b = config_table(now, field);
    char section[CONFIG_SECTION_BYTES];
    snprintf(section, sizeof section, "field.%s", field);
    for (; *names != NULL; names++) {
        const size_t k = config_key_find("table", *names);
        assert(k < config_key_count && config_key_of_table(&config_keys[k]));
        TRY(same_value(&config_keys[k], section, &a, &b));
    }
    return OK;
}

static enum status print_range(const struct config_key *k, struct buf *out) {
    switch (k->kind) {
    case KIND_BOOL: return buf_printf(out, "`true` `false`");
    case KIND_NAME: return buf_printf(out, "a field");
    case KIND_CHOICE:
        for (const char *at = k->choices; *at != '\0'; at += strcspn(at, "|"), at += *at == '|') {
            TRY(buf_printf(out, "%s`%.*s`", at == k->choices ? "" : " ", (int)strcspn(at, "|"),
                           at));
        }
        return OK;
    case KIND_U32:
    case KIND_U64:
    case KIND_LIMIT:
    case KIND_BYTES:
    case KIND_BYTES32:
    case KIND_F32:
    case KIND_WIDTHS: return buf_printf(out, "%.9g to %.9g", k->min, k->max);
    }
    return OK;
}

enum status config_reference(struct buf *out) {
    struct config c;
    config_default(&c);
    TRY(buf_printf(out, "| key | default | range | meaning |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        TRY(buf_printf(out, "| `%s.%s` | ", k->section, k->name));
        TRY(config_key_print(k, base_of(k, &c), out));
        TRY(buf_printf(out, " | "));
        TRY(print_range(k, out));
        TRY(buf_printf(out, " | %s |\n", k->help));
    }
    return OK;
}
