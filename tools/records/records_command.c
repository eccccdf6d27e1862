/* records_command.c - the command line of `esmm records`. */
#include "records_run.h"

#include <stdio.h>
#include <string.h>

#include "common/base/thread.h"
#include "common/data/shard_format.h"
#include "tools/common/tools.h"

#define SECONDS_MAX (UINT64_C(1) << 34) /* of a window or slice: 544 years */

struct records_line {
    struct records_options o;
    bool window_given;
};

static enum status records_check(void *line) {
    struct records_line *l = line;
    struct records_rule *rule = &l->o.rule;
    if (rule->stream == STREAM_FNW) {
        if (l->window_given && rule->window != 0) {
            return fail(ERR_USAGE,
                        "--stream fnw gives every click out at once: --window must be 0");
        }
        rule->window = 0;
    }
    return rule->window <= rule->attribution
               ? OK
               : fail(ERR_USAGE, "--window is longer than --attribution");
}

static void records_report(const struct records_line *l, const struct records_summary *s) {
    static const char *const names[RECORD_KINDS] = {[KIND_BOTH] = "both terms",
                                                    [KIND_CLICK] = "CTR term",
                                                    [KIND_CONVERSION] = "CTCVR term",
                                                    [KIND_LATE] = "late conversion",
                                                    [KIND_FINAL] = "final label"};
    printf("source       %llu impressions, %llu clicks, %llu conversions\n",
           (unsigned long long)s->impressions, (unsigned long long)s->clicks,
           (unsigned long long)s->conversions);
    for (uint32_t k = 1; k < RECORD_KINDS; k++) {
        if (s->counts.kinds[k] > 0) {
            printf("records      %llu %s\n", (unsigned long long)s->counts.kinds[k], names[k]);
        }
    }
    printf(
        "not counted  %llu clicks after the click window, %llu conversions after the attribution "
        "window\n",
        (unsigned long long)s->counts.clicks_late, (unsigned long long)s->counts.conversions_late);
    printf("%s: stream %s, %llu slices, %llu shards\n", l->o.out, streams_name(l->o.rule.stream),
           (unsigned long long)s->slices, (unsigned long long)s->shards);
}

static enum status records_start(void *line) {
    const struct records_line *l = line;
    struct records_summary summary;
    char why[256];
    stop_signals_install();
    const enum status status = records_run(&l->o, &summary);
    if (status == ERR_CLOSED && stop_requested()) {
        snprintf(why, sizeof why, "%s", fail_text());
        return fail(status, "%s; %s has no end", why, l->o.out);
    }
    TRY(status);
    records_report(l, &summary);
    return OK;
}

static void records_line_fini(void *line) {
    file_list_free(&((struct records_line *)line)->o.data);
}

#define AT(member) OPTION_AT(struct records_line, o.member)
static const struct option_row records_rows[] = {
    {"data", "DIR", OPTION_PATHS, AT(data), .required = true,
     .help = "shards with times (esmm prep --format csv)"},
    {"out", "DIR", OPTION_TEXT, AT(out), .required = true,
     .help = "new directory; its file `end` comes last"},
    {"stream", "S", OPTION_CHOICE, AT(rule.stream), .choices = streams_names, .required = true,
     .help = "vanilla, oracle, fnw, es-dfm, defer or dfm"},
    {"click-window", "SECONDS", OPTION_WHOLE, AT(rule.click_window), .preset = "1800",
     .most = SECONDS_MAX,
     .help = "from an impression until its click label is given out; a later click is none"},
    {"window", "SECONDS", OPTION_WHOLE, AT(rule.window), .preset = "3600", .told = "3600; fnw: 0",
     .given = offsetof(struct records_line, window_given), .most = SECONDS_MAX,
     .help = "from a click until its conversion label is given out"},
    {"attribution", "SECONDS", OPTION_WHOLE, AT(rule.attribution), .preset = "604800", .least = 1,
     .most = SECONDS_MAX, .help = "a conversion this long after its click does not count"},
    {"slice", "SECONDS", OPTION_WHOLE, AT(rule.slice), .preset = "3600", .least = 1,
     .most = SECONDS_MAX, .help = "time that a shard holds"},
    {"shard-impressions", "N", OPTION_WHOLE, AT(shard_impressions), .preset = "65536", .least = 1,
     .most = SHARD_IMPRESSIONS_MAX,
     .help = "records a shard, at most; a slice of more becomes several shards"},
    {"memory", "BYTES", OPTION_BYTES, AT(memory), .preset = "1G",
     .help = "of source shards held at once"},
    {"pause", "MS", OPTION_WHOLE, AT(pause_ms), .preset = "0", .most = 3600000,
     .help = "wait after each shard, to watch a job follow"},
    {NULL}};
const struct command command_records = {
    .name = "records",
    .summary = "shards with times into a stream of training records",
    .about = "Turns shards with times into the training records that a joiner would have emitted, "
             "in the order of time: one record shard per slice, each appearing whole. See "
             "docs/stream.md.",
    .groups = (const struct option_group[]){{NULL, records_rows}, {0}},
    .line_bytes = sizeof(struct records_line),
    .check = records_check,
    .run = records_start,
    .fini = records_line_fini};
