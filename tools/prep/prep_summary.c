#include "prep_summary.h"

#include "common/field/civil.h"
#include "prep_classes.h"

static enum status put_counts(const struct prep_run *r, const struct dataset *d, struct buf *out) {
    TRY(buf_printf(out, "impressions  %llu\n", (unsigned long long)d->impressions));
    TRY(buf_printf(out, "groups       %llu (%.1f impressions each)\n",
                   (unsigned long long)d->groups, prep_percent(d->impressions, d->groups) / 100));
    TRY(buf_printf(out, "clicks       %llu (%.4g %% of impressions)\n",
                   (unsigned long long)d->clicks, prep_percent(d->clicks, d->impressions)));
    TRY(d->no_conversion ? buf_printf(out, "conversions  no label of them in the log\n")
                         : buf_printf(out, "conversions  %llu (%.4g %% of clicks)\n",
                                      (unsigned long long)d->conversions,
                                      prep_percent(d->conversions, d->clicks)));
    if (d->weights.there) {
        TRY(buf_printf(out, "weights      %g to %g, in sum %.9g\n", (double)d->weights.least,
                       (double)d->weights.most, d->weights.all));
    }
    if (r->sample_rate > 0 && r->sample_rate < 1) {
        TRY(buf_printf(out, "sample rate  %g of the unclicked impressions, by the schema\n",
                       r->sample_rate));
    }
    TRY(buf_printf(out, "orphans      %llu (conversions without a click; %s)\n",
                   (unsigned long long)d->orphans,
                   r->o->drop_orphans ? "rows dropped" : "kept as no conversion"));
    if (r->log.splits > 0) {
        TRY(buf_printf(out, "split groups %llu (the user side changed within a group value)\n",
                       (unsigned long long)r->log.splits));
    }
    return OK;
}

static enum status put_times(const struct prep_run *r, const struct dataset *d, struct buf *out) {
    if (d->first_time == 0) {
        return OK;
    }
    char first[CIVIL_BYTES], last[CIVIL_BYTES];
    civil_text((int64_t)d->first_time, first);
    civil_text((int64_t)d->last_time, last);
    TRY(buf_printf(out, "times        %s to %s UTC (%llu to %llu); %s\n", first, last,
                   (unsigned long long)d->first_time, (unsigned long long)d->last_time,
                   d->fields.times));
    if (r->log.skipped + r->log.twice > 0) {
        return buf_printf(out,
                          "  %10llu  rows with a time that the zone skips (taken by the clock "
                          "before), %llu with one that it has twice (taken as the first)\n",
                          (unsigned long long)r->log.skipped, (unsigned long long)r->log.twice);
    }
    return OK;
}

/* Prints where the lines of a file went: the counts that are not 0, and their sum. */
static enum status put_lines(const char *name, const char *rows, const struct line_counts *l,
                             struct buf *out) {
    const struct {
        const char *what;
        uint64_t count;
    } parts[] = {{"header", l->header},           {"blank", l->blank}, {"rejected", l->rejected},
                 {"orphans dropped", l->dropped}, {rows, l->rows},     {"continued", l->continued}};
    const char *sign = "=";
    TRY(buf_printf(out, "%-12s %llu", name, (unsigned long long)l->lines));
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        if (parts[k].count > 0) {
            TRY(buf_printf(out, " %s %llu %s", sign, (unsigned long long)parts[k].count,
                           parts[k].what));
            sign = "+";
        }
    }
    return buf_put(out, "\n", 1);
}

static enum status put_rejects(const struct prep_run *r, const struct dataset *d, struct buf *out) {
    const struct file_list *files = r->o->input.count > 0 ? &r->o->input : &r->o->skeleton;
    const uint64_t all = d->log_lines.lines + d->common_lines.lines;
    if (files->count > 1) {
        TRY(buf_printf(out, "files        %zu, %s to %s\n", files->count, files->names[0],
                       files->names[files->count - 1]));
    }
    TRY(put_lines("lines", "impressions", &d->log_lines, out));
    if (d->common_lines.lines > 0) {
        TRY(put_lines("common lines", "rows", &d->common_lines, out));
    }
    if (r->continued_count > 0) {
        TRY(buf_printf(out, "continued    %llu lines, inside of quoted cells; the first: %s\n",
                       (unsigned long long)d->log_lines.continued,
                       (const char *)r->continued.data));
    }
    TRY(buf_printf(out, "rejected     %llu of %llu lines%s\n", (unsigned long long)d->rejected,
                   (unsigned long long)all, d->rejected > 0 ? "; see rejects.tsv" : ""));
    for (int k = 0; k < REJECTS; k++) {
        const uint64_t count = r->log.rejected[k] + r->common.rejected[k];
        if (count > 0) {
            TRY(buf_printf(out, "  %10llu  %s\n", (unsigned long long)count,
                           reject_text((enum reject)k)));
        }
    }
    return OK;
}

/* Prints how the rejects spread over the labels, if there are any: a label may have another share
 * of rejects than the log. */
static enum status put_classes(const struct prep_run *r, const struct dataset *d, struct buf *out) {
    for (uint32_t k = 0; k < CLASSES && d->rejected > 0; k++) {
        const struct class_tally *c = &r->log.class[k];
        if (c->rows > 0) {
            TRY(buf_printf(out, "  %10llu  of the %llu lines that look like a %s\n",
                           (unsigned long long)prep_rejected(c->rejected),
                           (unsigned long long)c->rows, dataset_label_name(k)));
        }
    }
    return OK;
}

static enum status put_fields(const struct prep_run *r, const struct dataset *d, struct buf *out) {
    struct schema ordered = d->schema;
    schema_finish(&ordered);
    TRY(buf_printf(out, "%-20s %-4s %14s\n", "field", "side", "values"));
    for (uint32_t f = 0; f < ordered.count; f++) {
        const struct field *field = &ordered.fields[f];
        const int slot = schema_find(&r->fields.schema, field->name);
        TRY(buf_printf(out, "%-20s %-4s %14llu", field->name, side_name(field->side),
                       (unsigned long long)r->fields.values[slot]));
        if (r->fields.plain_ids[slot] > 0) {
            TRY(buf_printf(out,
                           "; of the ids %llu had blanks, zeros before them or .0 behind, which "
                           "were cut off",
                           (unsigned long long)r->fields.plain_ids[slot]));
        }
        TRY(buf_put(out, "\n", 1));
    }
    return OK;
}

static uint64_t bytes_of(const struct dataset *d) {
    uint64_t bytes = 0;
    for (uint32_t s = 0; s < d->shard_count; s++) {
        bytes += d->shards[s].bytes;
    }
    return bytes;
}

enum status prep_summary(const struct prep_run *r, const struct dataset *d, double seconds,
                         struct buf *out) {
    TRY(put_counts(r, d, out));
    TRY(put_times(r, d, out));
    TRY(put_rejects(r, d, out));
    TRY(put_classes(r, d, out));
    TRY(put_fields(r, d, out));
    TRY(buf_printf(out, "%s: %u shards, %llu bytes\n", r->out.dir.path, d->shard_count,
                   (unsigned long long)bytes_of(d)));
    return buf_printf(out, "%.1f MB read in %.2f s: %.1f MB/s, %.0f impressions/s\n",
                      (double)r->bytes_read * 1e-6, seconds, (double)r->bytes_read * 1e-6 / seconds,
                      (double)d->impressions / seconds);
}
