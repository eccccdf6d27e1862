/* upkeep.c - see upkeep.h. */
#include "upkeep.h"

#include "eviction.h"

#define SLICE_SLOTS 8192u /* slots that a slice visits at most */
#define SLICE_ROWS  512u  /* rows that it frees or moves at most */
#define SLICE_HOMES 4096u /* homes of one index that it moves */

#define GONE_AHEAD 8u /* rows are visited in order, which the CPU sees; their index lines not */

struct slice {
    uint32_t slots, rows; /* left */
    bool more;            /* work is left, though the slice may have room */
    bool moves;           /* rows may change their slots */
};

static void make_due(struct store *s) {
    if (s->table == NULL || s->evict_age == 0) {
        return;
    }
    const uint32_t slots = table_slots(s->table), due = s->age_due + slots / AGE_PUSHES + 1;
    s->age_due = due < slots ? due : slots;
}

static void evict_old(struct partition *p, const struct field_rows *f, struct store *s,
                      struct slice *left) {
    while (s->age_due > 0 && left->slots > 0 && left->rows > 0) {
        const uint32_t handle = s->age_hand < table_slots(s->table) ? s->age_hand : 0;
        const struct row *row = table_row(s->table, handle);
        table_prefetch_gone(s->table, handle + GONE_AHEAD);
        s->age_hand = handle + 1;
        s->age_due--;
        left->slots--;
        if (row->step != 0 && row_expired(row, s->evict_age, key_domain(p, f, row->id)->clock)) {
            rows_free(p, s, handle);
            p->counts.evicted_age++;
            left->rows--;
        }
    }
}

static void move_last_rows(struct partition *p, struct store *s, struct slice *left) {
    struct table *t = s->table;
    while (left->moves && left->rows > 0 && table_shrinks(t)) {
        const uint32_t last = table_slots(t) - 1;
        if (table_row(t, last)->step != 0) {
            partition_before_write(p, s, table_next_free(t));
            partition_before_write(p, s, last);
        }
        table_drop_last(t);
        left->rows--;
    }
}

static void upkeep_store(struct partition *p, const struct field_rows *f, struct store *s,
                         struct slice *left) {
    if (s->table == NULL) {
        return;
    }
    const uint64_t before = table_bytes(s->table);
    evict_old(p, f, s, left);
    move_last_rows(p, s, left);
    if (table_tidy_index(s->table, SLICE_HOMES)) {
        left->rows -= left->rows < SLICE_ROWS / 4 ? left->rows : SLICE_ROWS / 4;
        left->more = true;
    }
    p->bytes_rows += table_bytes(s->table) - before;
}

/* Does one slice. The next one begins with the field where this one ended. True: there is more to
 * do. */
static bool upkeep_slice(struct partition *p, bool moves) {
    struct slice left = {.slots = SLICE_SLOTS, .rows = SLICE_ROWS, .moves = moves};
    const uint32_t first = p->upkeep_field;
    for (uint32_t k = 0; k < p->field_count; k++) {
        const uint32_t slot = (first + k) % p->field_count;
        struct field_rows *f = &p->fields[slot];
        upkeep_store(p, f, &f->rows, &left);
        upkeep_store(p, f, &f->sightings, &left);
        if (left.slots == 0 || left.rows == 0) {
            p->upkeep_field = slot;
            return true;
        }
    }
    return left.more;
}

void upkeep_push(struct partition *p) {
    for (uint32_t i = 0; i < p->field_count; i++) {
        make_due(&p->fields[i].rows);
        make_due(&p->fields[i].sightings);
    }
    upkeep_slice(p, p->spec.config->deterministic || p->hooks == NULL);
}

enum status partition_tick(struct partition *p, uint64_t now_ms, bool *busy) {
    tickets_expire(&p->tickets, now_ms);
    log_limit_step(&p->dropped);
    *busy = p->hooks != NULL && p->hooks->step(p);
    if (!p->spec.config->deterministic && upkeep_slice(p, p->hooks == NULL)) {
        *busy = true;
    }
    return OK;
}
