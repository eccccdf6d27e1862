/* prep_aliccp.c - turns Ali-CCP's two files into shards.
 *
 * Impressions are in the skeleton. User sides are in the common file, in another order. Neither
 * file fits into memory. So the common file is read first, from front to back: every row is parsed
 * once to check it and to find its fields, and only its place is kept (prep_index.h). Then the
 * skeleton is read once. For every run of rows with one common index, a worker reads the common row
 * with one pread and parses it again. Parsing twice is cheap (some 40 % of prep's time is building
 * shards), and it finds every bad common row before the first shard is written.
 *
 * Not chosen: sorting both files by common index. It reads and writes everything once more, and it
 * would lose the order of the log.
 */
#include "common/base/mem.h"
#include "common/data/shard_format.h"
#include "prep.h"
#include "prep_classes.h"
#include "prep_index.h"
#include "tools/log/aliccp_line.h"
#include "prep_shards.h"

#define COMMON_PIECE_BYTES ((size_t)8 << 20)

struct aliccp {
    struct prep_run *run;
    struct prep_index index;
    char *common_name[1];
    struct file_list common; /* the common file */
    struct schema user;      /* the fields of the common file */
};

/* The first step of both kinds of workers for a record. If *why is REJECT_NONE, parse it. */
static bool is_line(const struct prep_run *r, struct prep_piece *p, struct span line,
                    enum reject *why) {
    if (line.n == 0) {
        p->tally.blank++;
        return false;
    }
    *why = line.n > r->input.line_bytes_max ? REJECT_LONG : REJECT_NONE;
    return true;
}

/* --- the common file -------------------------------------------------------------------------- */

struct common_worker {
    struct aliccp *a;
    struct log_fields fields;
    struct feature_list list;
};

static enum status common_open(void *arg, void **out) {
    struct common_worker *w = NULL;
    struct prep_run *run = arg;
    TRY(mem_new(&w));
    w->a = run->format;
    log_fields_init(&w->fields, NULL);
    *out = w;
    return OK;
}

static void common_close(void *worker) {
    struct common_worker *w = worker;
    feature_list_fini(&w->list);
    mem_free(&w);
}

static enum status common_line(struct common_worker *w, struct prep_piece *p, size_t i) {
    const struct span line = prep_piece_record(p, i);
    struct span key = {line.at, 0};
    enum reject why;
    if (!is_line(w->a->run, p, line, &why)) {
        return OK;
    }
    if (why == REJECT_NONE) {
        TRY(aliccp_line_common(line, &w->fields, &key, &w->list, &why));
    }
    if (why != REJECT_NONE) {
        return prep_piece_reject(p, i, why);
    }
    for (size_t k = 0; k < w->list.count; k++) {
        w->fields.values[w->list.features[k].field]++;
    }
    const struct index_entry e = {.hash = prep_index_hash(key),
                                  .offset = p->offset + p->start[i],
                                  .line = p->first_line + i, /* here a record is a line */
                                  .bytes = (uint32_t)line.n,
                                  .key_bytes = (uint32_t)key.n};
    return buf_put(&p->entries, &e, sizeof e);
}

static enum status common_work(void *worker, void *piece) {
    struct prep_piece *p = piece;
    for (size_t i = 0; i < p->count; i++) {
        TRY(common_line(worker, p, i));
    }
    return OK;
}

static const struct prep_workers common_workers = {common_open, common_close, common_work,
                                                   offsetof(struct common_worker, fields)};

static enum status common_take(struct prep_run *r, struct prep_piece *p) {
    struct aliccp *a = r->format;
    r->tally.rows += p->entries.len / sizeof(struct index_entry);
    return prep_index_add(&a->index, &p->entries);
}

static enum status reject_duplicate(void *arg, const struct index_entry *e, struct span head) {
    struct prep_run *r = arg;
    struct buf row = BUF_EMPTY;
    enum status status = reject_row(&row, r->input.name, e->line, REJECT_DUPLICATE, "", head);
    if (status == OK) {
        r->tally.rejected[REJECT_DUPLICATE]++;
        r->tally.rows--;
        status = prep_output_reject(&r->out, &row);
    }
    buf_fini(&row);
    return status;
}

static enum status read_common(struct aliccp *a) {
    struct prep_run *r = a->run;
    TRY(prep_index_create(&a->index, r->out.dir.temporary, r->o->common));
    a->common_name[0] = (char *)(uintptr_t)r->o->common; /* only read */
    a->common = (struct file_list){.names = a->common_name, .count = 1};
    TRY(prep_run_open(r, &a->common));
    if (r->input.bytes_total == 0) {
        return fail(ERR_FORMAT, "%s: is empty or no regular file", r->o->common);
    }
    r->input.records_max = SHARD_IMPRESSIONS_MAX;
    r->input.bytes_max = COMMON_PIECE_BYTES;
    r->input.exact_offsets = true;
    r->take = common_take;
    TRY(prep_run_pass(r, "common", &common_workers));
    r->take = NULL;
    TRY(prep_index_build(&a->index, r->out.dir.temporary, reject_duplicate, r));
    a->user = r->fields.schema;
    schema_finish(&a->user);
    return prep_run_end(r, &r->common);
}

/* --- the skeleton ----------------------------------------------------------------------------- */

enum run_state { RUN_NONE, RUN_MISSING, RUN_FOUND, RUN_OPEN };

struct skeleton_worker {
    struct aliccp *a;
    struct log_fields fields;
    struct feature_list user, item;
    struct prep_shards shards;
    struct buf common; /* the common row's line */
    /* the run of rows with one common index */
    enum run_state state;
    char key[KEY_BYTES_MAX];
    size_t key_bytes;
};

static enum status skeleton_open(void *arg, void **out) {
    struct skeleton_worker *w = NULL;
    struct prep_run *run = arg;
    TRY(mem_new(&w));
    *out = w;
    w->a = run->format;
    log_fields_init(&w->fields, &w->a->user);
    return prep_shards_open(&w->shards, &w->fields, run->out.dir.temporary, prep_arranges(run->o));
}

static void skeleton_close(void *worker) {
    struct skeleton_worker *w = worker;
    prep_shards_close(&w->shards);
    feature_list_fini(&w->user);
    feature_list_fini(&w->item);
    buf_fini(&w->common);
    mem_free(&w);
}

/* Begins a run: reads and parses its common row. */
static enum status begin_run(struct skeleton_worker *w, struct span key) {
    bool found = false;
    struct span again;
    enum reject why = REJECT_NONE;
    memcpy(w->key, key.at, key.n);
    w->key_bytes = key.n;
    w->state = RUN_MISSING;
    TRY(prep_index_find(&w->a->index, key, &w->common, &found));
    if (!found) {
        return OK;
    }
    const struct span line = {(const char *)w->common.data, w->common.len};
    TRY(aliccp_line_common(line, &w->fields, &again, &w->user, &why));
    if (why != REJECT_NONE) {
        return fail(ERR_CORRUPT, "%s: the row of %.*s has changed meanwhile: %s",
                    w->a->run->o->common, (int)key.n, key.at, reject_text(why));
    }
    w->state = RUN_FOUND;
    return OK;
}

static enum status both_sides(const struct skeleton_worker *w, struct prep_piece *p, size_t i,
                              uint32_t slot) {
    return fail(ERR_FORMAT, "field '%s' is on both sides: in %s, and in %s line %llu",
                w->fields.schema.fields[slot].name, w->a->run->o->common, prep_piece_file(p, i),
                (unsigned long long)prep_piece_place(p, i).line);
}

static enum status add_impression(struct skeleton_worker *w, struct prep_piece *p,
                                  const struct skeleton_line *row) {
    const bool orphan = row->conversion && !row->click;
    p->tally.orphans += orphan;
    if (orphan && w->a->run->o->drop_orphans) {
        p->tally.dropped++;
        return OK;
    }
    if (w->state == RUN_FOUND) {
        TRY(prep_shards_group(&w->shards, field_number_or_hash((struct span){w->key, w->key_bytes}),
                              w->user.features, w->user.count));
        w->state = RUN_OPEN;
    }
    const uint8_t labels = !row->click        ? 0
                           : !row->conversion ? LABEL_CLICK
                                              : LABEL_CLICK | LABEL_CONVERSION;
    return prep_shards_impression(&w->shards, field_number_or_hash(row->id), labels, NULL,
                                  w->item.features, w->item.count);
}

static enum status skeleton_line(struct skeleton_worker *w, struct prep_piece *p, size_t i) {
    const struct span line = prep_piece_record(p, i);
    const uint32_t known = w->fields.schema.count;
    uint32_t slot = 0;
    struct skeleton_line row;
    enum reject why;
    if (!is_line(w->a->run, p, line, &why)) {
        return OK;
    }
    row.classes = 0;
    if (why == REJECT_NONE) {
        TRY(aliccp_line_skeleton(line, &w->fields, &row, &w->item, &why));
    }
    if (why == REJECT_NONE &&
        (w->state == RUN_NONE || !span_same(row.key, (struct span){w->key, w->key_bytes}))) {
        TRY(begin_run(w, row.key));
    }
    if (why == REJECT_NONE && w->state == RUN_MISSING) {
        log_fields_rollback(&w->fields, known);
        why = REJECT_NO_COMMON;
    }
    if (why != REJECT_NONE) {
        return prep_classes_reject(p, i, why, "", row.classes);
    }
    prep_classes_take(&p->tally, row.classes);
    return log_fields_conflict(&w->fields, w->item.features, w->item.count, SIDE_ITEM, &slot)
               ? both_sides(w, p, i, slot)
               : add_impression(w, p, &row);
}

static enum status skeleton_work(void *worker, void *piece) {
    struct skeleton_worker *w = worker;
    struct prep_piece *p = piece;
    w->state = RUN_NONE;
    prep_shards_begin(&w->shards, p);
    for (size_t i = 0; i < p->count; i++) {
        TRY(skeleton_line(w, p, i));
    }
    return prep_shards_end(&w->shards);
}

static const struct prep_workers skeleton_workers = {skeleton_open, skeleton_close, skeleton_work,
                                                     offsetof(struct skeleton_worker, fields)};

/* A line without a common index belongs to the run around it. */
static bool aliccp_same_run(void *arg, struct span a, struct span b) {
    const struct span x = aliccp_line_key(a), y = aliccp_line_key(b);
    (void)arg;
    return x.n == 0 || y.n == 0 || span_same(x, y);
}

static enum status read_skeleton(struct aliccp *a) {
    struct prep_run *r = a->run;
    TRY(prep_run_open(r, &r->o->skeleton));
    r->input.records_max = (uint32_t)r->o->shard_impressions;
    r->input.bytes_max = PIECE_BYTES_MAX;
    r->input.same_run = aliccp_same_run;
    TRY(prep_run_pass(r, "skeleton", &skeleton_workers));
    return prep_run_end(r, &r->log);
}

static enum status name_kinds(struct prep_run *r) {
    for (uint32_t k = 0; k < r->fields.schema.count; k++) {
        struct field_schema *f = NULL;
        TRY(field_schemas_add(&r->schemas, r->fields.schema.fields[k].name, &f));
        f->kind = FIELD_ALICCP;
    }
    return OK;
}

enum status prep_aliccp(struct prep_run *r) {
    struct aliccp *a = NULL;
    TRY(mem_new(&a));
    a->run = r;
    a->index = (struct prep_index){.entries = FILE_CLOSED, .common = FILE_CLOSED};
    r->format = a;
    enum status status = read_common(a);
    if (status == OK) {
        status = read_skeleton(a);
    }
    if (status == OK) {
        status = name_kinds(r);
    }
    prep_index_close(&a->index);
    prep_input_close(&r->input);
    r->format = NULL;
    mem_free(&a);
    return status;
}
