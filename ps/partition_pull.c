/* partition_pull.c - answers a pull: finds the rows and copies them out; a worker's pull also gets
 * a ticket. */
#include "partition_state.h"

#include <string.h>

size_t partition_pull_floats(const struct partition *p, const struct key_list *keys,
                             bool want_dense) {
    size_t floats = want_dense ? dense_floats(&p->dense) : 0;
    for (uint32_t f = 0; f < p->field_count; f++) {
        floats += (size_t)keys->counts[f] * p->fields[f].config.dim;
    }
    return floats;
}

/* Hides expired rows: they read as their initial values, like all missing rows. */
static void hide_expired(const struct partition *p, const struct field_rows *f, const uint64_t *ids,
                         size_t n, uint32_t *handles) {
    const uint32_t age = f->rows.evict_age;
    for (size_t i = 0; age != 0 && i < n; i++) {
        if (handles[i] != HANDLE_NONE && row_expired(table_row(f->rows.table, handles[i]), age,
                                                     key_domain(p, f, ids[i])->clock)) {
            handles[i] = HANDLE_NONE;
        }
    }
}

/* Counts missing rows. note: NULL, or gets 1 for each missing row, else 0. */
static size_t count_missing(const uint32_t *handles, size_t n, uint8_t *note) {
    size_t missing = 0;
    for (size_t i = 0; i < n; i++) {
        missing += handles[i] == HANDLE_NONE;
    }
    for (size_t i = 0; note != NULL && i < n; i++) {
        note[i] = handles[i] == HANDLE_NONE;
    }
    return missing;
}

/* Returns the number of missing rows. keep: NULL, or gets the handles, for the ticket; note: as
 * above. */
static size_t pull_field(const struct partition *p, const struct field_rows *f, const uint64_t *ids,
                         size_t n, uint32_t *keep, uint8_t *note, float *out) {
    uint32_t block[KEYS_BLOCK];
    size_t missing = 0;
    for (size_t i = 0; i < n; i += KEYS_BLOCK) {
        const size_t some = n - i < KEYS_BLOCK ? n - i : KEYS_BLOCK;
        uint32_t *handles = keep != NULL ? keep + i : block;
        table_find(f->rows.table, ids + i, some, handles);
        hide_expired(p, f, ids + i, some, handles);
        table_read(f->rows.table, ids + i, handles, some, out + i * f->config.dim);
        missing += count_missing(handles, some, note == NULL ? NULL : note + i);
    }
    return missing;
}

/* Pulls keys that are already checked. */
static void pull_checked(const struct partition *p, const struct key_list *keys, bool want_dense,
                         const struct ticket *ticket, float *out, struct pull_result *result) {
    size_t at = 0;
    *result = (struct pull_result){.ticket = ticket == NULL ? 0 : ticket->id,
                                   .version = domains_version(&p->domains)};
    for (uint32_t f = 0; f < p->field_count; f++) {
        const size_t n = keys->counts[f];
        result->missing += pull_field(p, &p->fields[f], keys->ids + at, n,
                                      ticket == NULL ? NULL : ticket->handles + at,
                                      keys->missing == NULL ? NULL : keys->missing + at, out);
        at += n;
        out += n * p->fields[f].config.dim;
    }
    if (want_dense && dense_floats(&p->dense) > 0) {
        memcpy(out, p->dense.w, dense_floats(&p->dense) * sizeof(float));
    }
}

enum status partition_pull(const struct partition *p, const struct key_list *keys, bool want_dense,
                           float *out, struct pull_result *result) {
    TRY(partition_check_keys(p, keys));
    pull_checked(p, keys, want_dense, NULL, out, result);
    return OK;
}

enum status partition_serve_pull(struct partition *p, const struct key_list *keys, bool want_dense,
                                 bool want_ticket, uint64_t now_ms, float *out,
                                 struct pull_result *result) {
    TRY(partition_check_keys(p, keys));
    struct ticket *ticket = NULL;
    if (want_ticket && !p->spec.read_only) {
        ticket =
            tickets_open(&p->tickets, keys->counts, p->field_count, keys->ids, keys->total, now_ms);
    }
    pull_checked(p, keys, want_dense, ticket, out, result);
    p->counts.pulls++;
    p->counts.pulled_keys += keys->total;
    p->counts.missing_keys += result->missing;
    return OK;
}
