#include "config_keys.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/number.h"

#define C(member) offsetof(struct config, member)
#define T(member) offsetof(struct table_config, member)
#define SMALL     1e-30                  /* for what must be above zero */
#define U64_TOP   18446744073709551616.0 /* what (double)UINT64_MAX is */
#define BELOW_ONE 0.9999999

#define NUMBER(section, name, kind, at, min, max, help)                                            \
    { section, name, kind, at, min, max, NULL, help }
#define SWITCH(section, name, at, help)                                                            \
    { section, name, KIND_BOOL, at, 0, 0, NULL, help }
#define CHOICE(section, name, at, choices, help)                                                   \
    { section, name, KIND_CHOICE, at, 0, 0, choices, help }

const struct config_key config_keys[] = {
    CHOICE("model", "name", C(model),
           "esmm|ctr|base|aman|oversampling|unbias|division|esmm-ns|share|"
           "escm2-ips|escm2-dr|dcmt|esm2|chain|mmoe|ple|aitm",
           "what is trained (docs/models.md)"),
    CHOICE("model", "input", C(input), "concat|sides", "fields side by side, or summed per side"),
    NUMBER("model", "tower", KIND_WIDTHS, C(tower), 1, 65536, "hidden widths of every tower"),
    NUMBER("model", "ctcvr_weight", KIND_F32, C(ctcvr_weight), 0, 1000,
           "weight of the second loss: CTCVR, or CVR where the model has that"),
    NUMBER("model", "aman_rate", KIND_F32, C(aman_rate), 0, 1,
           "aman: share of unclicked impressions that count as not converted"),
    NUMBER("model", "oversampling_factor", KIND_U32, C(oversampling_factor), 1, 1000,
           "oversampling: how often a converted impression occurs"),
    CHOICE("model", "unbias", C(unbias), "rejection|weight",
           "unbias: a click is accepted with probability min(1, c / p_ctr), or weighs that much"),
    NUMBER("model", "unbias_clip", KIND_F32, C(unbias_clip), SMALL, 1, "unbias: c"),
    CHOICE("model", "delay", C(delay), "none|fnw|pu|es-dfm|defer|defuse|dfm",
           "esmm: what is done about late conversions in a stream of records (docs/stream.md)"),
    NUMBER("model", "cvr_weight", KIND_F32, C(cvr_weight), 0, 1000,
           "escm2, dcmt: weight of the CVR term"),
    NUMBER("model", "propensity_min", KIND_F32, C(propensity_min), SMALL, 1,
           "escm2, dcmt: a p_ctr or 1 - p_ctr that divides counts as at least that"),
    NUMBER("model", "counterfactual_weight", KIND_F32, C(counterfactual_weight), 0, 1000,
           "dcmt: weight of abs(1 - (q + q*)) within the CVR term"),
    NUMBER("model", "behaviours", KIND_U32, C(behaviours), 0, BEHAVIOURS_MAX,
           "chain: how many of the data's behaviours lie between click and conversion"),
    NUMBER("model", "behaviour_weight", KIND_F32, C(behaviour_weight), 0, 1000,
           "esm2, chain: weight of the term of each such behaviour"),
    NUMBER("model", "experts", KIND_U32, C(experts), 1, 8,
           "mmoe: experts in all; ple: of each tower, and as many shared"),
    NUMBER("model", "levels", KIND_U32, C(levels), 1, LEVELS_MAX,
           "ple: levels of experts, one above the other"),
    NUMBER("model", "calibrator_weight", KIND_F32, C(calibrator_weight), 0, 1000,
           "aitm: weight of max(p_ctcvr - p_ctr, 0)"),
    NUMBER("model", "dropout", KIND_F32, C(dropout), 0, BELOW_ONE,
           "share of hidden units of every tower that a training step leaves out; 0: none"),
    SWITCH("model", "prior_bias", C(prior_bias), "output biases start from the data's log odds"),
    NUMBER("model", "prior_cvr", KIND_F32, C(prior_cvr), 0, 1,
           "prior_bias: how far towards its log odds the CVR tower's starts; CTR's starts at them"),

    NUMBER("train", "batch", KIND_U32, C(batch), 1, 1 << 20,
           "impressions a batch; of the log's, where a model trains on a share of them"),
    NUMBER("train", "epochs", KIND_U32, C(epochs), 1, 1e6, "passes over the data"),
    NUMBER("train", "max_steps", KIND_LIMIT, C(max_steps), 0, 1e15, "batches; none: no limit"),
    NUMBER("train", "seed", KIND_U64, C(seed), 0, U64_TOP, "of initial values and order"),
    SWITCH("train", "shuffle", C(shuffle), "order of shards and of groups, anew each epoch"),
    SWITCH("train", "deterministic", C(deterministic), "one order of batches and applies"),
    CHOICE("train", "sample_correction", C(sample_correction), "weight|predict",
           "of a log that kept a share of the unclicked impressions: each counts more, or p_ctr is "
           "corrected"),
    CHOICE(
        "train", "consistency", C(consistency), "async|sync|hybrid",
        "free within staleness_max; a barrier per step; or that for dense, and rows pulled ahead"),
    NUMBER("train", "staleness_max", KIND_U32, C(staleness_max), 0, 1e6,
           "batches a trainer may be ahead of the slowest"),
    NUMBER(
        "train", "in_flight", KIND_U32, C(in_flight), 0, 16,
        "batches a trainer has under way; 0: 2 for a job's only trainer or in a hybrid job, else 1"),
    NUMBER("train", "warmup_steps", KIND_U32, C(warmup_steps), 0, 1e9,
           "batches over which the learning rate grows to its value"),

    CHOICE("compute", "precision", C(precision), "f32|bf16",
           "operands of matrix products; bf16 where the CPU has it, else f32"),
    CHOICE(
        "compute", "kernel", C(kernel), "auto|blas|avx512",
        "what multiplies: OpenBLAS, own AVX-512 code, or the latter where the CPU has it; one that is "
        "missing is an error"),

    NUMBER("table", "dim", KIND_U32, T(dim), 1, 256, "embedding width"),
    NUMBER("table", "init_scale", KIND_F32, T(init_scale), 0, 100,
           "standard deviation of initial embeddings"),
    NUMBER("table", "admit_after", KIND_U32, T(admit_after), 1, 1e6,
           "batches that must hold a feature before it gets a row"),
    NUMBER("table", "evict_age", KIND_U32, T(evict_age), 0, 4e9,
           "evict rows not updated for so many batches; 0: never"),
    CHOICE("table", "optimizer", T(opt.kind), "sgd|adam|adagrad|rowwise_adagrad|ftrl",
           "update rule of rows"),
    NUMBER("table", "lr", KIND_F32, T(opt.lr), SMALL, 1000, "learning rate"),
    NUMBER("table", "beta1", KIND_F32, T(opt.beta1), 0, BELOW_ONE, "adam: decay of first moment"),
    NUMBER("table", "beta2", KIND_F32, T(opt.beta2), 0, BELOW_ONE, "adam: decay of second moment"),
    CHOICE("table", "bias_correction", T(opt.correction), "batch|row",
           "adam: by the count of all batches, or of the row's own updates"),
    NUMBER("table", "eps", KIND_F32, T(opt.eps), SMALL, 1, "adam, adagrad: added to the root"),
    NUMBER("table", "adagrad_init", KIND_F32, T(opt.adagrad_init), 0, 1000,
           "adagrad: initial accumulator"),
    NUMBER("table", "ftrl_l1", KIND_F32, T(opt.ftrl_l1), 0, 1000, "ftrl: L1 strength"),
    NUMBER("table", "ftrl_l2", KIND_F32, T(opt.ftrl_l2), 0, 1000, "ftrl: L2 strength"),
    NUMBER("table", "ftrl_beta", KIND_F32, T(opt.ftrl_beta), SMALL, 1000, "ftrl: beta"),
    NUMBER("table", "l2", KIND_F32, T(opt.l2), 0, 1000, "adds l2 * w to gradients of touched rows"),
    NUMBER("table", "decay", KIND_F32, T(opt.decay), 0, 1000,
           "an update of a row takes lr * decay * w from it besides; not with ftrl"),

    CHOICE("dense", "optimizer", C(dense.kind), "sgd|adam", "update rule of the towers"),
    NUMBER("dense", "lr", KIND_F32, C(dense.lr), SMALL, 1000, "learning rate"),
    NUMBER("dense", "beta1", KIND_F32, C(dense.beta1), 0, BELOW_ONE, "adam: decay of first moment"),
    NUMBER("dense", "beta2", KIND_F32, C(dense.beta2), 0, BELOW_ONE,
           "adam: decay of second moment"),
    NUMBER("dense", "eps", KIND_F32, C(dense.eps), SMALL, 1, "adam: added to the root"),
    NUMBER("dense", "l2", KIND_F32, C(dense.l2), 0, 1000, "adds l2 * w to the gradient"),
    NUMBER("dense", "decay", KIND_F32, C(dense.decay), 0, 1000,
           "an update takes lr * decay * w from each weight besides"),

    NUMBER("server", "threads", KIND_U32, C(server_threads), 1, 64, "partition threads a server"),
    NUMBER("server", "memory", KIND_BYTES, C(memory_bytes), 0, 1e15, "limit per server; 0: none"),
    CHOICE("server", "memory_policy", C(memory_policy), "refuse|evict",
           "at the limit: refuse new rows, or evict old ones"),
    NUMBER("server", "ticket_bytes", KIND_BYTES, C(ticket_bytes), 1 << 16, 1e15,
           "open tickets, per partition"),
    NUMBER("server", "ticket_ms", KIND_U32, C(ticket_ms), 1, 1e9, "life of a ticket"),
    NUMBER("server", "copy_bytes", KIND_BYTES, C(copy_bytes), 1 << 16, 1e15,
           "copies of a running snapshot, per partition"),

    NUMBER("checkpoint", "every_impressions", KIND_U64, C(every_impressions), 0, 1e18, "0: off"),
    NUMBER("checkpoint", "every_seconds", KIND_U64, C(every_seconds), 0, 1e9, "0: off"),
    NUMBER("checkpoint", "every_shards", KIND_U32, C(every_shards), 0, 1e6,
           "0: off; cut between shards, exactly"),
    NUMBER("checkpoint", "keep", KIND_U32, C(keep), 1, 10000, "newest checkpoints kept"),

    CHOICE("wire", "values", C(wire_values), "f32|bf16", "how rows and gradients travel"),

    NUMBER("net", "request_ms", KIND_U32, C(request_ms), 10, 1e8,
           "an unanswered request is sent again after"),
    NUMBER("net", "give_up_ms", KIND_U32, C(give_up_ms), 100, 1e8,
           "a silent peer counts as dead after"),
    NUMBER("net", "heartbeat_ms", KIND_U32, C(heartbeat_ms), 10, 1e6, "between heartbeats"),
    NUMBER("net", "lease_ms", KIND_U32, C(lease_ms), 100, 1e8,
           "a silent worker loses its leases after"),
    NUMBER("net", "stall_ms", KIND_U32, C(stall_ms), 100, 1e8,
           "who or what makes no progress for so long has failed (docs/threads.md)"),
    NUMBER("net", "message_bytes_max", KIND_BYTES32, C(message_bytes_max), 1 << 16, 2147483647,
           "largest message between workers and servers"),

    CHOICE("log", "level", C(log_level), "debug|info|warn|error",
           "what the roles' logs hold: lines of this level and above"),

    NUMBER("eval", "user_field", KIND_NAME, C(user_field), 0, 0,
           "GAUC groups by this field; empty: by group"),
};
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

bool config_key_of_table(const struct config_key *k) {
    return strcmp(k->section, "table") == 0;
}

size_t config_key_find(const char *section, const char *name) {
    size_t i = 0;
    while (i < config_key_count && (strcmp(config_keys[i].section, section) != 0 ||
                                    strcmp(config_keys[i].name, name) != 0)) {
        i++;
    }
    return i;
}

size_t config_key_bit(size_t key) {
    size_t bit = 0;
    for (size_t i = 0; i < key; i++) {
        bit += config_key_of_table(&config_keys[i]);
    }
    return bit;
}

/* --- text to value ---------------------------------------------------------------------------- */

static enum status bad(const struct config_key *k, const char *text, const char *expected) {
    return fail(ERR_CONFIG, "%s.%s is '%.100s', expected %s", k->section, k->name, text, expected);
}

static enum status out_of_range(const struct config_key *k, const char *text) {
    return fail(ERR_CONFIG, "%s.%s is '%.100s', expected a number from %.9g to %.9g", k->section,
                k->name, text, k->min, k->max);
}

static enum status parse_u64(const struct config_key *k, const char *text, uint64_t *out) {
    const bool bytes = k->kind == KIND_BYTES || k->kind == KIND_BYTES32;
    uint64_t v = 0;
    switch (number_parse(text, bytes ? NUMBER_BYTES : NUMBER_PLAIN, &v)) {
    case NUMBER_BAD:
        return bad(k, text,
                   bytes ? "a whole number, or one with K, M, G or T"
                         : (k->kind == KIND_LIMIT ? "a whole number or none" : "a whole number"));
    case NUMBER_TOO_LARGE: return out_of_range(k, text);
    case NUMBER_GOOD: break;
    }
    if ((double)v < k->min || (double)v > k->max) {
        return out_of_range(k, text);
    }
    *out = v;
    return OK;
}

static enum status parse_u32(const struct config_key *k, const char *text, uint32_t *out) {
    uint64_t v;
    TRY(parse_u64(k, text, &v));
    *out = (uint32_t)v; /* every such key's max fits */
    return OK;
}

static enum status parse_f32(const struct config_key *k, const char *text, float *out) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(v)) {
        return bad(k, text, "a finite number");
    }
    if (v < k->min || v > k->max) {
        return out_of_range(k, text);
    }
    *out = (float)v;
    return OK;
}

static enum status parse_bool(const struct config_key *k, const char *text, bool *out) {
    static const char *const yes[] = {"true", "on", "1"};
    static const char *const no[] = {"false", "off", "0"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return OK;
        }
    }
    return bad(k, text, "true or false, on or off, 1 or 0");
}

const char *config_choice(const char *choices, unsigned index, size_t *n) {
    const char *at = choices;
    for (; index > 0; index--) {
        at = strchr(at, '|');
        if (at == NULL) {
            return NULL;
        }
        at++;
    }
    *n = strcspn(at, "|");
    return at;
}

/* gcc and clang store an enum without negative members as unsigned int. */
static enum status parse_choice(const struct config_key *k, const char *text, void *out) {
    size_t n;
    const char *at;
    for (unsigned i = 0; (at = config_choice(k->choices, i, &n)) != NULL; i++) {
        if (strlen(text) == n && memcmp(text, at, n) == 0) {
            memcpy(out, &i, sizeof i);
            return OK;
        }
    }
    return bad(k, text, k->choices);
}

static enum status parse_widths(const struct config_key *k, const char *text, struct config *c) {
    uint32_t width[CONFIG_LAYERS_MAX] = {0};
    uint32_t layers = 0;
    const char *at = text;
    for (;;) {
        char *end;
        unsigned long v = strtoul(at, &end, 10);
        end += strspn(end, " ");
        if (end == at || v < 1 || (double)v > k->max || (*end != ',' && *end != '\0')) {
            return bad(k, text, "widths from 1 to 65536 such as 360,200,80");
        }
        if (layers == CONFIG_LAYERS_MAX) {
            return fail(ERR_CONFIG, "model.tower is '%.100s', expected at most %d layers", text,
                        CONFIG_LAYERS_MAX);
        }
        width[layers++] = (uint32_t)v;
        if (*end == '\0') {
            break;
        }
        at = end + 1;
    }
    memcpy(c->tower, width, sizeof c->tower);
    c->tower_layers = layers;
    return OK;
}

/* A ';' would begin a comment when the text is read back. */
static enum status parse_name(const struct config_key *k, const char *text, char *out) {
    if (text[0] != '\0' && (!schema_name_good(text) || strchr(text, ';') != NULL)) {
        return bad(k, text, "a field's name (without ';') or nothing");
    }
    memset(out, 0, FIELD_NAME_MAX);
    memcpy(out, text, strlen(text));
    return OK;
}

enum status config_key_parse(const struct config_key *k, const char *text, void *base) {
    void *at = (char *)base + k->offset;
    switch (k->kind) {
    case KIND_U32:
    case KIND_BYTES32: return parse_u32(k, text, at);
    case KIND_LIMIT:
        if (strcmp(text, "none") == 0) {
            *(uint64_t *)at = UINT64_MAX;
            return OK;
        }
        return parse_u64(k, text, at);
    case KIND_U64:
    case KIND_BYTES: return parse_u64(k, text, at);
    case KIND_F32: return parse_f32(k, text, at);
    case KIND_BOOL: return parse_bool(k, text, at);
    case KIND_CHOICE: return parse_choice(k, text, at);
    case KIND_WIDTHS: return parse_widths(k, text, base);
    case KIND_NAME: return parse_name(k, text, at);
    }
    assert(!"a key of a known kind");
    return ERR_CONFIG;
}

/* --- value to text ---------------------------------------------------------------------------- */

static enum status print_choice(const struct config_key *k, const void *at, struct buf *out) {
    unsigned index;
    size_t n = 0;
    memcpy(&index, at, sizeof index);
    const char *text = config_choice(k->choices, index, &n);
    return text != NULL ? buf_printf(out, "%.*s", (int)n, text)
                        : buf_printf(out, "choice-%u", index); /* config_check refuses it */
}

static enum status print_widths(const struct config *c, struct buf *out) {
    for (uint32_t i = 0; i < c->tower_layers && i < CONFIG_LAYERS_MAX; i++) {
        TRY(buf_printf(out, "%s%u", i > 0 ? "," : "", c->tower[i]));
    }
    return OK;
}

enum status config_key_print(const struct config_key *k, const void *base, struct buf *out) {
    const void *at = (const char *)base + k->offset;
    switch (k->kind) {
    case KIND_U32:
    case KIND_BYTES32: return buf_printf(out, "%u", *(const uint32_t *)at);
    case KIND_LIMIT:
        if (*(const uint64_t *)at == UINT64_MAX) {
            return buf_printf(out, "none");
        }
        return buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
    case KIND_U64:
    case KIND_BYTES: return buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
    case KIND_F32: return buf_printf(out, "%.9g", (double)*(const float *)at);
    case KIND_BOOL: return buf_printf(out, "%s", *(const bool *)at ? "true" : "false");
    case KIND_CHOICE: return print_choice(k, at, out);
    case KIND_WIDTHS: return print_widths(base, out);
    case KIND_NAME: return buf_printf(out, "%s", (const char *)at);
    }
    assert(!"a key of a known kind");
    return ERR_CONFIG;
}
