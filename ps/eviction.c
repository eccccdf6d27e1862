/* eviction.c - see eviction.h. */
#include "eviction.h"

#include "changes.h"
#include "common/base/mem.h"

void rows_free(struct partition *p, struct store *s, uint32_t handle) {
    partition_before_write(p, s, handle);
    table_remove(s->table, handle);
}

/* Whether row a should be evicted before row b. */
static bool goes_first(const struct row *a, const struct row *b, uint32_t now) {
    const uint32_t age_a = now - a->last, age_b = now - b->last;
    return age_a != age_b ? age_a > age_b : a->step < b->step;
}

/* Moves the hand past the slots it has examined. HANDLE_NONE: this push has updated all rows it
 * found. */
static uint32_t find_victim(struct store *s, uint32_t now) {
    const uint32_t slots = table_slots(s->table);
    const uint32_t look = slots < SAMPLE_SLOTS ? slots : SAMPLE_SLOTS;
    uint32_t victim = HANDLE_NONE, seen = 0;
    for (uint32_t i = 0; i < look && seen < SAMPLE_ROWS; i++) {
        const uint32_t handle = s->memory_hand < slots ? s->memory_hand : 0;
        const struct row *row = table_row(s->table, handle);
        s->memory_hand = handle + 1;
        if (row->step == 0) {
            continue;
        }
        seen++;
        if (row->last != now &&
            (victim == HANDLE_NONE || goes_first(row, table_row(s->table, victim), now))) {
            victim = handle;
        }
    }
    return victim;
}

/* --- choices ---------------------------------------------------------------------------------- */

/* Notes what memory decided about the row that is being made, if somebody listens. */
static void note_choice(struct partition *p, struct push_choice choice) {
    struct choices *c = &p->choices;
    choice.call = c->calls;
    if (p->told == NULL || c->again) {
        return;
    }
    if (c->count > 0 && c->list[c->count - 1].call == choice.call) { /* evicted, then refused */
        c->list[c->count - 1].refused = choice.refused;
        return;
    }
    if (mem_room(&c->list, &c->cap, c->count + 1) != OK) {
        c->failed = true;
        return;
    }
    c->list[c->count++] = choice;
}

static void evict_for_memory(struct partition *p, struct store *s, uint32_t victim) {
    changes_gone(p, s, table_row(s->table, victim)->id);
    rows_free(p, s, victim);
    p->counts.evicted_memory++;
}

/* Does what memory decided when the push was applied first. A victim that is not there any more was
 * past its age, and has been freed at another moment. */
static bool room_again(struct partition *p, struct store *s) {
    struct choices *c = &p->choices;
    if (c->next == c->count || c->list[c->next].call != c->calls) {
        return true;
    }
    const struct push_choice *choice = &c->list[c->next++];
    if (choice->evicts) {
        uint32_t victim = HANDLE_NONE;
        table_find(s->table, &choice->victim, 1, &victim);
        if (victim != HANDLE_NONE) {
            evict_for_memory(p, s, victim);
        }
    }
    return !choice->refused;
}

/* --- making rows ------------------------------------------------------------------------------ */

static bool room_for_row(struct partition *p, struct store *s, uint64_t clock) {
    const uint64_t limit = p->spec.memory_bytes;
    if (p->choices.again) {
        return room_again(p, s);
    }
    if (limit == 0) {
        return true;
    }
    const uint64_t grows = table_grow_bytes(s->table);
    if (grows == 0 || partition_bytes(p) + grows <= limit) {
        return true;
    }
    if (p->spec.config->memory_policy != MEMORY_EVICT) {
        return false;
    }
    const uint32_t victim = find_victim(s, (uint32_t)clock + 1);
    if (victim == HANDLE_NONE) {
        return false;
    }
    note_choice(p, (struct push_choice){.evicts = true, .victim = table_row(s->table, victim)->id});
    evict_for_memory(p, s, victim);
    return true;
}

uint32_t rows_create(struct partition *p, struct store *s, uint64_t id, uint64_t clock) {
    uint32_t handle = HANDLE_NONE;
    p->choices.calls++;
    if (room_for_row(p, s, clock)) {
        const uint64_t before = table_bytes(s->table);
        if (table_insert(s->table, id, &handle) != OK) {
            handle = HANDLE_NONE;
            p->choices.failed = p->choices.failed || p->choices.again;
        }
        p->bytes_rows += table_bytes(s->table) - before;
    }
    if (handle == HANDLE_NONE) {
        p->counts.refused++;
        note_choice(p, (struct push_choice){.refused = true});
    } else {
        changes_room(p, s, handle);
    }
    return handle;
}
