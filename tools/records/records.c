/* records.c - the command line of `esmm records`. */
#include "records.h"

#include <stdio.h>
#include <string.h>

#include "common/base/nearest.h"
#include "common/base/thread.h"
#include "common/data/shard_format.h"
#include "tools/common/options.h"
#include "tools/common/paths.h"
#include "tools/common/tools.h"

#define SECONDS_MAX (UINT64_C(1) << 34) /* of a window or slice: 544 years */

enum {
    R_DATA = 256,
    R_OUT,
    R_STREAM,
    R_CLICK,
    R_WINDOW,
    R_ATTRIBUTION,
    R_SLICE,
    R_SHARD,
    R_MEMORY,
    R_PAUSE,
    R_HELP
};
static const struct option options[] = {{"data", required_argument, NULL, R_DATA},
                                        {"out", required_argument, NULL, R_OUT},
                                        {"stream", required_argument, NULL, R_STREAM},
                                        {"click-window", required_argument, NULL, R_CLICK},
                                        {"window", required_argument, NULL, R_WINDOW},
                                        {"attribution", required_argument, NULL, R_ATTRIBUTION},
                                        {"slice", required_argument, NULL, R_SLICE},
                                        {"shard-impressions", required_argument, NULL, R_SHARD},
                                        {"memory", required_argument, NULL, R_MEMORY},
                                        {"pause", required_argument, NULL, R_PAUSE},
                                        {"help", no_argument, NULL, R_HELP},
                                        {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm records --data DIR --out DIR --stream S [options]\n\n"
    "Turns shards with times into the training records that a joiner would have emitted, in the\n"
    "order of time: one record shard per slice, each appearing whole. See docs/stream.md.\n\n"
    "  --data DIR              shards with times (esmm prep --format csv); given often, or a pattern: all\n"
    "  --out DIR               new directory; its file `end` comes last\n"
    "  --stream S              vanilla, oracle, fnw, es-dfm, defer or dfm\n"
    "  --window SECONDS        from a click until its conversion label is given out (3600; fnw: 0)\n"
    "  --attribution SECONDS   a conversion this long after its click does not count (604800)\n"
    "  --click-window SECONDS  from an impression until its click label is given out (1800)\n"
    "  --slice SECONDS         time that a shard holds (3600)\n"
    "  --shard-impressions N   records a shard, at most; a slice of more is several (65536)\n"
    "  --memory BYTES          of source shards held at once (1G)\n"
    "  --pause MS              wait after each shard, to watch a job follow (0)\n";

struct line {
    struct records_options o;
    bool stream_given, window_given, help;
};

static enum status parse_stream(struct line *l, const char *name) {
    struct nearest n = nearest_of(name);
    for (uint32_t k = 0; k < STREAMS; k++) {
        nearest_try(&n, streams_name((enum record_stream)k));
        if (strcmp(name, streams_name((enum record_stream)k)) == 0) {
            l->o.rule.stream = (enum record_stream)k;
            l->stream_given = true;
            return OK;
        }
    }
    return fail(ERR_USAGE, "--stream is '%.40s'; the nearest is '%s'", name, n.name);
}

static enum status apply(void *line, int option, const char *value) {
    struct line *l = line;
    struct records_rule *rule = &l->o.rule;
    switch (option) {
    case R_DATA: return paths_add(&l->o.data, value);
    case R_OUT: l->o.out = value; return OK;
    case R_STREAM: return parse_stream(l, value);
    case R_CLICK: return option_u64("--click-window", value, 0, SECONDS_MAX, &rule->click_window);
    case R_WINDOW:
        l->window_given = true;
        return option_u64("--window", value, 0, SECONDS_MAX, &rule->window);
    case R_ATTRIBUTION:
        return option_u64("--attribution", value, 1, SECONDS_MAX, &rule->attribution);
    case R_SLICE: return option_u64("--slice", value, 1, SECONDS_MAX, &rule->slice);
    case R_SHARD:
        return option_u64("--shard-impressions", value, 1, SHARD_IMPRESSIONS_MAX,
                          &l->o.shard_impressions);
    case R_MEMORY: return option_bytes("--memory", value, 0, UINT64_MAX, &l->o.memory);
    case R_PAUSE: return option_u64("--pause", value, 0, 3600000, &l->o.pause_ms);
    default: l->help = true; return OK;
    }
}

static enum status complete(struct line *l) {
    struct records_rule *rule = &l->o.rule;
    if (l->o.data.count == 0 || l->o.out == NULL || !l->stream_given) {
        return fail(ERR_USAGE, "%s is missing; see --help",
                    l->o.data.count == 0 ? "--data"
                    : l->o.out == NULL   ? "--out"
                                         : "--stream");
    }
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

static enum status parse(struct line *l, int argc, char **argv) {
    *l = (struct line){
        .o = {.rule = {.click_window = 1800, .window = 3600, .attribution = 604800, .slice = 3600},
              .shard_impressions = 65536,
              .memory = UINT64_C(1) << 30}};
    static const int often[] = {R_DATA, 0};
    const struct option_set set = {.table = options, .often = often};
    TRY(options_read(argc, argv, &set, apply, l, &l->help));
    if (l->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    return complete(l);
}

static void report(const struct line *l, const struct records_summary *s) {
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

static enum status run(const struct line *l) {
    struct records_summary summary;
    stop_signals_install();
    const enum status status = records_run(&l->o, &summary);
    if (status == ERR_CLOSED && stop_requested()) {
        fprintf(stderr, "esmm records: %s; %s has no end\n", fail_text(), l->o.out);
        return OK; /* main turns the signal into the exit code */
    }
    TRY(status);
    report(l, &summary);
    return OK;
}

enum status tool_records(int argc, char **argv) {
    struct line l;
    enum status status = parse(&l, argc, argv);
    if (status == OK && l.help) {
        fputs(help, stdout);
    } else if (status == OK) {
        status = run(&l);
    }
    file_list_free(&l.o.data);
    return status;
}
