#include "prep_run.h"

#include "common/base/thread.h"
#include "prep_classes.h"
#include "tools/common/pipeline.h"

#define LINES_SPARE 10000.0

/* Estimates how many lines the file has, after some of its pieces. Too many rejects end the run
 * early only if they will be too many for the whole file. For a stream the rest is not known, so
 * only the lines so far count. LINES_SPARE is always added. */
static double lines_expected(const struct prep_run *r) {
    const double lines = (double)r->tally.lines;
    const double taken = (double)r->bytes_taken, total = (double)r->input.bytes_total;
    return LINES_SPARE + (total > taken && taken > 0 ? lines * total / taken : lines);
}

/* The first few are shown, so that the user notices that the log has records of several lines. */
static enum status note_continued(struct prep_run *r, const struct prep_piece *p) {
    for (uint32_t k = 0; k < p->continued_count && r->continued_count < CONTINUED_SHOWN; k++) {
        TRY(buf_printf(&r->continued, "%s%s line %llu", r->continued_count > 0 ? ", " : "",
                       p->continued[k].file, (unsigned long long)p->continued[k].line));
        r->continued_count++;
    }
    return OK;
}

static enum status run_take(void *arg, void *piece) {
    struct prep_run *r = arg;
    struct prep_piece *p = piece;
    const struct shard_info *shards = (const struct shard_info *)(const void *)p->shards.data;
    prep_tally_add(&r->tally, &p->tally);
    r->tally.lines += p->lines;
    r->bytes_taken = p->offset + p->text.len;
    for (size_t k = 0; k < p->shards.len / sizeof *shards; k++) {
        r->tally.rows += shards[k].impressions;
        r->impressions += shards[k].impressions;
    }
    TRY(buf_put(&r->out.shards, p->shards.data, p->shards.len));
    TRY(drift_add(&r->drift, &p->blocks));
    TRY(prep_output_reject(&r->out, &p->rejects));
    TRY(prep_output_classes(&r->out, p));
    TRY(note_continued(r, p));
    if (r->take != NULL) {
        TRY(r->take(r, p));
    }
    TRY(prep_output_check(&r->out, r->input.name, &r->tally, lines_expected(r)));
    TRY(prep_classes_check(&r->out, r->input.name, &r->tally, lines_expected(r)));
    prep_piece_clear(p);
    return OK;
}

static enum status run_fill(void *arg, void *piece) {
    return prep_input_next(&((struct prep_run *)arg)->input, piece);
}

static void run_fini(void *piece) {
    prep_piece_fini(piece);
}

static enum status run_join(void *arg, void *worker) {
    struct prep_run *r = arg;
    return log_fields_merge(&r->fields, (void *)((char *)worker + r->workers->fields));
}

static enum status run_tick(void *arg) {
    struct prep_run *r = arg;
    prep_progress_show(&r->progress, r->input.bytes_read, r->impressions);
    return OK;
}

enum status prep_run_open(struct prep_run *r, const struct file_list *files) {
    TRY(prep_input_open(&r->input, files));
    if (r->o->block_bytes > 0) {
        r->input.block_bytes = r->o->block_bytes;
    }
    if (r->o->line_bytes_max > 0) {
        r->input.line_bytes_max = r->o->line_bytes_max;
    }
    return OK;
}

enum status prep_run_pass(struct prep_run *r, const char *what,
                          const struct prep_workers *workers) {
    const struct pipeline job = {.name = "prep",
                                 .threads = (uint32_t)r->o->threads,
                                 .items = (uint32_t)r->o->threads + 2,
                                 .item_bytes = sizeof(struct prep_piece),
                                 .fill = run_fill,
                                 .open = workers->open,
                                 .close = workers->close,
                                 .work = workers->work,
                                 .take = run_take,
                                 .join = run_join,
                                 .tick = run_tick,
                                 .fini = run_fini,
                                 .arg = r};
    r->bytes_taken = 0;
    r->workers = workers;
    log_fields_init(&r->fields, NULL);
    prep_progress_start(&r->progress, what, r->input.bytes_total);
    const enum status status = pipeline_run(&job);
    prep_progress_end(&r->progress);
    r->bytes_read += r->input.bytes_read;
    TRY(status);
    return r->tally.lines > r->tally.header + r->tally.blank
               ? OK
               : fail(ERR_FORMAT,
                      r->tally.header > 0 ? "%s: there is no row below the header" : "%s: is empty",
                      r->input.name);
}

enum status prep_run_end(struct prep_run *r, struct prep_tally *to) {
    const struct prep_tally *t = &r->tally;
    TRY(prep_output_check(&r->out, r->input.name, t, (double)t->lines));
    TRY(prep_classes_check(&r->out, r->input.name, t, (double)t->lines));
    if (prep_tally_sum(t) != t->lines) {
        return fail(ERR_CORRUPT,
                    "%s: has %llu lines, but %llu were accounted for; this is a fault "
                    "of this program; nothing was written",
                    r->input.name, (unsigned long long)t->lines,
                    (unsigned long long)prep_tally_sum(t));
    }
    if (t->rows + t->dropped == 0) { /* possible with --max-bad 100 */
        return fail(ERR_FORMAT,
                    "%s: all %llu lines with rows were rejected; nothing was written. The "
                    "first:\n%.*s",
                    r->input.name, (unsigned long long)prep_rejected(t->rejected),
                    (int)r->out.first.len,
                    r->out.first_rows == 0 ? "" : (const char *)r->out.first.data);
    }
    prep_tally_add(to, t);
    r->tally = (struct prep_tally){0};
    prep_input_close(&r->input);
    return OK;
}
