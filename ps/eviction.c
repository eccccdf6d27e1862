/* eviction.c - see eviction.h. */
#include "eviction.h"

void rows_free(struct partition *p, struct store *s, uint32_t handle) {
    partition_before_write(p, s->unit, handle);
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

static bool room_for_row(struct partition *p, struct store *s, uint64_t clock) {
    const uint64_t limit = p->spec.memory_bytes;
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
    rows_free(p, s, victim);
    p->counts.evicted_memory++;
    return true;
}

uint32_t rows_create(struct partition *p, struct store *s, uint64_t id, uint64_t clock) {
    uint32_t handle = HANDLE_NONE;
    if (room_for_row(p, s, clock)) {
        const uint64_t before = table_bytes(s->table);
        if (table_insert(s->table, id, &handle) != OK) {
            handle = HANDLE_NONE;
        }
        p->bytes_rows += table_bytes(s->table) - before;
    }
    p->counts.refused += handle == HANDLE_NONE;
    return handle;
}
