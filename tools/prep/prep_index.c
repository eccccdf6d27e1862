/* prep_index.c - builds the tables one after the other in one buffer. For each table all entries
 * are read, and those whose hash falls into the table are entered. Ali-CCP's 730,600 rows make one
 * table. A hundred times as many make a few dozen tables; reading 32 bytes per row that often costs
 * less than reading the rows themselves once. Not chosen: inserting at random places of a file that
 * is larger than memory; and an external sort, which needs more code.
 *
 * Probing is linear and stays inside a table. Tables are at most half full on average, and XXH3
 * spreads the entries evenly. If a table is full anyway, that is an error, not an endless loop.
 */
#include "prep_index.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#define PLACES_MAX (UINT64_C(1) << 21) /* per table: 64 MB */
#define PLACES_MIN (UINT64_C(1) << 10)
#define BATCH      4096u /* entries read at once */
#define PAD_BYTES  16u
#define HEAD_BYTES 256u /* longer than a key, and than what rejects.tsv shows */

uint64_t prep_index_hash(struct span key) {
    return hash_bytes(key.at, key.n);
}

enum status prep_index_create(struct prep_index *x, const char *dir, const char *common) {
    char path[PATH_BYTES_MAX];
    *x = (struct prep_index){
        .entries = FILE_CLOSED, .common = FILE_CLOSED, .places_max = PLACES_MAX};
    TRY(path_join(path, dir, "common.entries"));
    TRY(file_open_read(&x->common, common));
    return file_open_private(&x->entries, path);
}

void prep_index_close(struct prep_index *x) {
    file_unmap(x->table, x->table_bytes);
    x->table = NULL;
    file_close(&x->entries);
    file_close(&x->common);
}

enum status prep_index_add(struct prep_index *x, const struct buf *entries) {
    x->count += entries->len / sizeof(struct index_entry);
    return file_write(&x->entries, entries->data, entries->len);
}

/* Gives the table of a hash (by its high bits) and its place there (by its low bits). */
static uint64_t table_of(const struct prep_index *x, uint64_t hash) {
    return (uint64_t)(((unsigned __int128)hash * x->tables) >> 64);
}

/* --- building --------------------------------------------------------------------------------- */

struct builder {
    struct prep_index *x;
    struct index_entry *table, *batch;
    uint64_t used;
    uint64_t number; /* number of the table */
    enum status (*duplicate)(void *arg, const struct index_entry *e, struct span head);
    void *arg;
};

/* Reads the first bytes of an entry's line. */
static enum status read_head(const struct prep_index *x, const struct index_entry *e, char *head,
                             size_t *n) {
    *n = e->bytes < HEAD_BYTES ? e->bytes : HEAD_BYTES;
    return file_pread(&x->common, head, *n, e->offset);
}

static enum status same_key(const struct prep_index *x, const struct index_entry *a,
                            const struct index_entry *b, bool *same) {
    char left[HEAD_BYTES], right[HEAD_BYTES];
    size_t n_left = 0, n_right = 0;
    *same = false;
    if (a->hash != b->hash || a->key_bytes != b->key_bytes) {
        return OK;
    }
    TRY(read_head(x, a, left, &n_left));
    TRY(read_head(x, b, right, &n_right));
    *same =
        n_left >= a->key_bytes && n_right >= a->key_bytes && memcmp(left, right, a->key_bytes) == 0;
    return OK;
}

static enum status index_enter(struct builder *b, const struct index_entry *e) {
    uint64_t at = e->hash & (b->x->places - 1);
    char head[HEAD_BYTES];
    size_t n = 0;
    bool same = false;
    for (; b->table[at].bytes != 0; at = (at + 1) & (b->x->places - 1)) {
        TRY(same_key(b->x, &b->table[at], e, &same));
        if (same) {
            TRY(read_head(b->x, e, head, &n));
            return b->duplicate(b->arg, e, (struct span){head, n});
        }
    }
    if (b->used + 1 == b->x->places) {
        return fail(ERR_LIMIT, "%s: the common indices do not spread over the hash table",
                    b->x->common.path);
    }
    b->table[at] = *e;
    b->used++;
    return OK;
}

static enum status fill_table(struct builder *b) {
    const size_t size = sizeof(struct index_entry);
    memset(b->table, 0, b->x->places * size);
    b->used = 0;
    for (uint64_t from = 0; from < b->x->count; from += BATCH) {
        const uint64_t left = b->x->count - from;
        const size_t n = left < BATCH ? (size_t)left : BATCH;
        TRY(file_pread(&b->x->entries, b->batch, n * size, from * size));
        for (size_t k = 0; k < n; k++) {
            if (table_of(b->x, b->batch[k].hash) == b->number) {
                TRY(index_enter(b, &b->batch[k]));
            }
        }
    }
    return OK;
}

static void choose_sizes(struct prep_index *x) {
    const uint64_t wanted = 2 * x->count;
    x->places = PLACES_MIN;
    while (x->places < wanted && x->places < x->places_max) {
        x->places *= 2;
    }
    x->tables = (wanted + x->places - 1) / x->places;
    x->tables = x->tables == 0 ? 1 : x->tables;
}

enum status prep_index_build(struct prep_index *x, const char *dir,
                             enum status (*duplicate)(void *arg, const struct index_entry *e,
                                                      struct span head),
                             void *arg) {
    enum status status = OK;
    char path[PATH_BYTES_MAX];
    struct file file = FILE_CLOSED;
    struct builder b = {.x = x, .duplicate = duplicate, .arg = arg};
    const void *mapping = NULL;
    choose_sizes(x);
    TRY_OUT(path_join(path, dir, "common.table"));
    TRY_OUT(mem_array(&b.table, x->places));
    TRY_OUT(mem_array(&b.batch, BATCH));
    TRY_OUT(file_open_private(&file, path));
    for (; b.number < x->tables; b.number++) {
        TRY_OUT(fill_table(&b));
        TRY_OUT(file_write(&file, b.table, x->places * sizeof *b.table));
    }
    TRY_OUT(file_map(path, &mapping, &x->table_bytes));
    x->table = mapping;
out:
    file_close(&file);
    mem_free(&b.table);
    mem_free(&b.batch);
    return status;
}

/* --- finding ---------------------------------------------------------------------------------- */

enum status prep_index_find(const struct prep_index *x, struct span key, struct buf *line,
                            bool *found) {
    const uint64_t hash = prep_index_hash(key);
    const struct index_entry *table = x->table + table_of(x, hash) * x->places;
    *found = false;
    for (uint64_t at = hash & (x->places - 1); table[at].bytes != 0;
         at = (at + 1) & (x->places - 1)) {
        const struct index_entry *e = &table[at];
        if (e->hash != hash || e->key_bytes != key.n) {
            continue;
        }
        buf_clear(line);
        TRY(buf_reserve(line, e->bytes + PAD_BYTES));
        TRY(file_pread(&x->common, line->data, e->bytes, e->offset));
        line->len = e->bytes;
        memset(line->data + line->len, 0, PAD_BYTES);
        if (memcmp(line->data, key.at, key.n) == 0) {
            *found = true;
            return OK;
        }
    }
    return OK;
}
