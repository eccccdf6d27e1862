#include "synth.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/thread.h"
#include "tools/common/new_dir.h"
#include "synth_log.h"
#include "tools/common/tools.h"

/* --- all of a log ----------------------------------------------------------------------------- */

static enum status write_part(const struct world *w, const struct synth_fields *f, const char *root,
                              uint32_t part, bool progress, struct synth_summary *summary) {
    const char *name = part == 0 ? "train" : "eval";
    char dir[PATH_BYTES_MAX];
    TRY(path_join(dir, root, name));
    TRY(file_mkdirs(dir));
    const struct synth_part log = {.world = w,
                                   .fields = f,
                                   .dir = dir,
                                   .name = progress ? name : NULL,
                                   .part = part,
                                   .first_id = part == 0 ? 1 : w->config.impressions + 1,
                                   .impressions =
                                       part == 0 ? w->config.impressions : w->config.holdout};
    TRY(synth_log_write(&log, summary));
    return file_sync_dir(dir);
}

static enum status write_parts(const struct synth_config *c, const char *root, bool progress,
                               struct synth_summary summaries[2]) {
    struct synth_fields fields;
    struct world world;
    fields_init(&fields, c);
    TRY(world_init(&world, c, (uint32_t)fields.field[F_CATEGORY].n,
                   (uint32_t)fields.field[F_SHOP].n, (uint32_t)fields.field[F_BRAND].n));
    enum status status = write_part(&world, &fields, root, 0, progress, &summaries[0]);
    if (status == OK && c->holdout > 0) {
        status = write_part(&world, &fields, root, 1, progress, &summaries[1]);
    }
    world_fini(&world);
    return status;
}

enum status synth_run(const struct synth_config *c, const char *out, bool progress,
                      struct synth_summary summaries[2]) {
    struct new_dir dir = NEW_DIR_NONE;
    enum status status = OK;
    memset(summaries, 0, 2 * sizeof *summaries);
    TRY_OUT(new_dir_open(&dir, out, "synth"));
    TRY_OUT(write_parts(c, dir.temporary, progress, summaries));
    TRY_OUT(new_dir_publish(&dir));
out:
    new_dir_close(&dir);
    return status;
}

/* --- the command ------------------------------------------------------------------------------ */

static void report_part(const char *name, const struct synth_summary *s) {
    const double n = (double)s->impressions;
    printf("%-5s  %llu impressions in %llu sessions (mean %.1f), %.1f + %.1f entries, %.1f MB\n",
           name, (unsigned long long)s->impressions, (unsigned long long)s->sessions,
           n / (double)s->sessions, (double)s->common_entries / (double)s->sessions,
           (double)s->item_entries / n, (double)s->bytes * 1e-6);
    printf("       %llu clicks, CTR %.3f %% (true %.3f %%); "
           "%llu conversions, CVR %.3f %% of clicks (true %.3f %%)\n",
           (unsigned long long)s->clicks, 100 * (double)s->clicks / n, 100 * s->sum_p_ctr / n,
           (unsigned long long)s->conversions,
           s->clicks == 0 ? 0 : 100 * (double)s->conversions / (double)s->clicks,
           100 * s->sum_p_ctcvr / s->sum_p_ctr);
    printf("       mean true p_cvr %.5f over all, %.5f over clicked; p_cvr_do %.5f over all; "
           "%llu anomalies\n",
           s->sum_p_cvr / n, s->clicks == 0 ? 0 : s->sum_clicked / (double)s->clicks,
           s->sum_p_cvr_do / n, (unsigned long long)s->anomalies);
}

static void report_delays(const struct synth_config *c, const struct synth_summary *s) {
    const double late = s->conversions == 0 ? 0 : (double)s->after_day / (double)s->conversions;
    if (c->days > 0) {
        printf(
            "       %g days; %.1f %% of conversions more than a day after their click, all within "
            "%g\n",
            c->days, 100 * late, c->attribution);
    }
    if (c->drift > 0) {
        printf("       the taste for converting drifts by %g radians a day\n", c->drift);
    }
}

static void synth_report(const struct synth_config *c, const char *out,
                         const struct synth_summary summaries[2], double seconds) {
    struct synth_fields fields;
    fields_init(&fields, c);
    report_part("train", &summaries[0]);
    report_delays(c, &summaries[0]);
    if (c->holdout > 0) {
        report_part("eval", &summaries[1]);
        report_delays(c, &summaries[1]);
    }
    printf("%s: %llu feature ids, %.1f MB, %.1f s, %.0f impressions/s\n", out,
           (unsigned long long)fields.features,
           (double)(summaries[0].bytes + summaries[1].bytes) * 1e-6, seconds,
           (double)(summaries[0].impressions + summaries[1].impressions) / seconds);
}

static enum status synth_start(void *line) {
    const struct synth_line *l = line;
    struct synth_summary summaries[2];
    stop_signals_install();
    const uint64_t start_us = clock_mono_us();
    const enum status status = synth_run(&l->config, l->out, true, summaries);
    if (status == ERR_CLOSED && stop_requested()) {
        return fail(status, "stopped by signal %d; nothing was written", stop_signal());
    }
    TRY(status);
    synth_report(&l->config, l->out, summaries, (double)(clock_mono_us() - start_us) * 1e-6);
    return OK;
}

const struct command command_synth = {
    .name = "synth",
    .summary = "a raw log with known true probabilities",
    .about = "Writes a raw log in Ali-CCP's format whose true probabilities are known: DIR/train, "
             "and with --holdout DIR/eval, each with sample_skeleton.csv, common_features.csv and "
             "truth.bin; with --days log.csv, log.schema and truth.bin. The same options give the "
             "same bytes. See docs/synth.md.",
    .groups = synth_groups,
    .line_bytes = sizeof(struct synth_line),
    .init = synth_init,
    .check = synth_check,
    .run = synth_start};
