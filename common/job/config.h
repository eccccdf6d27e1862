/* config.h - the typed configuration of a job and its INI form.
 *
 * Sources in order: defaults (the paper's values) < --conf FILE (INI) < --set section.key=value. An
 * unknown section or key is ERR_CONFIG and names the nearest known one (edit distance), with file
 * and line. To add a key, add its field here and its row in config_keys.c, which holds the default,
 * the range and the text for docs/config.md.
 *
 * [field.NAME] sections override [table] for the field of that name (NAME as in the schema). If the
 * data lacks a field named there, layout_init fails.
 */
#pragma once

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

/* By which held-out metric the best checkpoint is told (checkpoint.keep_best). */
enum keep_best {
    BEST_OFF,
    BEST_CTCVR, /* AUC over all impressions */
    BEST_CTR,   /* AUC over all impressions */
    BEST_CVR    /* AUC over clicked impressions */
};
enum push_log_mode { PUSH_LOG_OFF, PUSH_LOG_ON };

struct field_override {
    char name[FIELD_NAME_MAX];
    uint64_t given; /* the keys of [table] that are set here, one bit each */
    struct table_config table;
};

/* The keys, section by section. config_keys.c has each key's meaning, default and bounds. */
struct config {
    /* [model] */
    enum model_name model;
    enum model_input input;
    uint32_t tower[CONFIG_LAYERS_MAX]; /* hidden widths */
    uint32_t tower_layers;
    enum unbias unbias;
    enum delay_method delay;
    float ctcvr_weight, aman_rate, unbias_clip, cvr_weight, propensity_min, counterfactual_weight;
    float behaviour_weight, calibrator_weight, dropout;
    uint32_t oversampling_factor, behaviours, experts, levels;
    bool prior_bias;
    float prior_cvr; /* with 1 the CVR tower ranks badly for a long time if conversions are not
                      rare, with 0 if they are rare (docs/quality.md) */
    /* [train] */
    uint32_t batch, epochs, staleness_max, in_flight, warmup_steps, patience;
    uint64_t max_steps; /* UINT64_MAX: no limit; 0: save the initial state only */
    uint64_t seed;
    bool shuffle, deterministic;
    uint32_t window; /* impressions mixed together (ranges.h); 0: within a shard only */
    uint32_t run;    /* impressions of a group in a batch, at most (deal.h); 0: no limit */
    enum share_bags share_bags; /* of groups, once a range (data_ranges.h) */
    enum sample_correction sample_correction;
    enum consistency consistency;
    enum poison poison;
    /* [compute] */
    enum precision precision;
    enum kernel_choice kernel;
    /* [table] and [field.NAME] */
    struct table_config table;
    struct field_override field[FIELDS_MAX];
    uint32_t field_count;
    /* [dense] */
    struct optimizer_config dense; /* adam or sgd */
    /* [server] */
    uint32_t server_threads, ticket_ms;
    uint64_t memory_bytes; /* per server; 0: no limit */
    enum memory_policy memory_policy;
    uint64_t ticket_bytes, copy_bytes; /* per partition */
    /* [checkpoint]; 0: off */
    uint64_t every_impressions, every_seconds;
    uint32_t every_shards; /* at exactly this many more trained shards, with none half trained */
    uint32_t keep, keep_hourly, keep_daily;
    enum keep_best keep_best;
    uint64_t bytes_per_s; /* of the writer of a server */
    uint32_t full_every;  /* every so many cuts one is full, the others are deltas */
    /* [recovery] */
    uint32_t recovery_wait_s; /* how long a server that is lost is awaited */
    enum push_log_mode push_log;
    uint64_t push_log_bytes; /* per server */
    /* [wire] */
    enum value_type wire_values;
    /* [net] */
    uint32_t request_ms, give_up_ms, stall_ms, heartbeat_ms, lease_ms, message_bytes_max;
    /* [log] */
    enum log_level log_level;
    uint64_t log_bytes;
    /* [eval] */
    uint64_t eval_every;             /* impressions; 0: at the ends of epochs only */
    char user_field[FIELD_NAME_MAX]; /* "": GAUC groups by the group's key */
};

void config_default(struct config *c);
/* Reads an INI file over *c. ERR_NOT_FOUND, ERR_CONFIG with file and line. */
enum status config_read(struct config *c, const char *path);
/* The same for text already in memory (`name` stands for the path in messages). */
enum status config_parse(struct config *c, const char *name, const char *text);
/* One "section.key=value" ("field.205.dim=8" for overrides). ERR_CONFIG. */
enum status config_set(struct config *c, const char *assignment);
/* Checks all ranges, and the rules between several keys (sync and deterministic). ERR_CONFIG. */
enum status config_check(const struct config *c);
/* The whole effective configuration as INI that config_parse reads back to the same struct. */
enum status config_text(const struct config *c, struct buf *out);
/* OK if `was` and `now` agree in all the keys ("section.name"; NULL after the last; none of
 * [table]). Else ERR_CONFIG, with the first key that differs and both values. */
enum status config_same(const struct config *was, const struct config *now,
                        const char *const *keys);
/* The same for a field's table; names: keys of [table], NULL after the last. */
enum status config_same_table(const struct config *was, const struct config *now, const char *field,
                              const char *const *names);
/* [table] with the overrides of the field `name`. Its dim is the width of a row, with all the
 * model's dictionaries (method.h). */
struct table_config config_table(const struct config *c, const char *name);
/* Whether the section of the field `name` sets `key`, a key of [table]. */
bool config_table_sets(const struct config *c, const char *name, const char *key);
/* Writes the key reference (Markdown table) for docs/config.md and `esmm config`. */
enum status config_reference(struct buf *out);
