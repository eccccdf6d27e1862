#include "inspect.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/data/dataset.h"
#include "common/data/record.h"
#include "common/data/shard_info.h"
#include "common/data/shard_weights.h"
#include "tools/common/field_report.h"
#include "common/field/civil.h"

static double ratio_of(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static uint64_t data_bytes(const struct dataset *d) {
    uint64_t bytes = 0;
    for (uint32_t s = 0; s < d->shard_count; s++) {
        bytes += d->shards[s].bytes;
    }
    return bytes;
}

/* What a look into each shard shows. If a shard cannot be read, this is unknown, but that is no
 * failure: the manifest is still shown. */
struct contents {
    struct dataset_contents is;
    bool known;
    char why[512]; /* why it is not known */
};

static void data_look(const struct dataset *d, struct contents *c) {
    c->known = dataset_peek(d, &c->is) == OK;
    if (!c->known) {
        snprintf(c->why, sizeof c->why, "%s", fail_text());
    }
}

static enum status text_lines(const char *name, const struct line_counts *l, struct buf *out) {
    return l->lines == 0
               ? OK
               : buf_printf(out,
                            "%-12s %llu = %llu header + %llu blank + %llu rejected + %llu "
                            "orphans dropped + %llu rows + %llu continued\n",
                            name, (unsigned long long)l->lines, (unsigned long long)l->header,
                            (unsigned long long)l->blank, (unsigned long long)l->rejected,
                            (unsigned long long)l->dropped, (unsigned long long)l->rows,
                            (unsigned long long)l->continued);
}

static enum status text_share(const struct dataset *d, const char *name, uint32_t shards,
                              struct buf *out) {
    return shards == 0 || shards == d->shard_count
               ? buf_printf(out, "%-12s %s\n", name, shards == 0 ? "none" : "in all shards")
               : buf_printf(out, "%-12s in %u of %u shards\n", name, shards, d->shard_count);
}

static enum status text_weights(const struct dataset *d, struct buf *out) {
    const struct weight_sums *w = &d->weights;
    TRY(w->there ? buf_printf(out, "weights      %g to %g, in sum %.9g\n", (double)w->least,
                              (double)w->most, w->all)
                 : buf_printf(out, "weights      none\n"));
    return d->sample_rate < 1
               ? buf_printf(out, "sample rate  %g of the unclicked impressions were kept\n",
                            d->sample_rate)
               : OK;
}

static enum status text_contents(const struct dataset *d, const struct contents *c,
                                 struct buf *out) {
    TRY(buf_printf(out, "stream       %s\n", d->stream[0] == '\0' ? "not said" : d->stream));
    if (!c->known) {
        return buf_printf(out, "times, kinds and behaviours are unknown: %s\n\n", c->why);
    }
    TRY(text_share(d, "times", c->is.timed, out));
    if (d->first_time > 0) {
        char first[CIVIL_BYTES], last[CIVIL_BYTES];
        civil_text((int64_t)d->first_time, first);
        civil_text((int64_t)d->last_time, last);
        TRY(buf_printf(out, "             %s to %s UTC (%llu to %llu)\n", first, last,
                       (unsigned long long)d->first_time, (unsigned long long)d->last_time));
    }
    TRY(text_share(d, "kinds", c->is.records, out));
    TRY(buf_printf(out, "behaviours  "));
    for (uint32_t k = 1; k <= BEHAVIOURS_MAX; k++) {
        TRY((c->is.behaviours & LABEL_BEHAVIOUR(k)) != 0 ? buf_printf(out, " %u", k) : OK);
    }
    return buf_printf(out, c->is.behaviours == 0 ? " none\n\n" : "\n\n");
}

static enum status text_labels(const struct dataset *d, struct buf *out) {
    for (uint32_t l = 0; l < DATASET_LABELS && d->rejected > 0; l++) {
        if (d->labels[l].lines > 0) {
            TRY(buf_printf(out, "  %10llu of the %llu lines that look like a %s\n",
                           (unsigned long long)d->labels[l].rejected,
                           (unsigned long long)d->labels[l].lines, dataset_label_name(l)));
        }
    }
    return OK;
}

/* True if the manifest counts the values of each field. Manifests of older versions and of streams
 * do not. */
static bool says_values(const struct dataset *d) {
    uint64_t sum = 0;
    for (uint32_t f = 0; f < d->schema.count; f++) {
        sum += d->field_values[f];
    }
    return sum > 0 || d->values == 0;
}

static enum status data_fields(const struct dataset *d, struct buf *out) {
    const bool said = says_values(d);
    TRY(buf_printf(out, "%-20s %-4s %14s  %s\n", "field", "side", "values", "ids"));
    for (uint32_t f = 0; f < d->schema.count; f++) {
        const struct field *field = &d->schema.fields[f];
        char values[24] = "not said";
        if (said) {
            snprintf(values, sizeof values, "%llu", (unsigned long long)d->field_values[f]);
        }
        TRY(buf_printf(out, "%-20s %-4s %14s  ", field->name, side_name(field->side), values));
        TRY(field_schema_describe(field_schemas_find(&d->fields, field->name), out));
        TRY(buf_printf(out, "\n"));
    }
    return OK;
}

static enum status data_text(const struct dataset *d, const char *dir, bool verified,
                             const struct contents *c, struct buf *out) {
    TRY(buf_printf(out, "shards       %s: %u files, %llu bytes, from %s, seed %llu\n", dir,
                   d->shard_count, (unsigned long long)data_bytes(d), d->source,
                   (unsigned long long)d->seed));
    TRY(buf_printf(out, "impressions  %llu in %llu groups (%.1f a group)\n",
                   (unsigned long long)d->impressions, (unsigned long long)d->groups,
                   ratio_of(d->impressions, d->groups)));
    TRY(buf_printf(out, "clicks       %llu (%.4g %% of impressions)\n",
                   (unsigned long long)d->clicks, 100 * ratio_of(d->clicks, d->impressions)));
    TRY(d->no_conversion ? buf_printf(out, "conversions  no label of them in the log\n")
                         : buf_printf(out, "conversions  %llu (%.4g %% of clicks)\n",
                                      (unsigned long long)d->conversions,
                                      100 * ratio_of(d->conversions, d->clicks)));
    TRY(buf_printf(out, "values       %llu\norphans      %llu\nrejected     %llu\n",
                   (unsigned long long)d->values, (unsigned long long)d->orphans,
                   (unsigned long long)d->rejected));
    TRY(d->log_lines.lines > 0 ? OK : buf_printf(out, "lines        unknown\n"));
    TRY(text_lines("lines", &d->log_lines, out));
    TRY(text_lines("common lines", &d->common_lines, out));
    TRY(text_labels(d, out));
    TRY(text_weights(d, out));
    TRY(text_contents(d, c, out));
    TRY(data_fields(d, out));
    TRY(buf_printf(out, "\n%-20s %12s %10s %10s %12s %14s\n", "shard", "impressions", "groups",
                   "clicks", "conversions", "bytes"));
    for (uint32_t s = 0; s < d->shard_count; s++) {
        const struct shard_info *i = &d->shards[s];
        TRY(buf_printf(out, "%-20s %12u %10u %10u %12u %14llu\n", i->name, i->impressions,
                       i->groups, i->clicks, i->conversions, (unsigned long long)i->bytes));
    }
    return verified
               ? buf_printf(out, "\nwhole: every shard was read and agrees with the manifest\n")
               : OK;
}

static void json_shards(const struct dataset *d, struct json *j) {
    const bool said = says_values(d);
    json_open(j, "fields", '[');
    for (uint32_t f = 0; f < d->schema.count; f++) {
        json_open(j, NULL, '{');
        json_str(j, "name", d->schema.fields[f].name);
        json_str(j, "side", side_name(d->schema.fields[f].side));
        said ? json_u64(j, "values", d->field_values[f]) : json_null(j, "values");
        field_report_json(field_schemas_find(&d->fields, d->schema.fields[f].name), j);
        json_close(j);
    }
    json_close(j);
    json_open(j, "shards", '[');
    for (uint32_t s = 0; s < d->shard_count; s++) {
        const struct shard_info *i = &d->shards[s];
        json_open(j, NULL, '{');
        json_str(j, "name", i->name);
        json_u64(j, "impressions", i->impressions);
        json_u64(j, "groups", i->groups);
        json_u64(j, "clicks", i->clicks);
        json_u64(j, "conversions", i->conversions);
        json_u64(j, "values", i->values);
        json_u64(j, "bytes", i->bytes);
        json_close(j);
    }
    json_close(j);
}

static void json_weights(const struct dataset *d, struct json *j) {
    const struct weight_sums *w = &d->weights;
    json_f64(j, "sample_rate", d->sample_rate);
    if (w->there) {
        json_open(j, "weights", '{');
        json_f64(j, "least", (double)w->least);
        json_f64(j, "most", (double)w->most);
        json_f64(j, "sum", w->all);
        json_f64(j, "sum_clicked", w->clicked);
        json_f64(j, "sum_converted", w->converted);
        json_close(j);
    }
}

static void json_labels(const struct dataset *d, struct json *j) {
    json_open(j, "labels", '[');
    for (uint32_t l = 0; l < DATASET_LABELS; l++) {
        if (d->labels[l].lines > 0) {
            json_open(j, NULL, '{');
            json_str(j, "label", dataset_label_name(l));
            json_u64(j, "lines", d->labels[l].lines);
            json_u64(j, "rejected", d->labels[l].rejected);
            json_close(j);
        }
    }
    json_close(j);
}

static void json_lines(const char *name, const struct line_counts *l, struct json *j) {
    if (l->lines == 0) {
        return;
    }
    json_open(j, name, '{');
    json_u64(j, "lines", l->lines);
    json_u64(j, "header", l->header);
    json_u64(j, "blank", l->blank);
    json_u64(j, "rejected", l->rejected);
    json_u64(j, "dropped", l->dropped);
    json_u64(j, "rows", l->rows);
    json_u64(j, "continued", l->continued);
    json_close(j);
}

static void json_contents(const struct dataset *d, const struct contents *c, struct json *j) {
    json_str(j, "stream", d->stream);
    if (!c->known) {
        json_str(j, "unknown_contents", c->why);
        return;
    }
    json_u64(j, "shards_with_times", c->is.timed);
    if (d->first_time > 0) {
        json_u64(j, "first_time", d->first_time);
        json_u64(j, "last_time", d->last_time);
    }
    json_u64(j, "shards_with_kinds", c->is.records);
    json_open(j, "behaviours", '[');
    for (uint32_t k = 1; k <= BEHAVIOURS_MAX; k++) {
        if ((c->is.behaviours & LABEL_BEHAVIOUR(k)) != 0) {
            json_u64(j, NULL, k);
        }
    }
    json_close(j);
}

static enum status data_json(const struct dataset *d, const char *dir, bool verify,
                             enum status verdict, const struct contents *c, struct buf *out) {
    struct json j;
    json_begin(&j, out, false);
    json_str(&j, "kind", "shards");
    json_str(&j, "dir", dir);
    json_str(&j, "source", d->source);
    json_u64(&j, "seed", d->seed);
    json_u64(&j, "impressions", d->impressions);
    json_u64(&j, "groups", d->groups);
    json_u64(&j, "clicks", d->clicks);
    json_u64(&j, "conversions", d->conversions);
    json_u64(&j, "values", d->values);
    json_u64(&j, "orphans", d->orphans);
    json_u64(&j, "rejected", d->rejected);
    json_lines("log_lines", &d->log_lines, &j);
    json_lines("common_lines", &d->common_lines, &j);
    json_u64(&j, "bytes", data_bytes(d));
    if (verify) {
        json_bool(&j, "whole", verdict == OK);
    }
    if (verify && verdict != OK) {
        json_str(&j, "damage", fail_text());
    }
    json_weights(d, &j);
    json_contents(d, c, &j);
    json_bool(&j, "no_conversion", d->no_conversion);
    json_labels(d, &j);
    json_shards(d, &j);
    return json_end(&j);
}

enum status inspect_data(const char *dir, bool verify, bool json, struct buf *out) {
    struct dataset d = {0};
    struct contents contents = {0};
    enum status status = OK;
    TRY_OUT(dataset_read(&d, dir));
    data_look(&d, &contents); /* first, so that the verdict's failure text remains */
    const enum status verdict = verify ? dataset_verify(&d) : OK;
    if (json) {
        TRY_OUT(data_json(&d, dir, verify, verdict, &contents, out));
    } else if (verdict == OK) {
        TRY_OUT(data_text(&d, dir, verify, &contents, out));
    }
    status = verdict;
out:
    dataset_free(&d);
    return status;
}
