/* prep_run.c - what every pass over a log does on the main thread. */
#include "common/thread.h"
#include "prep.h"

#define LINES_MIN 10000.0 /* of a stream of unknown length, before too many rejects end the run */

/* How many lines the file has, from what is known after some pieces: too many rejects end the run
 * early only when they are too many for the whole file. */
static double lines_expected(const struct prep_run *r) {
    const double lines = (double)r->tally.lines;
    if (r->input.bytes_total > 0 && r->bytes_taken > 0) {
        const double all = lines * (double)r->input.bytes_total / (double)r->bytes_taken;
        return all > lines ? all : lines;
    }
    return lines > LINES_MIN ? lines : LINES_MIN;
}

static enum status take(void *arg, struct prep_piece *p) {
    struct prep_run *r = arg;
    const struct shard_info *shards = (const struct shard_info *)(const void *)p->shards.data;
    prep_tally_add(&r->tally, &p->tally);
    r->bytes_taken = p->offset + p->text.len;
    for (size_t k = 0; k < p->shards.len / sizeof *shards; k++) {
        r->impressions += shards[k].impressions;
    }
    TRY(buf_put(&r->out.shards, p->shards.data, p->shards.len));
    TRY(prep_output_reject(&r->out, &p->rejects));
    if (r->take != NULL) {
        TRY(r->take(r, p));
    }
    return prep_output_check(&r->out, r->input.name, &r->tally, lines_expected(r));
}

static enum status join(void *arg, void *worker) {
    struct prep_run *r = arg;
    return prep_fields_merge(&r->fields, r->fields_of(worker));
}

static enum status tick(void *arg) {
    struct prep_run *r = arg;
    if (stop_requested()) {
        return fail(ERR_CLOSED, "stopped by signal %d; nothing was written", stop_signal());
    }
    prep_progress_show(&r->progress, r->input.bytes_read, r->impressions);
    return OK;
}

enum status prep_run_pass(struct prep_run *r, const char *what,
                          enum status (*open)(void *run, void **worker), void (*close)(void *worker),
                          enum status (*work)(void *worker, struct prep_piece *p),
                          struct prep_fields *(*fields_of)(void *worker)) {
    const struct prep_pipeline job = {.threads = (uint32_t)r->o->threads,
                                      .input = &r->input,
                                      .open = open,
                                      .close = close,
                                      .work = work,
                                      .take = take,
                                      .join = join,
                                      .tick = tick,
                                      .arg = r};
    prep_tally_add(&r->total, &r->tally);
    r->tally = (struct prep_tally){0};
    r->bytes_taken = 0;
    r->fields_of = fields_of;
    prep_fields_init(&r->fields, NULL);
    prep_progress_start(&r->progress, what, r->input.bytes_total);
    const enum status status = prep_pipeline_run(&job);
    prep_progress_end(&r->progress);
    r->bytes_read += r->input.bytes_read;
    TRY(status);
    if (r->tally.lines == 0) {
        return fail(ERR_FORMAT, "%s: is empty", r->input.name);
    }
    return prep_output_check(&r->out, r->input.name, &r->tally, (double)r->tally.lines);
}
