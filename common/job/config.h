/* config.h - what a job is to do: the typed configuration and its INI form.
 *
 * Sources in order: defaults (the paper's values) < --conf FILE (INI) < --set section.key=value.
 * An unknown section or key is ERR_CONFIG and names the nearest known one (edit distance), with
 * file and line. To add a key, add its field here and its row in config_keys.c, which has the
 * default, the range and what docs/config.md says of it.
 *
 * [field.NAME] sections override [table] for the field of that name (NAME as in the schema). A
 * field named there that the data does not have is an error when the config meets the schema.
 */
#ifndef COMMON_JOB_CONFIG_H
#define COMMON_JOB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "consistency.h"
#include "method.h"
#include "precision.h"
#include "schema.h"
#include "table_config.h"

#define CONFIG_LAYERS_MAX 8

struct field_override {
    char name[FIELD_NAME_MAX];
    uint64_t given; /* which keys of [table], a bit each */
    struct table_config table;
};

struct config {
    /* [model] */
    enum model_name model;
    enum model_input input;            /* concat | sides */
    uint32_t tower[CONFIG_LAYERS_MAX]; /* hidden widths, default 360,200,80 */
    uint32_t tower_layers;
    float ctcvr_weight;           /* w of the loss's second term, default 1 */
    float aman_rate;              /* aman: share of unclicked impressions taken as not converted */
    uint32_t oversampling_factor; /* oversampling: how often a converted impression occurs */
    enum unbias unbias;           /* unbias: accept a click with probability, or weigh it */
    float unbias_clip;            /* unbias: c of min(1, c / p_ctr) */
    enum delay_method delay;      /* esmm: what is done about conversions that come late */
    float cvr_weight;             /* escm2, dcmt: weight of the CVR term on clicks */
    float propensity_min; /* escm2, dcmt: p_ctr, 1 - p_ctr where they divide are at least that */
    float counterfactual_weight; /* dcmt: weight of |1 - (q + q*)| */
    uint32_t behaviours;         /* chain: of the data's, 0..BEHAVIOURS_MAX */
    float behaviour_weight;      /* esm2, chain: weight of each behaviour's term */
    uint32_t experts;            /* mmoe: in all; ple: of each tower, and shared ones */
    uint32_t levels;             /* ple: of experts, 1..LEVELS_MAX; 1 with any other model */
    float calibrator_weight;     /* aitm: weight of max(p_ctcvr - p_ctr, 0) */
    float dropout;   /* p of every hidden layer, in training; 0 none (worker/model/dropout.h) */
    bool prior_bias; /* output biases start at log odds of the data's rates */
    float
        prior_cvr; /* CVR's at this share of them: with 1 it ranks badly for long where conversions
                        are not rare, with 0 where they are (docs/quality.md) */
    /* [train] */
    uint32_t batch; /* impressions, 2048 */
    uint32_t epochs;
    uint64_t max_steps; /* UINT64_MAX: no limit; 0: save the initial state only */
    uint64_t seed;
    bool shuffle; /* shard order and groups within a shard, per epoch */
    bool deterministic;
    enum sample_correction sample_correction;
    enum consistency consistency;
    uint32_t staleness_max; /* batches a trainer may be ahead of the slowest */
    uint32_t in_flight;     /* batches that a trainer has pulled and not yet retired; 0: 2 for a
                               job's only trainer or in a hybrid job, else 1 */
    uint32_t warmup_steps;  /* learning rate grows linearly over so many applied batches */
    /* [compute] */
    enum precision precision;  /* f32 | bf16 (where the CPU has it; f32 otherwise) */
    enum kernel_choice kernel; /* auto: the best that the CPU has */
    /* [table] and [field.NAME] */
    struct table_config table;
    struct field_override field[FIELDS_MAX];
    uint32_t field_count;
    /* [dense] */
    struct optimizer_config dense; /* adam or sgd */
    /* [server] */
    uint32_t server_threads;
    uint64_t memory_bytes; /* per server; 0: no limit */
    enum memory_policy memory_policy;
    uint64_t ticket_bytes; /* open tickets, per partition */
    uint32_t ticket_ms;
    uint64_t copy_bytes; /* snapshot copies, per partition */
    /* [checkpoint] */
    uint64_t every_impressions; /* 0: off */
    uint64_t every_seconds;     /* 0: off */
    uint32_t every_shards;      /* 0: off; between shards: so many more are trained, none in part */
    uint32_t keep;              /* last K */
    /* [wire] */
    enum value_type wire_values; /* f32 | bf16 */
    /* [net] */
    uint32_t request_ms; /* a request is resent after so long without an answer */
    uint32_t give_up_ms; /* and the peer is called dead after so long */
    uint32_t stall_ms;   /* what gets nowhere has failed after so long */
    uint32_t heartbeat_ms;
    uint32_t lease_ms; /* a worker silent for so long loses its leases */
    uint32_t message_bytes_max;
    /* [log] */
    enum log_level log_level; /* lines below it are not written */
    /* [eval] */
    char user_field[FIELD_NAME_MAX]; /* GAUC groups by this field's first id; empty: by group key */
};

void config_default(struct config *c);
/* Reads an INI file over *c. ERR_NOT_FOUND, ERR_CONFIG with file and line. */
enum status config_read(struct config *c, const char *path);
/* The same for text already in memory (`name` stands for the path in messages). */
enum status config_parse(struct config *c, const char *name, const char *text);
/* One "section.key=value" ("field.205.dim=8" for overrides). ERR_CONFIG. */
enum status config_set(struct config *c, const char *assignment);
/* Checks that belong to more than one key (sync and deterministic, ranges). ERR_CONFIG. */
enum status config_check(const struct config *c);
/* The whole effective configuration as INI that config_parse reads back to the same struct. */
enum status config_text(const struct config *c, struct buf *out);
/* ERR_CONFIG, with key and both values, at the first of the keys "section.name" in which `was` and
 * `now` differ. keys: NULL after the last, none of [table]. */
enum status config_same(const struct config *was, const struct config *now,
                        const char *const *keys);
/* The same of a field's table; names: keys of [table], NULL after the last. */
enum status config_same_table(const struct config *was, const struct config *now, const char *field,
                              const char *const *names);
/* [table] with the overrides of the field `name`; its dim is that of a row, which has all the model's
 * dictionaries (method.h). */
struct table_config config_table(const struct config *c, const char *name);
/* Writes the key reference (Markdown table) for docs/config.md and `esmm config`. */
enum status config_reference(struct buf *out);

#endif
