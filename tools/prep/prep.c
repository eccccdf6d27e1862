/* prep.c - `esmm prep`: turns a raw log into impression shards.
 *
 * The parts: prep_input cuts the log into pieces. pipeline.h hands them to worker threads and puts
 * the results into order. prep_aliccp and prep_csv are what a worker does with a piece: aliccp_line
 * and csv_cells parse, log_fields maps names to slots, prep_index finds common rows, prep_shards
 * writes. prep_arrange mixes or splits the resulting shards (prep_mix, prep_split, prep_side).
 * prep_output is the output directory. prep_piece handles the rejected lines.
 */
#include "prep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/data/data_fit.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/thread.h"
#include "common/data/shard_format.h"
#include "tools/common/paths.h"
#include "prep_arrange.h"
#include "prep_classes.h"
#include "prep_doubts.h"
#include "prep_summary.h"
#include "tools/common/tools.h"

#define THREADS_DEFAULT_MAX 8 /* about 100 MB each; one reader cannot feed more */

static const char *first(const struct file_list *list) {
    return list->count == 0 ? NULL : list->names[0];
}

/* Standard input can be read only once, and a file that is given twice would count twice. */
static enum status check_files(const char *option, const struct file_list *list) {
    for (size_t k = 0; k < list->count && list->count > 1; k++) {
        if (strcmp(list->names[k], "-") == 0) {
            return fail(ERR_USAGE, "%s - is standard input, which stands alone", option);
        }
    }
    return paths_distinct(list);
}

/* Checks that all options of the format are given, and none of another format. */
static enum status prep_check(void *line) {
    const struct prep_options *o = line;
    const bool aliccp = strcmp(o->format, "aliccp") == 0;
    const struct {
        const char *name, *value;
        bool wanted;
    } rules[] = {{"--skeleton", first(&o->skeleton), aliccp},
                 {"--common", o->common, aliccp},
                 {"--schema", o->schema, !aliccp},
                 {"--input", first(&o->input), !aliccp}};
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        if (rules[k].wanted && rules[k].value == NULL) {
            return fail(ERR_USAGE, "%s is missing; see --help", rules[k].name);
        }
        if (!rules[k].wanted && rules[k].value != NULL) {
            return fail(ERR_USAGE, "%s does not belong to --format %s", rules[k].name, o->format);
        }
    }
    TRY(check_files("--input", &o->input));
    TRY(check_files("--skeleton", &o->skeleton));
    return aliccp && strcmp(o->common, "-") == 0
               ? fail(ERR_USAGE, "--common must be a file: it is read twice")
               : OK;
}

static struct line_counts lines_of(const struct prep_tally *t) {
    return (struct line_counts){.lines = t->lines,
                                .header = t->header,
                                .blank = t->blank,
                                .rejected = prep_rejected(t->rejected),
                                .dropped = t->dropped,
                                .rows = t->rows,
                                .continued = t->continued};
}

/* The summary is made before the directory is published, because nothing may fail after that. */
static enum status prep_publish(struct prep_run *r, uint64_t started_us, FILE *out) {
    struct buf summary = BUF_EMPTY, sides = BUF_EMPTY, doubts = BUF_EMPTY;
    struct dataset *d = NULL;
    enum status status = OK;
    TRY_OUT(mem_new(&d));
    d->schema = r->fields.schema;
    d->fields = r->schemas; /* still owned by the run */
    memcpy(d->field_values, r->fields.values, sizeof d->field_values);
    d->seed = r->o->seed;
    d->sample_rate = r->sample_rate;
    d->no_conversion = r->no_conversion;
    d->log_lines = lines_of(&r->log);
    d->common_lines = lines_of(&r->common);
    d->orphans = r->log.orphans;
    d->first_time = r->log.first_time;
    d->last_time = r->log.last_time;
    d->rejected = d->log_lines.rejected + d->common_lines.rejected;
    for (uint32_t k = 0; k < DATASET_LABELS; k++) {
        d->labels[k] = (struct label_lines){.lines = r->log.class[k].rows,
                                            .rejected = prep_rejected(r->log.class[k].rejected)};
    }
    snprintf(d->source, sizeof d->source, "%s", r->o->format);
    TRY_OUT(prep_arrange(r, d, &sides, &doubts));
    TRY_OUT(prep_summary(r, d, (double)(clock_mono_us() - started_us) * 1e-6, &summary));
    TRY_OUT(buf_put(&summary, sides.data, sides.len));
    TRY_OUT(prep_doubts(r, d, &doubts));
    data_fit_log(&doubts);
    TRY_OUT(prep_output_publish(&r->out));
    text_print(out, (const char *)summary.data, summary.len); /* it contains file names */
out:
    buf_fini(&summary);
    buf_fini(&sides);
    buf_fini(&doubts);
    mem_free(&d);
    return status;
}

static enum status prep_whole(struct prep_run *r, FILE *summary) {
    const uint64_t started_us = clock_mono_us();
    TRY(prep_output_open(&r->out, r->o->out, r->o->bad_max));
    TRY(strcmp(r->o->format, "csv") == 0 ? prep_csv(r) : prep_aliccp(r));
    return prep_publish(r, started_us, summary);
}

enum status prep_make(const struct prep_options *o, FILE *summary) {
    struct prep_run *r = NULL;
    TRY(mem_new(&r));
    r->o = o;
    r->input.file = r->out.rejects = FILE_CLOSED;
    r->out.dir = NEW_DIR_NONE;
    const enum status status = prep_whole(r, summary);
    prep_output_close(&r->out);
    field_schemas_free(&r->schemas);
    buf_fini(&r->continued);
    drift_fini(&r->drift);
    mem_free(&r);
    return status;
}

static enum status prep_start(void *line) {
    stop_signals_install();
    return prep_make(line, stdout);
}

static enum status prep_take_split(void *line, const char *value) {
    struct prep_options *o = line;
    o->split_text = value;
    return prep_split_parse(&o->split, value);
}

static void prep_init(void *line) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    ((struct prep_options *)line)->threads = cores < 1                     ? 1
                                             : cores > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX
                                                                           : (uint64_t)cores;
}

static void prep_fini(void *line) {
    struct prep_options *o = line;
    file_list_free(&o->input);
    file_list_free(&o->skeleton);
}

#define AT(member) OPTION_AT(struct prep_options, member)
static const char *const prep_formats[] = {"aliccp", "csv", NULL};
static const char *const prep_orphans[] = {"zero", "drop", NULL};
static const struct option_row prep_rows[] = {
    {"format", "F", OPTION_TEXT, AT(format), .choices = prep_formats, .required = true,
     .help = "aliccp, or csv: any delimited log"},
    {"skeleton", "FILE", OPTION_FILES, AT(skeleton),
     .help = "aliccp: impressions; - is standard input"},
    {"common", "FILE", OPTION_TEXT, AT(common), .help = "aliccp: user sides by common index"},
    {"schema", "FILE", OPTION_TEXT, AT(schema),
     .help = "csv: what the columns are (see conf/example.schema)"},
    {"input", "FILE", OPTION_FILES, AT(input), .help = "csv: the log; - is standard input"},
    {"out", "DIR", OPTION_TEXT, AT(out), .required = true, .help = "new directory of shards"},
    {"orphans", NULL, OPTION_CHOICE, AT(drop_orphans), .choices = prep_orphans, .preset = "zero",
     .help = "conversions without a click: take them for no conversion, or drop the row"},
    {"max-bad", "PERCENT", OPTION_REAL, AT(bad_max), .preset = "1", .low = 0, .high = 100,
     .help = "more rejected lines than this, of all lines of the log, or of the common file, or of "
             "those that look positive, stop the run"},
    {"shuffle", "all|N", OPTION_WHOLE, AT(window), .given = offsetof(struct prep_options, shuffle),
     .least = 1, .most = UINT64_MAX / 2, .zero = "all", .told = "the log's order",
     .help = "mixes groups over the whole log, or within windows of N impressions"},
    {"split", "TIME|P%", OPTION_OWN, .take = prep_take_split, .told = "one set of shards",
     .help = "DIR/train and DIR/eval: what came before a time, and the rest; or P percent of the "
             "group keys, and the others"},
    {"shard-impressions", "N", OPTION_WHOLE, AT(shard_impressions), .preset = "65536", .least = 1,
     .most = SHARD_IMPRESSIONS_MAX, .help = "impressions a shard, at most"},
    {"threads", "N", OPTION_WHOLE, AT(threads), .told = "the cores, at most 8", .least = 1,
     .most = 64, .help = "worker threads; they do not change the output"},
    {"seed", "S", OPTION_WHOLE, AT(seed), .preset = "1",
     .help = "of --shuffle and --split; noted in the manifest"},
    {NULL}};
const struct command command_prep = {
    .name = "prep",
    .summary = "a raw log into impression shards",
    .usage = "--format aliccp --skeleton FILE --common FILE --out DIR [options]\n"
             "--format csv --schema FILE --input FILE --out DIR [options]",
    .about = "Turns a raw log into impression shards. A line that cannot be used is counted and "
             "listed in DIR/rejects.tsv. DIR is complete or absent. See docs/prep.md.",
    .groups = (const struct option_group[]){{NULL, prep_rows}, {0}},
    .line_bytes = sizeof(struct prep_options),
    .init = prep_init,
    .check = prep_check,
    .run = prep_start,
    .fini = prep_fini};
