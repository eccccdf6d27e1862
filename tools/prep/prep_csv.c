/* prep_csv.c - turns any delimited log into shards.
 *
 * A group is a run of consecutive rows with the same group value AND the same user cells. A log
 * that was joined from two tables repeats the user side in every row; there a group is simply the
 * run of its group value. In other logs the user cells change within the run: an hour of the day is
 * among the user fields, or a profile was updated in between. Taking the first row's user side for
 * all rows would silently change the data. So the group is split instead, which costs some storage
 * and is counted in the summary.
 */
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "prep.h"
#include "prep_classes.h"
#include "tools/log/csv_unit.h"
#include "prep_header.h"
#include "tools/log/csv_row.h"
#include "tools/log/csv_schema_file.h"
#include "prep_shards.h"

struct csv {
    struct prep_run *run;
    struct csv_schema schema;
    struct buf header; /* the file's first line that is not blank, if it is a header */
    /* used when the reader asks whether two rows are of one group */
    struct log_fields *fields;
    struct csv_row left, right;
};

struct csv_worker {
    struct csv *c;
    struct log_fields fields;
    struct csv_row row;
    struct prep_shards shards;
    struct buf identity; /* of the open group */
    size_t group_bytes;
    bool open;
};

static enum status open_worker(void *arg, void **out) {
    struct csv_worker *w = NULL;
    struct prep_run *run = arg;
    TRY(mem_new(&w));
    *out = w;
    w->c = run->format;
    log_fields_init(&w->fields, NULL);
    TRY(csv_row_init(&w->row, &w->c->schema, &w->fields));
    return prep_shards_open(&w->shards, &w->fields, run->out.dir.temporary, prep_arranges(run->o));
}

static void close_worker(void *worker) {
    struct csv_worker *w = worker;
    prep_shards_close(&w->shards);
    csv_row_fini(&w->row);
    buf_fini(&w->identity);
    mem_free(&w);
}

/* --- rows ------------------------------------------------------------------------------------- */

static bool same_group(const struct csv_worker *w) {
    const struct buf *a = &w->identity, *b = &w->row.identity;
    return w->open && w->row.groups && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Is the group value the same as before, but the user side different? */
static bool is_split(const struct csv_worker *w) {
    return w->open && w->group_bytes > 0 && w->row.groups && w->group_bytes == w->row.group_bytes &&
           memcmp(w->identity.data, w->row.identity.data, w->group_bytes) == 0;
}

static enum status open_group(struct csv_worker *w, struct prep_piece *p, uint64_t id) {
    p->tally.splits += is_split(w);
    TRY(prep_shards_group(&w->shards, w->row.groups ? csv_row_key(&w->row) : id,
                          w->row.user.features, w->row.user.count));
    buf_clear(&w->identity);
    TRY(buf_put(&w->identity, w->row.identity.data, w->row.identity.len));
    w->group_bytes = w->row.group_bytes;
    w->open = w->row.groups;
    return OK;
}

static enum status add_row(struct csv_worker *w, struct prep_piece *p, size_t i, bool fresh) {
    const struct csv_row *row = &w->row;
    const bool orphan = row->conversion && !row->click;
    p->tally.orphans += orphan;
    prep_piece_accept(p, i);
    if (orphan && w->c->run->o->drop_orphans) {
        p->tally.dropped++;
        return OK;
    }
    const uint64_t id =
        w->c->schema.impression.name[0] != '\0' ? row->impression_id : prep_piece_line(p, i);
    if (fresh) {
        TRY(open_group(w, p, id));
    }
    if (row->timed) {
        prep_tally_time(&p->tally, row->when.time, row->when.time);
        p->tally.skipped += row->skipped;
        p->tally.twice += row->twice;
    }
    const unsigned outcome = row->conversion ? LABEL_CLICK | LABEL_CONVERSION : LABEL_CLICK;
    const uint8_t labels = (uint8_t)(row->click ? outcome | row->behaviours : 0);
    TRY(prep_shards_impression(&w->shards, id, labels, row->timed ? &row->when : NULL,
                               row->item.features, row->item.count));
    return w->c->schema.weight.name[0] != '\0' ? prep_shards_weigh(&w->shards, row->weight) : OK;
}

/* A log may be several exports joined end to end; each may start with a byte order mark. */
static bool is_header(const struct csv *c, struct span record) {
    static const char mark[] = "\xef\xbb\xbf";
    if (record.n == c->header.len + 3 && memcmp(record.at, mark, 3) == 0) {
        record = (struct span){record.at + 3, record.n - 3};
    }
    return record.n == c->header.len && memcmp(record.at, c->header.data, record.n) == 0;
}

/* Takes the first line of a further file. The first file's header already decided the columns. */
static enum status take_header(const struct csv *c, struct prep_piece *p, size_t i) {
    if (is_header(c, prep_piece_record(p, i))) {
        p->tally.header += prep_piece_lines(p, i);
        return OK;
    }
    return fail(ERR_FORMAT,
                "%s: its first line is not the header of %s; files with other columns are prepared "
                "by themselves, and trained on together (--data DIR --data DIR)",
                prep_piece_file(p, i), c->run->o->input.names[0]);
}

static enum status add_record(struct csv_worker *w, struct prep_piece *p, size_t i) {
    const struct span record = prep_piece_record(p, i);
    enum reject why = REJECT_NONE;
    if (record.n == 0) {
        p->tally.blank++;
        return OK;
    }
    if (prep_piece_is_header(p, i)) {
        return take_header(w->c, p, i);
    }
    if (record.n > w->c->run->input.line_bytes_max) {
        return prep_piece_reject(p, i, REJECT_LONG);
    }
    if (prep_piece_doubtful(p, i)) {
        TRY(csv_row_read(&w->row, record, &why)); /* only for its labels */
        return prep_classes_reject(p, i, REJECT_LINES, "", csv_row_classes(&w->row));
    }
    if (w->c->header.len > 0 && is_header(w->c, record)) {
        p->tally.header += w->c->schema.skip_headers ? prep_piece_lines(p, i) : 0;
        return w->c->schema.skip_headers ? OK : prep_piece_reject(p, i, REJECT_HEADER);
    }
    TRY(csv_row_read(&w->row, record, &why));
    const bool fresh = why == REJECT_NONE && !same_group(w);
    if (fresh) {
        TRY(csv_row_user(&w->row, &why));
    }
    if (why != REJECT_NONE) {
        return prep_classes_reject(p, i, why, w->row.seen, csv_row_classes(&w->row));
    }
    prep_classes_take(&p->tally, csv_row_classes(&w->row));
    return add_row(w, p, i, fresh);
}

static enum status csv_work(void *worker, void *piece) {
    struct csv_worker *w = worker;
    struct prep_piece *p = piece;
    w->open = false;
    prep_shards_begin(&w->shards, p);
    for (size_t i = 0; i < p->count; i++) {
        TRY(add_record(w, p, i));
    }
    return prep_shards_end(&w->shards);
}

static const struct prep_workers csv_workers = {open_worker, close_worker, csv_work,
                                                offsetof(struct csv_worker, fields)};

/* --- the log ---------------------------------------------------------------------------------- */

/* A row that will be rejected belongs to the group around it. */
static bool csv_same_run(void *arg, struct span a, struct span b) {
    struct csv *c = arg;
    enum reject left = REJECT_NONE, right = REJECT_NONE;
    if (csv_row_read(&c->left, a, &left) != OK || csv_row_read(&c->right, b, &right) != OK ||
        left != REJECT_NONE || right != REJECT_NONE) {
        return true;
    }
    return c->left.groups && c->right.groups && c->left.identity.len == c->right.identity.len &&
           memcmp(c->left.identity.data, c->right.identity.data, c->left.identity.len) == 0;
}

/* Every field of the schema is in the manifest, even if no row has a value of it. So a job that
 * sets [field.x] for it runs on every day's log. */
static enum status keep_empty_fields(struct csv *c) {
    struct log_fields *all = &c->run->fields;
    const struct schema *mine = &c->fields->schema;
    uint32_t slot = 0;
    for (uint32_t k = 0; k < mine->count; k++) {
        const struct field *f = &mine->fields[k];
        TRY(log_fields_slot(all, span_of(f->name), f->side, &slot));
    }
    return OK;
}

/* Decides the unit of times from the first lines. */
static enum status decide_unit(struct csv *c) {
    struct prep_run *r = c->run;
    struct span head;
    if (!csv_unit_open(&c->schema)) {
        return OK;
    }
    const enum status status = prep_input_peek(&r->input, HEAD_BYTES, &head);
    if (status == ERR_AGAIN) {
        return fail(ERR_CLOSED, "stopped by signal %d; nothing was written", stop_signal());
    }
    TRY(status);
    return csv_unit_decide(&c->schema, r->input.name, head);
}

static enum status csv_run(struct csv *c) {
    struct prep_run *r = c->run;
    TRY(csv_schema_read(&c->schema, r->o->schema));
    TRY(prep_run_open(r, &r->o->input));
    r->input.headers = c->schema.header;
    r->input.bytes_max = PIECE_BYTES_MAX;
    r->input.quotes.quote = c->schema.quote;
    r->input.quotes.delimiter = c->schema.delimiter;
    TRY(prep_header_read(&r->input, &c->schema, &c->header, &r->tally));
    r->input.quotes.columns = c->schema.name_count;
    TRY(decide_unit(c));
    TRY(mem_new(&c->fields));
    TRY(csv_row_init(&c->left, &c->schema, c->fields));
    TRY(csv_row_init(&c->right, &c->schema, c->fields));
    r->input.records_max = (uint32_t)r->o->shard_impressions;
    r->input.same_run = csv_same_run;
    r->input.arg = c;
    r->sample_rate = c->schema.sample_rate;
    r->no_conversion = c->schema.conversion.source == LABEL_NEVER;
    r->click_all = c->schema.click.source == LABEL_ALWAYS;
    TRY(prep_run_pass(r, "rows", &csv_workers));
    TRY(prep_run_end(r, &r->log));
    TRY(keep_empty_fields(c));
    return csv_schema_fields(&c->schema, &r->schemas);
}

enum status prep_csv(struct prep_run *r) {
    struct csv *c = NULL;
    TRY(mem_new(&c));
    c->run = r;
    r->format = c;
    const enum status status = csv_run(c);
    csv_row_fini(&c->left);
    csv_row_fini(&c->right);
    mem_free(&c->fields);
    buf_fini(&c->header);
    csv_schema_free(&c->schema);
    prep_input_close(&r->input);
    r->format = NULL;
    mem_free(&c);
    return status;
}
