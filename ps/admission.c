/* admission.c - see admission.h. */
#include "admission.h"

#include "eviction.h"

static uint32_t admit(struct partition *p, struct field_rows *f, uint64_t id, uint64_t clock) {
    const uint32_t handle = rows_create(p, &f->rows, id, clock);
    p->counts.created += handle != HANDLE_NONE;
    return handle;
}

uint32_t admission_sight(struct partition *p, struct field_rows *f, uint64_t id, uint64_t clock) {
    struct store *s = &f->sightings;
    if (s->table == NULL) {
        return admit(p, f, id, clock);
    }
    uint32_t counter = HANDLE_NONE, seen = 0;
    table_find(s->table, &id, 1, &counter);
    /* Whether one past its age is still there depends on time, and must show nowhere: not in how
     * many rows a push asks for, by which a log names what memory decided (push_choice). */
    if (counter != HANDLE_NONE && row_expired(table_row(s->table, counter), s->evict_age, clock)) {
        rows_free(p, s, counter);
        p->counts.evicted_age++;
        counter = HANDLE_NONE;
    }
    if (counter != HANDLE_NONE) {
        seen = table_row(s->table, counter)->step;
    }
    if (seen + 1 >= f->config.admit_after) {
        /* The counter is freed only if the row was made: a refused row keeps its count. */
        const uint32_t handle = admit(p, f, id, clock);
        if (handle != HANDLE_NONE && counter != HANDLE_NONE) {
            rows_free(p, s, counter);
        }
        return handle;
    }
    p->counts.unadmitted++;
    if (counter == HANDLE_NONE) {
        counter = rows_create(p, s, id, clock);
    }
    if (counter != HANDLE_NONE) {
        partition_before_write(p, s, counter);
        table_row(s->table, counter)->step = seen + 1;
        table_row(s->table, counter)->last = (uint32_t)clock + 1;
    }
    return HANDLE_NONE;
}
