/* config_check.c - checks the rules between several keys (docs/config.md). */
#include "config.h"

#include "common/base/mem.h"

/* Checks each key's own rules, for a struct that was not filled by parsing: prints it and reads it
 * back. */
static enum status config_check_ranges(const struct config *c) {
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
static enum status config_check_dims(const struct config *c) {
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

/* FTRL computes each weight anew from z and n, so the effect of decay would be lost. */
static enum status config_check_decay(const struct config *c) {
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

/* FTRL computes each weight anew from z: codes of 8 bits there would be weights of 8 bits. */
static enum status config_check_state(const struct config *c) {
    for (uint32_t f = 0; f <= c->field_count; f++) {
        const bool all = f == c->field_count;
        const struct table_config t = all ? c->table : config_table(c, c->field[f].name);
        if (t.opt.kind == OPT_FTRL && t.state == CELLS_U8) {
            return fail(ERR_CONFIG,
                        "%s%s: optimizer = ftrl excludes state = u8, since its weights follow from "
                        "its state; expected state = bf16 or f32",
                        all ? "table" : "field.", all ? "" : c->field[f].name);
        }
    }
    return OK;
}

enum status config_check(const struct config *c) {
    TRY(config_check_ranges(c));
    if (c->patience > 0 && c->keep_best == BEST_OFF) {
        return fail(ERR_CONFIG,
                    "train.patience is %u, but nothing tells which evaluation is better: expected "
                    "checkpoint.keep_best = ctcvr, ctr or cvr",
                    c->patience);
    }
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
    TRY(config_check_dims(c));
    TRY(config_check_decay(c));
    TRY(config_check_state(c));
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
