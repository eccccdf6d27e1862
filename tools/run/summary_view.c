#include "summary_view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/data/unseen.h"
#include "common/metric/evaluation.h"

/* Finds the object of a field by its name, written as json.h writes a key. NULL: there is none. */
static enum status find_field(const char *fields, const char *name, const char **at) {
    struct buf key = BUF_EMPTY;
    struct json j;
    json_init(&j, &key, false);
    json_str(&j, NULL, name);
    const enum status status = j.status == OK ? buf_printf(&key, ": {") : j.status;
    *at = status == OK ? strstr(fields, (const char *)key.data) : NULL;
    buf_fini(&key);
    return status;
}

static enum status read_fields(const char *fields, const struct schema *schema, struct unseen *u,
                               double *first) {
    u->fields = schema->count;
    for (uint32_t f = 0; f < schema->count; f++) {
        const char *at = NULL;
        TRY(find_field(fields, schema->fields[f].name, &at));
        if (at != NULL) {
            u->field[f].values = (uint64_t)json_number(at, "values");
            u->field[f].unseen = (uint64_t)json_number(at, "unseen");
            first[f] = json_number(at, "share_first");
        }
    }
    return OK;
}

void print_warnings(const struct buf *lines) {
    const char *at = (const char *)lines->data, *end = at + lines->len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        fprintf(stderr, "warning: %.*s\n", (int)(stop - at), at);
        at = stop + 1;
    }
}

enum status summary_view_unseen(const char *summary, const struct schema *schema) {
    const char *fields = strstr(summary, "\"fields\": {");
    struct buf table = BUF_EMPTY, doubts = BUF_EMPTY;
    struct unseen u = {0};
    double first[FIELDS_MAX] = {0};
    enum status status = OK;
    if (fields == NULL) {
        return OK;
    }
    TRY_OUT(read_fields(fields + strlen("\"fields\": {"), schema, &u, first));
    TRY_OUT(unseen_table(&u, schema, first, &table));
    TRY_OUT(unseen_doubts(&u, schema, first, &doubts));
    fwrite(table.data, 1, table.len, stdout);
    fflush(stdout);
    print_warnings(&doubts);
out:
    buf_fini(&table);
    buf_fini(&doubts);
    return status;
}

static void print_auc(const char *name, double auc) {
    if (isfinite(auc)) {
        printf("%s %.5f", name, auc);
    } else { /* a population lacks a class */
        printf("%s undefined", name);
    }
}

static void print_aucs(const char *head, const char *json) {
    printf("%s", head);
    print_auc(" ctr (all)", json_number(json, "auc_ctr"));
    print_auc("   cvr (clicked)", json_number(json, "auc_cvr_clicked"));
    print_auc("   ctcvr (all)", json_number(json, "auc_ctcvr"));
    printf("\n");
}

void summary_view_print(const char *text) {
    const double loss = json_number(text, "loss"); /* none before the first batch */
    const double rate = json_number(text, "impressions_per_s");
    printf("trained %.0f impressions in %.1f s", json_number(text, "impressions"),
           json_number(text, "seconds"));
    if (isfinite(rate)) { /* null if nothing was left to train */
        printf(" (%.0f/s)", rate);
    }
    printf(isfinite(loss) ? ", final loss %.6f\n" : "\n", loss);
    if (isfinite(json_number(text, "auc_ctr"))) {
        print_aucs("evaluation: AUC", text);
        evaluation_doubt(json_number(text, "auc_ctr"), json_number(text, "auc_cvr_clicked"),
                         json_number(text, "auc_ctcvr"));
    }
    const char *weighted = strstr(text, "\"with_weights\"");
    if (weighted != NULL) {
        print_aucs("  by weight: AUC", weighted);
    }
}

/* Reads "fields" in the pretty form in which the coordinator writes it: "NAME": { ... "share": S,
 * ... "doubtful": true. */
void summary_view_doubts(const char *summary) {
    char name[256] = "";
    double share = 0;
    for (const char *line = summary; *line != '\0';
         line += strcspn(line, "\n"), line += *line != '\0') {
        char text[512];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(line, "\n"), line);
        char *at = text + strspn(text, " ");
        const size_t n = strlen(at);
        if (n > 5 && strcmp(at + n - 4, "\": {") == 0) {
            snprintf(name, sizeof name, "%.*s", (int)(n - 5), at + 1);
        } else if (strncmp(at, "\"share\": ", 9) == 0) {
            share = 100 * strtod(at + 9, NULL);
        } else if (strncmp(at, "\"doubtful\": true", 16) == 0) {
            fprintf(stderr,
                    "warning: field '%s': the model has no row for %.4g %% of its values: see "
                    "docs/metrics.md\n",
                    name, share);
        }
    }
}
