#include "export.h"

#include <stdio.h>
#include <string.h>

#include "tools/common/new_dir.h"
#include "tools/common/options.h"
#include "tools/common/tools.h"

#define WINDOW_BYTES ((uint64_t)1 << 30)

struct export_line {
    const char *checkpoint, *format, *out;
    uint64_t memory_bytes;
    bool help;
};

enum { E_FORMAT = 256, E_OUT, E_MEMORY, E_HELP };
static const struct option options[] = {{"format", required_argument, NULL, E_FORMAT},
                                        {"out", required_argument, NULL, E_OUT},
                                        {"memory", required_argument, NULL, E_MEMORY},
                                        {"help", no_argument, NULL, E_HELP},
                                        {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm export CHECKPOINT --out DIR [--format npy|dump]\n\n"
    "Writes a checkpoint in a form that other programs read (docs/export.md). CHECKPOINT is a\n"
    "checkpoint, a checkpoints directory or a run directory (its newest complete checkpoint).\n\n"
    "  --out DIR             must not exist; appears when everything is written\n"
    "  --format npy          per table ids.npy and emb.npy, dense arrays, manifest.json (default)\n"
    "  --format dump         the whole state sorted, optimizer and counters too: for comparing\n"
    "  --memory BYTES        of output held at a time (1G), beside 8 bytes for each row of a table\n";

static enum status apply(void *line, int option, const char *value) {
    struct export_line *l = line;
    switch (option) {
    case E_FORMAT: l->format = value; return OK;
    case E_OUT: l->out = value; return OK;
    case E_MEMORY: return option_bytes("--memory", value, 1, UINT64_MAX / 2, &l->memory_bytes);
    default: l->help = true; return OK;
    }
}

static enum status parse(struct export_line *l, int argc, char **argv) {
    *l = (struct export_line){.format = "npy", .memory_bytes = WINDOW_BYTES};
    TRY(options_read(argc, argv, &(struct option_set){.table = options}, apply, l, &l->help));
    if (l->help) {
        return OK;
    }
    if (argc - optind != 1) {
        return fail(ERR_USAGE, "expected one checkpoint, got %d arguments; see --help",
                    argc - optind);
    }
    l->checkpoint = argv[optind];
    if (l->out == NULL) {
        return fail(ERR_USAGE, "--out is missing: the directory to write");
    }
    if (strcmp(l->format, "npy") != 0 && strcmp(l->format, "dump") != 0) {
        return fail(ERR_USAGE, "--format is '%s', expected npy or dump", l->format);
    }
    return OK;
}

static enum status export_atomic(const struct export_line *l, const struct scan *scan) {
    struct new_dir dir = NEW_DIR_NONE;
    enum status status = OK;
    TRY_OUT(new_dir_open(&dir, l->out, "export"));
    TRY_OUT(strcmp(l->format, "npy") == 0 ? export_npy(scan, dir.temporary, l->memory_bytes)
                                          : export_dump(scan, dir.temporary, l->memory_bytes));
    TRY_OUT(new_dir_publish(&dir));
out:
    new_dir_close(&dir);
    return status;
}

enum status tool_export(int argc, char **argv) {
    struct export_line l;
    TRY(parse(&l, argc, argv));
    if (l.help) {
        fputs(help, stdout);
        return OK;
    }
    struct scan *scan = NULL;
    TRY(scan_create(&scan, l.checkpoint));
    enum status status = export_atomic(&l, scan);
    if (status == OK) {
        printf("%s: %u tables, %u dense arrays, step %llu\n", l.out, scan->tables,
               scan->layout.array_count, (unsigned long long)scan->manifest.step);
    }
    scan_destroy(&scan);
    return status;
}
