/* prep.c - `esmm prep`: a raw log into impression shards.
 *
 * Tour: prep_input cuts the log into pieces, prep_pipeline hands them to worker threads and puts
 * the results into order, prep_aliccp and prep_csv are what a worker does with a piece (aliccp_line,
 * csv_cells parse; log_fields names slots; prep_index finds common rows; prep_shards writes),
 * prep_arrange mixes or splits what came out (prep_mix, prep_split, prep_side), prep_output is the
 * directory, prep_piece the rejected lines.
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
#include "tools/common/options.h"
#include "tools/common/paths.h"
#include "prep_arrange.h"
#include "prep_classes.h"
#include "prep_doubts.h"
#include "prep_summary.h"
#include "tools/common/tools.h"

#define THREADS_DEFAULT_MAX 8 /* about 100 MB each; one reader feeds no more */

enum {
    P_FORMAT = 256,
    P_SKELETON,
    P_COMMON,
    P_SCHEMA,
    P_INPUT,
    P_OUT,
    P_SEED,
    P_ORPHANS,
    P_MAX_BAD,
    P_THREADS,
    P_SHARD,
    P_SHUFFLE,
    P_SPLIT,
    P_HELP
};
static const struct option options[] = {{"format", required_argument, NULL, P_FORMAT},
                                        {"skeleton", required_argument, NULL, P_SKELETON},
                                        {"common", required_argument, NULL, P_COMMON},
                                        {"schema", required_argument, NULL, P_SCHEMA},
                                        {"input", required_argument, NULL, P_INPUT},
                                        {"out", required_argument, NULL, P_OUT},
                                        {"seed", required_argument, NULL, P_SEED},
                                        {"orphans", required_argument, NULL, P_ORPHANS},
                                        {"max-bad", required_argument, NULL, P_MAX_BAD},
                                        {"threads", required_argument, NULL, P_THREADS},
                                        {"shard-impressions", required_argument, NULL, P_SHARD},
                                        {"shuffle", required_argument, NULL, P_SHUFFLE},
                                        {"split", required_argument, NULL, P_SPLIT},
                                        {"help", no_argument, NULL, P_HELP},
                                        {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm prep --format aliccp --skeleton FILE --common FILE --out DIR [options]\n"
    "       esmm prep --format csv --schema FILE --input FILE --out DIR [options]\n\n"
    "Turns a raw log into impression shards. A line that cannot be used is counted and listed in\n"
    "DIR/rejects.tsv. DIR is complete or absent. See docs/prep.md.\n\n"
    "  --format F            aliccp, or csv: any delimited log\n"
    "  --skeleton FILE       aliccp: impressions; may be many, as --input\n"
    "  --common FILE         aliccp: user sides by common index\n"
    "  --schema FILE         csv: what the columns are (see conf/example.schema)\n"
    "  --input FILE          csv: the log; - is standard input. A directory, a pattern, or given often: all\n"
    "                        these files, in bytewise order, are one log\n"
    "  --out DIR             new directory of shards\n"
    "  --orphans drop|zero   conversions without a click: drop the row, or no conversion (zero)\n"
    "  --max-bad PERCENT     more rejected lines than this, of all lines, stop the run (1)\n"
    "  --shuffle all|N       mixes groups over the whole log, or within windows of N impressions (the\n"
    "                        log's order)\n"
    "  --split TIME|P%       DIR/train and DIR/eval: what came before a time, and the rest; or P percent\n"
    "                        of the group keys, and the others (one set of shards)\n"
    "  --shard-impressions N impressions a shard, at most (65536)\n"
    "  --threads N           worker threads (the cores, at most 8); they do not change the output\n"
    "  --seed S              of --shuffle and --split; noted in the manifest (1)\n";

static enum status orphans(struct prep_options *o, const char *value) {
    o->drop_orphans = strcmp(value, "drop") == 0;
    return o->drop_orphans || strcmp(value, "zero") == 0
               ? OK
               : fail(ERR_USAGE, "--orphans is '%s', expected drop or zero", value);
}

static enum status max_bad(struct prep_options *o, const char *value) {
    char *end = NULL;
    o->bad_max = strtod(value, &end);
    return end != value && *end == '\0' && o->bad_max >= 0 && o->bad_max <= 100
               ? OK
               : fail(ERR_USAGE, "--max-bad is '%s', expected a percentage from 0 to 100", value);
}

static enum status shuffle(struct prep_options *o, const char *value) {
    o->shuffle = true;
    return strcmp(value, "all") == 0
               ? OK
               : option_u64("--shuffle", value, 1, UINT64_MAX / 2, &o->window);
}

static enum status apply(void *line, int option, const char *value) {
    struct prep_options *o = line;
    switch (option) {
    case P_FORMAT: o->format = value; return OK;
    case P_SKELETON: return paths_add_files(&o->skeleton, value);
    case P_COMMON: o->common = value; return OK;
    case P_SCHEMA: o->schema = value; return OK;
    case P_INPUT: return paths_add_files(&o->input, value);
    case P_OUT: o->out = value; return OK;
    case P_SEED: return option_u64("--seed", value, 0, UINT64_MAX, &o->seed);
    case P_ORPHANS: return orphans(o, value);
    case P_MAX_BAD: return max_bad(o, value);
    case P_THREADS: return option_u64("--threads", value, 1, 64, &o->threads);
    case P_SHARD:
        return option_u64("--shard-impressions", value, 1, SHARD_IMPRESSIONS_MAX,
                          &o->shard_impressions);
    case P_SHUFFLE: return shuffle(o, value);
    case P_SPLIT: o->split_text = value; return prep_split_parse(&o->split, value);
    default: o->help = true; return OK;
    }
}

static const char *first(const struct file_list *list) {
    return list->count == 0 ? NULL : list->names[0];
}

/* Standard input has one end, and a file that is read twice counts twice. */
static enum status check_files(const char *option, const struct file_list *list) {
    for (size_t k = 0; k < list->count && list->count > 1; k++) {
        if (strcmp(list->names[k], "-") == 0) {
            return fail(ERR_USAGE, "%s - is standard input, which stands alone", option);
        }
    }
    return paths_distinct(list);
}

/* The options of a format are all there, and no other's. */
static enum status complete(const struct prep_options *o) {
    if (o->format == NULL) {
        return fail(ERR_USAGE, "--format is missing: aliccp or csv; see --help");
    }
    const bool aliccp = strcmp(o->format, "aliccp") == 0;
    if (!aliccp && strcmp(o->format, "csv") != 0) {
        return fail(ERR_USAGE, "--format is '%s', expected aliccp or csv", o->format);
    }
    const struct {
        const char *name, *value;
        bool wanted, allowed;
    } rules[] = {{"--skeleton", first(&o->skeleton), aliccp, aliccp},
                 {"--common", o->common, aliccp, aliccp},
                 {"--schema", o->schema, !aliccp, !aliccp},
                 {"--input", first(&o->input), !aliccp, !aliccp},
                 {"--out", o->out, true, true}};
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        if (rules[k].wanted && rules[k].value == NULL) {
            return fail(ERR_USAGE, "%s is missing; see --help", rules[k].name);
        }
        if (!rules[k].allowed && rules[k].value != NULL) {
            return fail(ERR_USAGE, "%s does not belong to --format %s", rules[k].name, o->format);
        }
    }
    TRY(check_files("--input", &o->input));
    TRY(check_files("--skeleton", &o->skeleton));
    return aliccp && strcmp(o->common, "-") == 0
               ? fail(ERR_USAGE, "--common must be a file: it is read twice")
               : OK;
}

static enum status parse(struct prep_options *o, int argc, char **argv) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *o = (struct prep_options){
        .seed = 1, .bad_max = 1, .shard_impressions = SHARD_IMPRESSIONS_DEFAULT};
    o->threads = cores < 1                     ? 1
                 : cores > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX
                                               : (uint64_t)cores;
    static const int often[] = {P_SKELETON, P_INPUT, 0};
    const struct option_set set = {.table = options, .often = often};
    TRY(options_read(argc, argv, &set, apply, o, &o->help));
    if (o->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    return complete(o);
}

static struct line_counts lines_of(const struct prep_tally *t) {
    return (struct line_counts){.lines = t->lines,
                                .header = t->header,
                                .blank = t->blank,
                                .rejected = prep_tally_rejected(t),
                                .dropped = t->dropped,
                                .rows = t->rows,
                                .continued = t->continued};
}

/* The summary is made before the directory is published: after that nothing fails any more. */
static enum status publish(struct prep_run *r, uint64_t started_us, FILE *out) {
    struct buf summary = BUF_EMPTY, sides = BUF_EMPTY, doubts = BUF_EMPTY;
    struct dataset *d = NULL;
    enum status status = OK;
    TRY_OUT(mem_new(&d));
    d->schema = r->fields.schema;
    d->fields = r->schemas; /* stays the run's */
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
                                            .rejected = prep_class_rejected(&r->log.class[k])};
    }
    snprintf(d->source, sizeof d->source, "%s", r->o->format);
    TRY_OUT(prep_arrange(r, d, &sides, &doubts));
    TRY_OUT(prep_summary(r, d, (double)(clock_mono_us() - started_us) * 1e-6, &summary));
    TRY_OUT(buf_put(&summary, sides.data, sides.len));
    TRY_OUT(prep_doubts(r, d, &doubts));
    data_fit_log(&doubts);
    TRY_OUT(prep_output_publish(&r->out));
    text_print(out, (const char *)summary.data, summary.len); /* names of files */
out:
    buf_fini(&summary);
    buf_fini(&sides);
    buf_fini(&doubts);
    mem_free(&d);
    return status;
}

static enum status prepare(struct prep_run *r, FILE *summary) {
    const uint64_t started_us = clock_mono_us();
    TRY(prep_output_open(&r->out, r->o->out, r->o->bad_max));
    TRY(strcmp(r->o->format, "csv") == 0 ? prep_csv(r) : prep_aliccp(r));
    return publish(r, started_us, summary);
}

enum status prep_make(const struct prep_options *o, FILE *summary) {
    struct prep_run *r = NULL;
    TRY(mem_new(&r));
    r->o = o;
    r->input.file = r->out.rejects = FILE_CLOSED;
    r->out.dir = NEW_DIR_NONE;
    const enum status status = prepare(r, summary);
    prep_output_close(&r->out);
    field_schemas_free(&r->schemas);
    buf_fini(&r->continued);
    drift_fini(&r->drift);
    mem_free(&r);
    return status;
}

enum status tool_prep(int argc, char **argv) {
    struct prep_options o;
    enum status status = parse(&o, argc, argv);
    if (status == OK && o.help) {
        fputs(help, stdout);
    } else if (status == OK) {
        stop_signals_install();
        status = prep_make(&o, stdout);
    }
    file_list_free(&o.input);
    file_list_free(&o.skeleton);
    if (status == ERR_CLOSED && stop_requested()) {
        fprintf(stderr, "esmm prep: %s\n", fail_text());
        status = OK; /* main turns the signal into the exit code */
    }
    return status;
}
