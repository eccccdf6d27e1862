#include "staleness.h"

#include "common/base/mem.h"

void staleness_init(struct staleness *s, uint64_t max, uint64_t patience_ms) {
    *s = (struct staleness){.max = max, .patience_ms = patience_ms};
}

void staleness_fini(struct staleness *s) {
    mem_free(&s->trainers);
    s->count = s->cap = 0;
}

static uint64_t trainer_clock(const struct staleness_trainer *t) {
    return t->clock + t->offset;
}

static void raise_floor(struct staleness *s) {
    bool any = false;
    uint64_t slowest = UINT64_MAX;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct staleness_trainer *t = &s->trainers[i];
        if (t->active) {
            any = true;
            slowest = trainer_clock(t) < slowest ? trainer_clock(t) : slowest;
        }
    }
    if (any && slowest > s->floor) {
        s->floor = slowest;
    }
}

static enum status find_or_add(struct staleness *s, uint32_t worker, uint32_t trainer,
                               struct staleness_trainer **out) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->trainers[i].worker == worker && s->trainers[i].trainer == trainer) {
            *out = &s->trainers[i];
            return OK;
        }
    }
    if (s->count == STALENESS_TRAINERS_MAX) {
        return fail(ERR_LIMIT, "more than %u trainers", STALENESS_TRAINERS_MAX);
    }
    if (s->count == s->cap) {
        uint32_t cap = s->cap == 0 ? 16 : s->cap * 2;
        TRY(mem_grow(&s->trainers, s->cap, cap));
        s->cap = cap;
    }
    *out = &s->trainers[s->count++];
    **out = (struct staleness_trainer){.worker = worker, .trainer = trainer};
    return OK;
}

static void trainer_join(struct staleness *s, struct staleness_trainer *t) {
    t->active = true;
    if (trainer_clock(t) < s->floor) {
        t->offset += s->floor - trainer_clock(t);
    }
}

enum status staleness_ask(struct staleness *s, uint32_t worker, uint32_t trainer, uint64_t clock,
                          const struct staleness_address *address, uint64_t now_ms) {
    struct staleness_trainer *t = NULL;
    if (clock != CLOCK_IDLE && clock > STALENESS_CLOCK_MAX) {
        return fail(ERR_PROTOCOL, "worker %u trainer %u: clock %llu is beyond all batches", worker,
                    trainer, (unsigned long long)clock);
    }
    TRY(find_or_add(s, worker, trainer, &t));
    if (address->id < t->address.id) {
        return OK;
    }
    bool repeated = address->id == t->address.id && t->asking;
    t->address = *address;
    t->heard_ms = now_ms;
    t->asked_ms = repeated ? t->asked_ms : now_ms;
    t->asking = true;
    if (clock == CLOCK_IDLE) {
        t->active = false;
    } else {
        t->clock = clock > t->clock ? clock : t->clock;
        if (!t->active) {
            trainer_join(s, t);
        }
    }
    raise_floor(s);
    return OK;
}

/* A question of an idle trainer only announces that it is idle: it need not wait. */
static bool trainer_due(const struct staleness *s, const struct staleness_trainer *t) {
    return t->asking && (!t->active || trainer_clock(t) <= s->floor + s->max);
}

static bool find_due(struct staleness *s, struct staleness_answer *out) {
    for (uint32_t i = 0; i < s->count; i++) {
        struct staleness_trainer *t = &s->trainers[i];
        if (trainer_due(s, t)) {
            t->asking = false;
            uint64_t clock = s->floor > t->offset ? s->floor - t->offset : 0;
            *out = (struct staleness_answer){t->worker, t->trainer, clock, t->address};
            return true;
        }
    }
    return false;
}

/* If someone has waited too long: drops a trainer at the floor that said nothing in all that time.
 */
static bool drop_silent(struct staleness *s, uint64_t now_ms) {
    bool out_of_patience = false;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct staleness_trainer *t = &s->trainers[i];
        out_of_patience |= t->asking && now_ms - t->asked_ms >= s->patience_ms;
    }
    for (uint32_t i = 0; out_of_patience && i < s->count; i++) {
        struct staleness_trainer *t = &s->trainers[i];
        if (t->active && !t->asking && trainer_clock(t) == s->floor &&
            now_ms - t->heard_ms >= s->patience_ms) {
            t->active = false;
            s->dropped++;
            raise_floor(s);
            return true;
        }
    }
    return false;
}

bool staleness_next(struct staleness *s, uint64_t now_ms, struct staleness_answer *out) {
    do {
        if (find_due(s, out)) {
            return true;
        }
    } while (drop_silent(s, now_ms));
    return false;
}

void staleness_rest(struct staleness *s, uint32_t worker) {
    for (uint32_t i = 0; i < s->count; i++) {
        struct staleness_trainer *t = &s->trainers[i];
        if (t->worker == worker && !t->asking) {
            t->active = false;
        }
    }
    raise_floor(s);
}

void staleness_leave(struct staleness *s, uint32_t worker) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->trainers[i].worker != worker) {
            s->trainers[kept++] = s->trainers[i];
        }
    }
    s->count = kept;
    raise_floor(s);
}
