/* part_meta.c - encodes and decodes the META block of a part file: what the part holds, and which
 * batches it has seen. docs/format-checkpoint.md describes the layout; only this file uses it.
 * Decoding checks everything, so a decoded META is safe to compute with. */
#include "part_meta.h"

#include <assert.h>
#include <string.h>
#include "common/base/container.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/job/schema.h"

#define META_VERSION 4u /* of a delta */
#define META_CELLS   3u /* with the kinds of cells: only where some are not f32 */
#define META_F32     2u
#define META_NO_CUT  1u /* older version, without the id of the cut */

/* The number of an optimizer on disk is its position here + 1. */
static const enum optimizer_kind disk_optimizers[] = {
    OPT_SGD,  OPT_ADAM,    OPT_ADAGRAD,        OPT_ROWWISE_ADAGRAD,
    OPT_FTRL, OPT_RMSPROP, OPT_ROWWISE_RMSPROP};
#define DISK_OPTIMIZERS (sizeof disk_optimizers / sizeof disk_optimizers[0])

static uint32_t optimizer_to_disk(enum optimizer_kind kind) {
    uint32_t i = 0;
    while (i < DISK_OPTIMIZERS && disk_optimizers[i] != kind) {
        i++;
    }
    return i + 1;
}

static bool optimizer_from_disk(uint32_t number, enum optimizer_kind *kind) {
    if (number < 1 || number > DISK_OPTIMIZERS) {
        return false;
    }
    *kind = disk_optimizers[number - 1];
    return true;
}

/* The number of a kind of cells is its position here + 1. */
static const enum cell_kind disk_kinds[] = {CELLS_F32, CELLS_BF16, CELLS_U8};
#define DISK_KINDS (sizeof disk_kinds / sizeof disk_kinds[0])

static uint32_t kind_to_disk(enum cell_kind kind) {
    uint32_t i = 0;
    while (i < DISK_KINDS && disk_kinds[i] != kind) {
        i++;
    }
    return i + 1;
}

static bool kind_from_disk(uint32_t number, enum cell_kind *kind) {
    if (number < 1 || number > DISK_KINDS) {
        return false;
    }
    *kind = disk_kinds[number - 1];
    return true;
}

static bool all_f32(const struct part_meta *m) {
    for (uint32_t i = 0; i < m->table_count; i++) {
        if (m->tables[i].weights != CELLS_F32 || m->tables[i].state != CELLS_F32) {
            return false;
        }
    }
    return true;
}

/* --- out -------------------------------------------------------------------------------------- */

static enum status put_table(const struct part_table *t, uint32_t format, struct buf *out) {
    const uint32_t length = (uint32_t)strlen(t->name);
    TRY(buf_put_u32(out, length));
    TRY(buf_put(out, t->name, length));
    TRY(buf_put_u32(out, t->dim));
    TRY(buf_put_u32(out, t->state_floats));
    TRY(buf_put_u32(out, t->row_bytes));
    TRY(buf_put_u32(out, optimizer_to_disk(t->optimizer)));
    if (format < META_CELLS) {
        return OK;
    }
    TRY(buf_put_u32(out, kind_to_disk(t->weights)));
    TRY(buf_put_u32(out, kind_to_disk(t->state)));
    return format < META_VERSION ? OK : buf_put_u32(out, t->evict_age);
}

static enum status put_domain(const struct part_domain *d, uint32_t format, struct buf *out) {
    TRY(buf_put_u32(out, d->bucket_begin));
    TRY(buf_put_u32(out, d->bucket_end));
    TRY(buf_put_u64(out, d->dense_step));
    if (format == META_VERSION) {
        TRY(buf_put_u64(out, d->clock));
    }
    TRY(buf_put_u64(out, d->applied.len));
    return buf_put(out, d->applied.data, d->applied.len);
}

static uint32_t format_of(const struct part_meta *m) {
    if (m->base != 0) {
        return META_VERSION;
    }
    return !all_f32(m) ? META_CELLS : m->cut != 0 ? META_F32 : META_NO_CUT;
}

enum status part_meta_encode(const struct part_meta *m, struct buf *out) {
    const uint32_t format = format_of(m);
    assert(format < META_CELLS || m->cut != 0);
    TRY(buf_put_u32(out, format));
    TRY(buf_put_u32(out, m->bucket_begin));
    TRY(buf_put_u32(out, m->bucket_end));
    TRY(buf_put_u64(out, m->dense_begin));
    TRY(buf_put_u64(out, m->dense_end));
    TRY(buf_put_u32(out, m->dense_state));
    TRY(buf_put_u32(out, optimizer_to_disk(m->dense_optimizer)));
    TRY(buf_put_u64(out, m->dense_step));
    TRY(buf_put_u64(out, m->version));
    if (m->cut != 0) {
        TRY(buf_put_u64(out, m->cut));
    }
    if (format == META_VERSION) {
        TRY(buf_put_u64(out, m->base));
        TRY(buf_put_u32(out, m->whole));
    }
    TRY(buf_put_u32(out, m->table_count));
    TRY(buf_put_u32(out, m->domain_count));
    for (uint32_t i = 0; i < m->table_count; i++) {
        TRY(put_table(&m->tables[i], format, out));
    }
    for (uint32_t i = 0; i < m->domain_count; i++) {
        TRY(put_domain(&m->domains[i], format, out));
    }
    return OK;
}

/* --- in --------------------------------------------------------------------------------------- */

static enum status bad_meta(const char *what) {
    return fail(ERR_CORRUPT, "META of a part: %s", what);
}

static enum status get_shape(struct cursor *c, uint32_t format, struct part_table *t) {
    bool good = true;
    t->dim = cursor_u32(c);
    t->state_floats = cursor_u32(c);
    t->row_bytes = cursor_u32(c);
    good = optimizer_from_disk(cursor_u32(c), &t->optimizer);
    if (format >= META_CELLS) {
        good &= kind_from_disk(cursor_u32(c), &t->weights) && t->weights != CELLS_U8;
        good &= kind_from_disk(cursor_u32(c), &t->state);
    }
    t->evict_age = format == META_VERSION ? cursor_u32(c) : 0;
    if (!good || c->bad || t->dim == 0 || t->dim > DIM_MAX) {
        return bad_meta("a table has no good dim, optimizer or kinds of cells");
    }
    const struct row_layout l = part_row_layout(t);
    return t->state_floats == optimizer_state_floats(t->optimizer, t->dim) &&
                   t->row_bytes == l.row_bytes && t->state == l.state
               ? OK
               : bad_meta("a table's row length does not follow from dim, optimizer and cells");
}

static enum status get_table(struct cursor *c, uint32_t format, struct part_table *t) {
    const uint32_t length = cursor_u32(c);
    if (c->bad || length == 0 || length >= FIELD_NAME_MAX) {
        return bad_meta("a table's name has no good length");
    }
    const uint8_t *name = cursor_take(c, length);
    if (name == NULL || memchr(name, 0, length) != NULL) {
        return bad_meta("a table's name is short or has a NUL");
    }
    memcpy(t->name, name, length);
    return get_shape(c, format, t);
}

static enum status get_domain(struct cursor *c, uint32_t format, struct part_domain *d) {
    d->bucket_begin = cursor_u32(c);
    d->bucket_end = cursor_u32(c);
    d->dense_step = cursor_u64(c);
    d->clock = format == META_VERSION ? cursor_u64(c) : 0;
    const uint64_t bytes = cursor_u64(c);
    if (c->bad || bytes > cursor_left(c)) {
        return bad_meta("a domain is short");
    }
    return buf_put(&d->applied, cursor_take(c, (size_t)bytes), (size_t)bytes);
}

/* The minimum length of a record limits the number of records before memory is allocated for them.
 */
static enum status get_lists(struct cursor *c, uint32_t format, struct part_meta *m) {
    const uint32_t tables = cursor_u32(c), domains = cursor_u32(c);
    if (c->bad || tables > FIELDS_MAX || domains == 0 || domains > BUCKETS ||
        cursor_left(c) < (uint64_t)tables * 21 + (uint64_t)domains * 24) {
        return bad_meta("no good number of tables or domains");
    }
    TRY(mem_array(&m->tables, tables));
    TRY(mem_array(&m->domains, domains));
    for (; m->table_count < tables; m->table_count++) {
        TRY(get_table(c, format, &m->tables[m->table_count]));
    }
    uint32_t bucket = m->bucket_begin;
    while (m->domain_count < domains) {
        struct part_domain *d = &m->domains[m->domain_count++];
        TRY(get_domain(c, format, d));
        if (d->bucket_begin != bucket || d->bucket_end <= bucket) {
            return bad_meta("domains do not follow on each other");
        }
        bucket = d->bucket_end;
    }
    return bucket == m->bucket_end ? OK : bad_meta("domains do not cover the part's buckets");
}

static enum status get_base(struct cursor *c, struct part_meta *m) {
    m->base = cursor_u64(c);
    const uint32_t whole = cursor_u32(c);
    m->whole = whole == 1;
    return m->base != 0 && whole <= 1 ? OK : bad_meta("a delta does not say against what it is");
}

static enum status get_all(struct part_meta *m, struct cursor *c) {
    const uint32_t format = cursor_u32(c);
    TRY(container_version(NULL, "version of a checkpoint's part", format, META_NO_CUT,
                          META_VERSION));
    m->bucket_begin = cursor_u32(c);
    m->bucket_end = cursor_u32(c);
    m->dense_begin = cursor_u64(c);
    m->dense_end = cursor_u64(c);
    m->dense_state = cursor_u32(c);
    const bool known = optimizer_from_disk(cursor_u32(c), &m->dense_optimizer);
    m->dense_step = cursor_u64(c);
    m->version = cursor_u64(c);
    m->cut = format == META_NO_CUT ? 0 : cursor_u64(c);
    if (c->bad || (format != META_NO_CUT && m->cut == 0) || m->bucket_begin >= m->bucket_end ||
        m->bucket_end > BUCKETS || m->dense_begin > m->dense_end || !known ||
        m->dense_state != optimizer_state_floats(m->dense_optimizer, 1)) {
        return bad_meta("ranges or optimizer make no sense");
    }
    if (format == META_VERSION) {
        TRY(get_base(c, m));
    }
    TRY(get_lists(c, format, m));
    if (format == META_CELLS && all_f32(m)) {
        return bad_meta("it has version 3, but no table has other cells than f32");
    }
    return !c->bad && cursor_left(c) == 0 ? OK : bad_meta("bytes are left over");
}

enum status part_meta_decode(struct part_meta *m, const void *data, size_t bytes) {
    struct cursor c = cursor_of(data, bytes);
    memset(m, 0, sizeof *m);
    const enum status status = get_all(m, &c);
    if (status != OK) {
        part_meta_free(m);
    }
    return status;
}

void part_meta_free(struct part_meta *m) {
    for (uint32_t i = 0; m->domains != NULL && i < m->domain_count; i++) {
        buf_fini(&m->domains[i].applied);
    }
    mem_free(&m->domains);
    mem_free(&m->tables);
    m->table_count = 0;
    m->domain_count = 0;
}
