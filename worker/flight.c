#include "flight.h"

#include <assert.h>

void flight_init(struct flight *f, uint32_t slots, bool hybrid) {
    assert(slots >= 1 && slots <= FLIGHT_SLOTS_MAX);
    *f = (struct flight){.slots = slots, .hybrid = hybrid, .next = slots};
}

/* The only place where a slot's state changes, and only in these ways. */
static void slot_goes(struct flight_slot *s, enum slot_state to) {
    static const uint32_t ways[] = {
        [SLOT_FREE] = 1u << SLOT_HELD,
        [SLOT_HELD] = 1u << SLOT_PULLING,
        [SLOT_PULLING] = 1u << SLOT_PULLED | 1u << SLOT_ROWS,
        [SLOT_ROWS] = 1u << SLOT_PULLING_DENSE,
        [SLOT_PULLING_DENSE] = 1u << SLOT_PULLED,
        [SLOT_PULLED] = 1u << SLOT_PUSHING | 1u << SLOT_DONE,
        [SLOT_PUSHING] = 1u << SLOT_DONE,
        [SLOT_DONE] = 1u << SLOT_FREE,
    };
    assert((ways[s->state] >> to & 1) != 0);
    s->state = to;
}

/* The number of slots in the states from..to. */
static uint32_t slots_in(const struct flight *f, enum slot_state from, enum slot_state to) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->slots; i++) {
        count += f->slot[i].state >= from && f->slot[i].state <= to;
    }
    return count;
}

static bool is_empty(const struct flight *f) {
    return slots_in(f, SLOT_FREE, SLOT_FREE) == f->slots;
}

/* Whether an answer is due, or a batch can be computed or retired. */
static bool is_under_way(const struct flight *f) {
    return slots_in(f, SLOT_PULLING, SLOT_DONE) > 0;
}

static bool pulls_ahead(const struct flight *f, const struct flight_slot *s) {
    return f->hybrid && s->train;
}

/* The oldest batch that is under way and not computed yet; f->slots: none. */
static uint32_t oldest(const struct flight *f) {
    uint32_t oldest = f->slots;
    for (uint32_t i = 0; i < f->slots; i++) {
        const struct flight_slot *s = &f->slot[i];
        if (s->state >= SLOT_PULLING && s->state <= SLOT_PULLED &&
            (oldest == f->slots || s->order < f->slot[oldest].order)) {
            oldest = i;
        }
    }
    return oldest;
}

/* Whether another batch that was taken before this one has not begun either. Batches of a range
 * that share bags are computed in the order in which they were taken, so they begin in this
  * order. */
static bool jumps_queue(const struct flight *f, const struct flight_slot *s) {
    for (uint32_t i = 0; i < f->slots; i++) {
        const struct flight_slot *other = &f->slot[i];
        if (other->state == SLOT_HELD && other->train && other->order < s->order) {
            return true;
        }
    }
    return false;
}

static bool next_is(const struct flight *f, enum slot_state state) {
    return f->next < f->slots && f->slot[f->next].state == state;
}

/* Whether only the barrier keeps the next batch from being computed. */
static bool at_barrier(const struct flight *f) {
    return next_is(f, SLOT_ROWS) && slots_in(f, SLOT_PUSHING, SLOT_DONE) == 0;
}

/* Starts one slot. start_slot and finish_turn return false if a phase has nothing to do. */
static bool start_slot(struct flight *f, struct flight_order *o) {
    enum { TAKE, IDLE, ENTER, PULL };
    struct flight_slot *s = &f->slot[f->at];
    switch (f->phase++) {
    case TAKE:
        *o = (struct flight_order){FLIGHT_TAKE, f->at, is_empty(f)};
        return s->state == SLOT_FREE && !f->drained;
    case IDLE: o->act = FLIGHT_IDLE; return is_empty(f);
    case ENTER:
        *o = (struct flight_order){FLIGHT_ENTER, f->at, !is_under_way(f)};
        f->may = s->state == SLOT_HELD && (!s->train || pulls_ahead(f, s));
        return s->state == SLOT_HELD && !f->may && !jumps_queue(f, s);
    default: /* PULL */
        o->act = pulls_ahead(f, s) ? FLIGHT_PULL_ROWS : FLIGHT_PULL;
        o->slot = f->at++;
        f->phase = TAKE;
        if (f->may) {
            slot_goes(s, SLOT_PULLING);
        }
        return f->may;
    }
}

/* The rest of a turn. */
static bool finish_turn(struct flight *f, struct flight_order *o) {
    enum { BARRIER, DENSE, LISTEN, RETIRE, COMPUTE };
    struct flight_slot *s = &f->slot[f->next];
    uint32_t done = 0;
    switch (f->phase++) {
    case BARRIER:
        f->next = oldest(f);
        f->may = false;
        *o = (struct flight_order){FLIGHT_ENTER, f->next, true};
        return at_barrier(f);
    case DENSE:
        *o = (struct flight_order){FLIGHT_PULL_DENSE, f->next, false};
        if (f->may) {
            slot_goes(s, SLOT_PULLING_DENSE);
        }
        return f->may;
    case LISTEN:
        o->act = FLIGHT_LISTEN;
        o->wait = is_under_way(f) && !next_is(f, SLOT_PULLED) && !at_barrier(f);
        return true;
    case RETIRE:
        while (done < f->slots && f->slot[done].state != SLOT_DONE) {
            done++;
        }
        if (done < f->slots) {
            f->phase = RETIRE; /* there may be more */
            slot_goes(&f->slot[done], SLOT_FREE);
            *o = (struct flight_order){FLIGHT_RETIRE, done, false};
        }
        return done < f->slots;
    default: /* COMPUTE */
        f->at = f->phase = 0;
        *o = (struct flight_order){FLIGHT_COMPUTE, f->next, false};
        if (!next_is(f, SLOT_PULLED)) {
            return false;
        }
        slot_goes(s, s->train ? SLOT_PUSHING : SLOT_DONE);
        return true;
    }
}

struct flight_order flight_next(struct flight *f) {
    while (!f->stopped && !(f->drained && is_empty(f))) {
        struct flight_order o = {0};
        if (f->at < f->slots ? start_slot(f, &o) : finish_turn(f, &o)) {
            return o;
        }
    }
    return (struct flight_order){.act = FLIGHT_END};
}

/* --- what came of it -------------------------------------------------------------------------- */

void flight_took(struct flight *f, uint32_t slot, enum flight_taken what) {
    struct flight_slot *s = &f->slot[slot];
    if (what == FLIGHT_TOOK_TRAIN || what == FLIGHT_TOOK_EVAL) {
        slot_goes(s, SLOT_HELD);
        s->train = what == FLIGHT_TOOK_TRAIN;
        s->order = f->taken++;
    }
    f->drained = what == FLIGHT_TOOK_LAST;
}

void flight_entered(struct flight *f, bool may) {
    f->may = may;
}

void flight_arrived(struct flight *f, uint32_t slot) {
    struct flight_slot *s = &f->slot[slot];
    assert(flight_awaits(f, slot));
    if (s->state == SLOT_PUSHING) {
        slot_goes(s, SLOT_DONE);
    } else if (s->state == SLOT_PULLING && pulls_ahead(f, s)) {
        slot_goes(s, SLOT_ROWS);
    } else {
        slot_goes(s, SLOT_PULLED);
    }
}

bool flight_awaits(const struct flight *f, uint32_t slot) {
    const enum slot_state s = f->slot[slot].state;
    return s == SLOT_PULLING || s == SLOT_PULLING_DENSE || s == SLOT_PUSHING;
}

void flight_stop(struct flight *f) {
    f->stopped = true;
}
