/* config_keys.c - the table of keys, and a configuration from assignments.
 *
 * A key is one row here and its field in config.h: defaults, setting, printing, checking, the
 * reference page and the search for the nearest name are loops over the rows. A refused value
 * leaves the configuration unchanged.
 */
#include "config_keys.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/nearest.h"

#define C(member) offsetof(struct config, member)
#define T(member) offsetof(struct table_config, member)
#define SMALL     1e-30                  /* the minimum of values that must be above zero */
#define U64_TOP   18446744073709551616.0 /* (double)UINT64_MAX */
#define BELOW_ONE 0.9999999

#define NAME_BYTES_MAX    100 /* of a name that a message repeats */
#define KEY_BYTES         (2 * NAME_BYTES_MAX + 2)
#define TABLE_VALUE_BYTES 4 /* every member of struct table_config */
_Static_assert(sizeof(enum optimizer_kind) == TABLE_VALUE_BYTES, "enums are as wide as the rest");
_Static_assert(sizeof(struct table_config) / TABLE_VALUE_BYTES <= 64, "a bit each");

#define NUMBER(section, name, kind, at, standard, min, max, help)                                  \
    { section, name, kind, at, standard, min, max, NULL, help }
#define SWITCH(section, name, at, standard, help)                                                  \
    { section, name, KIND_BOOL, at, standard, 0, 0, NULL, help }
#define CHOICE(section, name, at, standard, choices, help)                                         \
    { section, name, KIND_CHOICE, at, standard, 0, 0, choices, help }

const struct config_key config_keys[] = {
    CHOICE("model", "name", C(model), "esmm",
           "esmm|ctr|base|aman|oversampling|unbias|division|esmm-ns|share|"
           "escm2-ips|escm2-dr|dcmt|esm2|chain|mmoe|ple|aitm|count",
           "what is trained (docs/models.md)"),
    CHOICE("model", "input", C(input), "concat", "concat|sides",
           "fields side by side, or summed per side"),
    NUMBER("model", "tower", KIND_WIDTHS, C(tower), "360,200,80", 1, 65536,
           "hidden widths of every tower"),
    NUMBER("model", "ctcvr_weight", KIND_F32, C(ctcvr_weight), "1", 0, 1000,
           "weight of the second loss: CTCVR, or CVR where the model has that"),
    NUMBER("model", "aman_rate", KIND_F32, C(aman_rate), "0.1", 0, 1,
           "aman: share of unclicked impressions that count as not converted"),
    NUMBER("model", "oversampling_factor", KIND_U32, C(oversampling_factor), "5", 1, 1000,
           "oversampling: how often a converted impression occurs"),
    CHOICE("model", "unbias", C(unbias), "rejection", "rejection|weight",
           "unbias: a click is accepted with probability min(1, c / p_ctr), or weighs that much"),
    NUMBER("model", "unbias_clip", KIND_F32, C(unbias_clip), "0.05", SMALL, 1, "unbias: c"),
    CHOICE("model", "delay", C(delay), "none", "none|fnw|pu|es-dfm|defer|defuse|dfm",
           "esmm: what is done about late conversions in a stream of records (docs/stream.md)"),
    NUMBER("model", "cvr_weight", KIND_F32, C(cvr_weight), "0.1", 0, 1000,
           "escm2, dcmt: weight of the CVR term"),
    NUMBER("model", "propensity_min", KIND_F32, C(propensity_min), "0.01", SMALL, 1,
           "escm2, dcmt: a p_ctr or 1 - p_ctr that divides counts as at least that"),
    NUMBER("model", "counterfactual_weight", KIND_F32, C(counterfactual_weight), "0.001", 0, 1000,
           "dcmt: weight of abs(1 - (q + q*)) within the CVR term"),
    NUMBER("model", "behaviours", KIND_U32, C(behaviours), "1", 0, BEHAVIOURS_MAX,
           "chain: how many of the data's behaviours lie between click and conversion"),
    NUMBER("model", "behaviour_weight", KIND_F32, C(behaviour_weight), "1", 0, 1000,
           "esm2, chain: weight of the term of each such behaviour"),
    NUMBER("model", "experts", KIND_U32, C(experts), "4", 1, 8,
           "mmoe: experts in all; ple: of each tower, and as many shared"),
    NUMBER("model", "levels", KIND_U32, C(levels), "1", 1, LEVELS_MAX,
           "ple: levels of experts, one above the other"),
    NUMBER("model", "calibrator_weight", KIND_F32, C(calibrator_weight), "0.6", 0, 1000,
           "aitm: weight of max(p_ctcvr - p_ctr, 0)"),
    NUMBER("model", "dropout", KIND_F32, C(dropout), "0", 0, BELOW_ONE,
           "share of hidden units of every tower that a training step leaves out; 0: none"),
    SWITCH("model", "prior_bias", C(prior_bias), "true",
           "output biases start from the data's log odds"),
    NUMBER("model", "prior_cvr", KIND_F32, C(prior_cvr), "0.5", 0, 1,
           "prior_bias: how far towards its log odds the CVR tower's starts; CTR's starts at them"),

    NUMBER("train", "batch", KIND_U32, C(batch), "2048", 1, 1 << 20,
           "impressions a batch; of the log's, where a model trains on a share of them"),
    NUMBER("train", "epochs", KIND_U32, C(epochs), "1", 1, 1e6, "passes over the data"),
    NUMBER("train", "max_steps", KIND_LIMIT, C(max_steps), "none", 0, 1e15,
           "batches, rounded up where they share bags; none: no limit"),
    NUMBER("train", "seed", KIND_U64, C(seed), "1", 0, U64_TOP, "of initial values and order"),
    SWITCH("train", "shuffle", C(shuffle), "true",
           "order of shards and of groups, anew each epoch"),
    NUMBER("train", "window", KIND_U32, C(window), "1000000", 0, 1e8,
           "shuffle: impressions, drawn from many shards, that are mixed; 0: within a shard only"),
    NUMBER("train", "run", KIND_U32, C(run), "2", 0, 1e6,
           "with a window: impressions of a group in a batch, at most; 0: groups stay whole"),
    CHOICE(
        "train", "share_bags", C(share_bags), "auto", "auto|never|always",
        "with a run: user fields of many values are pulled, pooled and pushed once per group and "
        "block of up to 32 batches; auto: if user sides have over 100 values"),
    SWITCH("train", "deterministic", C(deterministic), "false", "one order of batches and applies"),
    CHOICE("train", "sample_correction", C(sample_correction), "weight", "weight|predict",
           "of a log that kept a share of the unclicked impressions: each counts more, or p_ctr is "
           "corrected"),
    CHOICE(
        "train", "consistency", C(consistency), "async", "async|sync|hybrid",
        "free within staleness_max; a barrier per step; or that for dense, and rows pulled ahead"),
    NUMBER("train", "staleness_max", KIND_U32, C(staleness_max), "64", 0, 1e6,
           "batches a trainer may be ahead of the slowest"),
    NUMBER(
        "train", "in_flight", KIND_U32, C(in_flight), "0", 0, 16,
        "batches a trainer has under way; 0: 2 for a job's only trainer or in a hybrid job, else 1"),
    NUMBER(
        "train", "patience", KIND_U32, C(patience), "0", 0, 1e6,
        "the job ends after so many evaluations without a better checkpoint.keep_best; 0: never"),
    CHOICE("train", "poison", C(poison), "skip", "skip|fail",
           "a batch that has killed its worker three times is set aside, or fails the job; "
           "deterministic jobs fail"),
    NUMBER("train", "warmup_steps", KIND_U32, C(warmup_steps), "0", 0, 1e9,
           "batches over which the learning rate grows to its value"),

    CHOICE("compute", "precision", C(precision), "f32", "f32|bf16",
           "operands of matrix products; bf16 where the CPU has it, else f32"),
    CHOICE(
        "compute", "kernel", C(kernel), "auto", "auto|blas|avx2|avx512|neon|amx",
        "what multiplies: OpenBLAS, or own code for those CPUs; auto: the best own code that the "
        "CPU runs, but not amx, which is untested; one that is missing is an error"),

    NUMBER("table", "dim", KIND_U32, T(dim), "18", 1, 256, "embedding width"),
    NUMBER("table", "init_scale", KIND_F32, T(init_scale), "0.001", 0, 100,
           "standard deviation of initial embeddings"),
    NUMBER("table", "admit_after", KIND_U32, T(admit_after), "1", 1, 1e6,
           "batches that must hold a feature before it gets a row"),
    NUMBER("table", "evict_age", KIND_U32, T(evict_age), "0", 0, 4e9,
           "evict rows not updated for so many batches; 0: never"),
    CHOICE("table", "optimizer", T(opt.kind), "adam",
           "sgd|adam|adagrad|rowwise_adagrad|ftrl|rmsprop|rowwise_rmsprop", "update rule of rows"),
    CHOICE("table", "state", T(state), "f32", "f32|bf16|u8",
           "what the optimizer's vectors are kept as (docs/rows.md); u8 not with ftrl"),
    CHOICE("table", "weights", T(weights), "f32", "f32|bf16", "what a row's weights are kept as"),
    NUMBER("table", "lr", KIND_F32, T(opt.lr), "0.001", SMALL, 1000, "learning rate"),
    NUMBER("table", "beta1", KIND_F32, T(opt.beta1), "0.9", 0, BELOW_ONE,
           "adam: decay of first moment"),
    NUMBER("table", "beta2", KIND_F32, T(opt.beta2), "0.999", 0, BELOW_ONE,
           "adam, rmsprop: decay of second moment"),
    CHOICE("table", "bias_correction", T(opt.correction), "batch", "batch|row",
           "adam, rmsprop: by the count of all batches, or of the row's own updates"),
    NUMBER("table", "eps", KIND_F32, T(opt.eps), "1e-8", SMALL, 1,
           "adam, rmsprop, adagrad: added to the root"),
    NUMBER("table", "adagrad_init", KIND_F32, T(opt.adagrad_init), "0.1", 0, 1000,
           "adagrad: initial accumulator"),
    NUMBER("table", "ftrl_l1", KIND_F32, T(opt.ftrl_l1), "0", 0, 1000, "ftrl: L1 strength"),
    NUMBER("table", "ftrl_l2", KIND_F32, T(opt.ftrl_l2), "0", 0, 1000, "ftrl: L2 strength"),
    NUMBER("table", "ftrl_beta", KIND_F32, T(opt.ftrl_beta), "1", SMALL, 1000, "ftrl: beta"),
    NUMBER("table", "l2", KIND_F32, T(opt.l2), "0", 0, 1000,
           "adds l2 * w to gradients of touched rows"),
    NUMBER("table", "decay", KIND_F32, T(opt.decay), "0", 0, 1000,
           "an update of a row takes lr * decay * w from it besides; not with ftrl"),

    CHOICE("dense", "optimizer", C(dense.kind), "adam", "sgd|adam", "update rule of the towers"),
    NUMBER("dense", "lr", KIND_F32, C(dense.lr), "0.001", SMALL, 1000, "learning rate"),
    NUMBER("dense", "beta1", KIND_F32, C(dense.beta1), "0.9", 0, BELOW_ONE,
           "adam: decay of first moment"),
    NUMBER("dense", "beta2", KIND_F32, C(dense.beta2), "0.999", 0, BELOW_ONE,
           "adam: decay of second moment"),
    NUMBER("dense", "eps", KIND_F32, C(dense.eps), "1e-8", SMALL, 1, "adam: added to the root"),
    NUMBER("dense", "l2", KIND_F32, C(dense.l2), "0", 0, 1000, "adds l2 * w to the gradient"),
    NUMBER("dense", "decay", KIND_F32, C(dense.decay), "0", 0, 1000,
           "an update takes lr * decay * w from each weight besides"),

    NUMBER("server", "threads", KIND_U32, C(server_threads), "1", 1, 64,
           "partition threads a server"),
    NUMBER("server", "memory", KIND_BYTES, C(memory_bytes), "0", 0, 1e15,
           "limit per server; 0: none"),
    CHOICE("server", "memory_policy", C(memory_policy), "refuse", "refuse|evict",
           "at the limit: refuse new rows, or evict old ones"),
    NUMBER("server", "ticket_bytes", KIND_BYTES, C(ticket_bytes), "256M", 1 << 16, 1e15,
           "open tickets, per partition"),
    NUMBER("server", "ticket_ms", KIND_U32, C(ticket_ms), "60000", 1, 1e9, "life of a ticket"),
    NUMBER("server", "copy_bytes", KIND_BYTES, C(copy_bytes), "64M", 1 << 16, 1e15,
           "copies of a running snapshot, per partition"),

    NUMBER("checkpoint", "every_impressions", KIND_U64, C(every_impressions), "0", 0, 1e18,
           "0: off"),
    NUMBER("checkpoint", "every_seconds", KIND_U64, C(every_seconds), "600", 0, 1e9, "0: off"),
    NUMBER("checkpoint", "every_shards", KIND_U32, C(every_shards), "0", 0, 1e6,
           "0: off; cut between shards, exactly"),
    NUMBER("checkpoint", "keep", KIND_U32, C(keep), "3", 1, 10000, "newest checkpoints kept"),
    NUMBER("checkpoint", "keep_hourly", KIND_U32, C(keep_hourly), "0", 0, 10000,
           "and of so many hours that have one the last"),
    NUMBER("checkpoint", "keep_daily", KIND_U32, C(keep_daily), "0", 0, 10000,
           "and of so many days (UTC) that have one the last"),
    CHOICE("checkpoint", "keep_best", C(keep_best), "off", "off|ctcvr|ctr|cvr",
           "a checkpoint with each evaluation, and the best by that AUC is kept"),
    NUMBER("checkpoint", "bytes_per_s", KIND_BYTES, C(bytes_per_s), "0", 0, 1e15,
           "what a server writes of checkpoints, at most; 0: no limit"),
    NUMBER("checkpoint", "full_every", KIND_U32, C(full_every), "1", 1, 64,
           "every so many cuts one is full, the others hold what changed since the one before"),

    NUMBER("recovery", "wait_seconds", KIND_U32, C(recovery_wait_s), "600", 1, 1e9,
           "for servers that are lost to be started again, before the job fails"),
    CHOICE("recovery", "push_log", C(push_log), "off", "off|on",
           "servers log what they apply, so that one that died comes back as it was"),
    NUMBER("recovery", "log_bytes", KIND_BYTES, C(push_log_bytes), "8G", 1 << 20, 1e15,
           "push logs, per server: beyond it a checkpoint is made"),

    CHOICE("wire", "values", C(wire_values), "f32", "f32|bf16", "how rows and gradients travel"),

    NUMBER("net", "request_ms", KIND_U32, C(request_ms), "2000", 10, 1e8,
           "an unanswered request is sent again after"),
    NUMBER("net", "give_up_ms", KIND_U32, C(give_up_ms), "20000", 100, 1e8,
           "a silent peer counts as dead after"),
    NUMBER("net", "heartbeat_ms", KIND_U32, C(heartbeat_ms), "1000", 10, 1e6, "between heartbeats"),
    NUMBER("net", "lease_ms", KIND_U32, C(lease_ms), "10000", 100, 1e8,
           "a silent worker loses its leases after"),
    NUMBER("net", "stall_ms", KIND_U32, C(stall_ms), "300000", 100, 1e8,
           "who or what makes no progress for so long has failed (docs/threads.md)"),
    NUMBER("net", "message_bytes_max", KIND_BYTES32, C(message_bytes_max), "256M", 1 << 16,
           2147483647, "largest message between workers and servers"),

    CHOICE("log", "level", C(log_level), "info", "debug|info|warn|error",
           "what the roles' logs hold: lines of this level and above"),
    NUMBER("log", "bytes", KIND_BYTES, C(log_bytes), "64M", 0, 1e15,
           "a role's log of this size is renamed to NAME.1, and begun anew; 0: never"),

    NUMBER("eval", "every_impressions", KIND_U64, C(eval_every), "0", 0, 1e18,
           "also within an epoch, each time so many more are trained on; 0: at its end only"),
    NUMBER("eval", "user_field", KIND_NAME, C(user_field), "", 0, 0,
           "GAUC groups by this field; empty: by group"),
};
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

/* --- the table -------------------------------------------------------------------------------- */

bool config_key_of_table(const struct config_key *k) {
    return strcmp(k->section, "table") == 0;
}

const struct config_key *config_key_find(const char *section, const char *name) {
    if (strcmp(section, "train") == 0 && strcmp(name, "wire_values") == 0) {
        return config_key_find("wire", "values"); /* its name in the first checkpoints of 0.1.0 */
    }
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (strcmp(k->section, section) == 0 && strcmp(k->name, name) == 0) {
            return k;
        }
    }
    return NULL;
}

const void *config_key_base(const struct config_key *k, const struct config *c) {
    return config_key_of_table(k) ? (const void *)&c->table : (const void *)c;
}

static uint64_t override_bit(const struct config_key *k) {
    return (uint64_t)1 << k->offset / TABLE_VALUE_BYTES;
}

bool config_key_overridden(const struct config_key *k, const struct field_override *f) {
    return config_key_of_table(k) && (f->given & override_bit(k)) != 0;
}

bool config_table_sets(const struct config *c, const char *name, const char *key) {
    const struct config_key *k = config_key_find("table", key);
    for (uint32_t f = 0; f < c->field_count && k != NULL; f++) {
        if (strcmp(c->field[f].name, name) == 0) {
            return config_key_overridden(k, &c->field[f]);
        }
    }
    return false;
}

static void override_copy_value(const struct config_key *k, struct table_config *to,
                                const struct table_config *from) {
    memcpy((char *)to + k->offset, (const char *)from + k->offset, TABLE_VALUE_BYTES);
}

struct table_config config_table(const struct config *c, const char *name) {
    struct table_config t = c->table;
    for (uint32_t f = 0; f < c->field_count; f++) {
        for (size_t i = 0; strcmp(c->field[f].name, name) == 0 && i < config_key_count; i++) {
            if (config_key_overridden(&config_keys[i], &c->field[f])) {
                override_copy_value(&config_keys[i], &t, &c->field[f].table);
            }
        }
    }
    t.dim *= method_of(c->model)->dictionaries;
    return t;
}

void config_default(struct config *c) {
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        enum status status = config_key_parse(k, k->standard, (void *)config_key_base(k, c));
        assert(status == OK);
        (void)status;
    }
    c->dense.correction = CORRECT_ROW; /* every batch updates all of them */
}

/* --- unknown names ---------------------------------------------------------------------------- */

static bool is_override(const char *section) {
    return strncmp(section, "field.", 6) == 0;
}

static void key_name(char out[KEY_BYTES], const char *section, const char *name) {
    snprintf(out, KEY_BYTES, "%.*s.%.*s", NAME_BYTES_MAX, section, NAME_BYTES_MAX, name);
}

static enum status unknown_key(const char *section, const char *name) {
    char asked[KEY_BYTES], known[KEY_BYTES], nearest[KEY_BYTES] = "";
    size_t best = SIZE_MAX;
    key_name(asked, section, name);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (is_override(section) && !config_key_of_table(k)) {
            continue;
        }
        key_name(known, is_override(section) ? section : k->section, k->name);
        const size_t distance = nearest_distance(asked, known);
        if (distance < best) {
            best = distance;
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
                   : fail(ERR_CONFIG, "[%s]: expected a field's name of " SCHEMA_NAME_RULE,
                          section);
    }
    for (size_t i = 0; i < config_key_count; i++) {
        nearest_try(&nearest, config_keys[i].section);
    }
    return nearest.distance == 0 ? OK
                                 : fail(ERR_CONFIG, "unknown section [%s]; the nearest is [%s]",
                                        section, nearest.name);
}

/* --- one assignment --------------------------------------------------------------------------- */

static enum status override_find_or_add(struct config *c, const char *name,
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

static enum status override_set(struct config *c, const char *section, const struct config_key *k,
                                const char *text) {
    struct table_config value = {0};
    struct field_override *f = NULL;
    TRY(config_section_check(section));
    TRY(config_key_parse(k, text, &value));
    TRY(override_find_or_add(c, section + 6, &f));
    override_copy_value(k, &f->table, &value);
    f->given |= override_bit(k);
    return OK;
}

enum status config_set_in(struct config *c, const char *section, const char *name,
                          const char *text) {
    const bool override = is_override(section);
    const struct config_key *k = config_key_find(override ? "table" : section, name);
    if (k == NULL) {
        return unknown_key(section, name);
    }
    return override ? override_set(c, section, k, text)
                    : config_key_parse(k, text, (void *)config_key_base(k, c));
}

/* The section ends at the last dot: a key has no dot, but a field's name may have some. */
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
