#include "export.h"

#include <stdio.h>
#include <string.h>

#include "tools/common/new_dir.h"
#include "tools/common/tools.h"

enum export_form { EXPORT_NPY, EXPORT_DUMP };
struct export_line {
    const char *checkpoint, *out;
    enum export_form form;
    uint64_t memory_bytes;
};

static enum status export_atomic(const struct export_line *l, const struct scan *scan) {
    struct new_dir dir = NEW_DIR_NONE;
    enum status status = OK;
    TRY_OUT(new_dir_open(&dir, l->out, "export"));
    TRY_OUT(l->form == EXPORT_NPY ? export_npy(scan, dir.temporary, l->memory_bytes)
                                  : export_dump(scan, dir.temporary, l->memory_bytes));
    TRY_OUT(new_dir_publish(&dir));
out:
    new_dir_close(&dir);
    return status;
}

static enum status export_start(void *line) {
    const struct export_line *l = line;
    struct scan *scan = NULL;
    TRY(scan_create(&scan, l->checkpoint));
    enum status status = export_atomic(l, scan);
    if (status == OK) {
        printf("%s: %u tables, %u dense arrays, step %llu\n", l->out, scan->tables,
               scan->layout.array_count, (unsigned long long)scan->manifest.step);
    }
    scan_destroy(&scan);
    return status;
}

static const char *const export_forms[] = {"npy", "dump", NULL};
static const struct option_row export_rows[] = {
    {"CHECKPOINT", "CHECKPOINT", OPTION_TEXT, OPTION_AT(struct export_line, checkpoint),
     .argument = true, .required = true,
     .help = "a checkpoint, a checkpoints directory or a run directory (its newest complete "
             "checkpoint)"},
    {"out", "DIR", OPTION_TEXT, OPTION_AT(struct export_line, out), .required = true,
     .help = "must not exist; appears when everything is written"},
    {"format", NULL, OPTION_CHOICE, OPTION_AT(struct export_line, form), .choices = export_forms,
     .preset = "npy",
     .help =
         "npy: per table ids.npy and emb.npy, dense arrays, manifest.json; dump: the whole state "
         "sorted, optimizer and counters too, for comparing"},
    {"memory", "BYTES", OPTION_BYTES, OPTION_AT(struct export_line, memory_bytes), .preset = "1G",
     .least = 1, .most = UINT64_MAX / 2,
     .help = "of output held at a time, beside 8 bytes for each row of a table"},
    {NULL}};
const struct command command_export = {
    .name = "export",
    .summary = "a checkpoint as npy arrays",
    .about = "Writes a checkpoint in a form that other programs read. See docs/export.md.",
    .groups = (const struct option_group[]){{NULL, export_rows}, {0}},
    .line_bytes = sizeof(struct export_line),
    .run = export_start};
