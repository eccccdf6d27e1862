#include "inspect.h"

#include <stdio.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/base/text.h"
#include "tools/common/options.h"
#include "tools/common/tools.h"

#define DIFF_BYTES ((uint64_t)1 << 30)
#define TOP_MAX    1000000

enum view { VIEW_SUMMARY, VIEW_VERIFY, VIEW_KEY, VIEW_TEXT, VIEW_TOP, VIEW_HISTOGRAM, VIEW_DIFF };
struct inspect_line {
    const char *path;
    enum view view;
    const char *key, *other, *field;
    uint64_t top, memory_bytes;
    bool by_count, json, help;
    bool by_given, memory_given;
};

enum {
    I_VERIFY = 256,
    I_KEY,
    I_TEXT,
    I_TOP,
    I_BY,
    I_FIELD,
    I_HISTOGRAM,
    I_DIFF,
    I_MEMORY,
    I_JSON,
    I_HELP
};
static const struct option options[] = {
    {"verify", no_argument, NULL, I_VERIFY},       {"key", required_argument, NULL, I_KEY},
    {"text", required_argument, NULL, I_TEXT},     {"top", required_argument, NULL, I_TOP},
    {"by", required_argument, NULL, I_BY},         {"field", required_argument, NULL, I_FIELD},
    {"histogram", no_argument, NULL, I_HISTOGRAM}, {"diff", required_argument, NULL, I_DIFF},
    {"memory", required_argument, NULL, I_MEMORY}, {"json", no_argument, NULL, I_JSON},
    {"help", no_argument, NULL, I_HELP},           {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm inspect DIR [one view] [--json]\n\n"
    "Looks into a checkpoint (also a checkpoints or run directory: its newest complete one), which\n"
    "may be larger than memory, or into a directory of impression shards. Without a view: a summary.\n\n"
    "  --verify              reads everything; names file and offset of damage\n"
    "of checkpoints only:\n"
    "  --key FIELD:ID        one row, with its optimizer state\n"
    "  --text FIELD:TEXT     the same, by a value as it stands in the log\n"
    "  --top N               the rows of the largest norm\n"
    "  --by norm|count       what --top goes by; count is of updates (norm)\n"
    "  --histogram           how row norms and counts of updates are distributed\n"
    "  --field FIELD         one table for --top and --histogram\n"
    "  --diff OTHER          rows only in one, changed rows, differences per table and dense array\n"
    "  --memory BYTES        of rows that --diff holds at a time (1G)\n"
    "  --json                one JSON object instead of text\n";

static enum status choose(struct inspect_line *l, enum view view) {
    if (l->view != VIEW_SUMMARY && l->view != view) {
        return fail(ERR_USAGE,
                    "--verify, --key, --text, --top, --histogram, --diff: one at a time");
    }
    l->view = view;
    return OK;
}

static enum status apply(void *line, int option, const char *value) {
    struct inspect_line *l = line;
    switch (option) {
    case I_VERIFY: return choose(l, VIEW_VERIFY);
    case I_KEY: l->key = value; return choose(l, VIEW_KEY);
    case I_TEXT: l->key = value; return choose(l, VIEW_TEXT);
    case I_TOP: TRY(option_u64("--top", value, 1, TOP_MAX, &l->top)); return choose(l, VIEW_TOP);
    case I_BY:
        l->by_given = true;
        l->by_count = strcmp(value, "count") == 0;
        return l->by_count || strcmp(value, "norm") == 0
                   ? OK
                   : fail(ERR_USAGE, "--by is '%s', expected norm or count", value);
    case I_FIELD: l->field = value; return OK;
    case I_HISTOGRAM: return choose(l, VIEW_HISTOGRAM);
    case I_DIFF: l->other = value; return choose(l, VIEW_DIFF);
    case I_MEMORY:
        l->memory_given = true;
        return option_bytes("--memory", value, 1, UINT64_MAX / 2, &l->memory_bytes);
    case I_JSON: l->json = true; return OK;
    default: l->help = true; return OK;
    }
}

static enum status complete(const struct inspect_line *l, int arguments) {
    if (arguments != 1) {
        return fail(ERR_USAGE, "expected one directory, got %d arguments; see --help", arguments);
    }
    if (l->by_given && l->view != VIEW_TOP) {
        return fail(ERR_USAGE, "--by belongs to --top");
    }
    if (l->field != NULL && l->view != VIEW_TOP && l->view != VIEW_HISTOGRAM) {
        return fail(ERR_USAGE, "--field belongs to --top and --histogram");
    }
    if (l->memory_given && l->view != VIEW_DIFF) {
        return fail(ERR_USAGE, "--memory belongs to --diff");
    }
    return OK;
}

static enum status parse(struct inspect_line *l, int argc, char **argv) {
    *l = (struct inspect_line){.memory_bytes = DIFF_BYTES};
    TRY(options_read(argc, argv, &(struct option_set){.table = options}, apply, l, &l->help));
    if (l->help) {
        return OK;
    }
    TRY(complete(l, argc - optind));
    l->path = argv[optind];
    return OK;
}

/* --- which kind of directory ------------------------------------------------------------------ */

static bool holds_names(const char *dir, const char *prefix) {
    struct file_list list = {0};
    bool found = false;
    if (file_list_dir(&list, dir) != OK) {
        return false;
    }
    for (size_t i = 0; i < list.count; i++) {
        found = found || strncmp(list.names[i], prefix, strlen(prefix)) == 0;
    }
    file_list_free(&list);
    return found;
}

static enum status neither(const char *path) {
    return fail(ERR_NOT_FOUND,
                "%s is neither a checkpoint (or a run that has one) nor a directory of "
                "impression shards",
                path);
}

/* Both kinds have a file named manifest. The files beside it tell them apart, also when the
 * manifest is damaged; where there are none, the manifest that can be read decides. */
static enum status find_kind(const char *path, bool *shards) {
    char file[PATH_BYTES_MAX];
    struct dataset data = {0};
    struct manifest m = {0};
    *shards = false;
    if (!file_is_dir(path)) {
        return fail(ERR_NOT_FOUND, "%s is not a directory", path);
    }
    TRY(path_join(file, path, "manifest"));
    if (!file_exists(file)) {
        const enum status found = manifest_find(path, file);
        return found == ERR_NOT_FOUND ? neither(path) : found;
    }
    *shards = holds_names(path, "shard-");
    if (*shards || holds_names(path, "part-")) {
        return OK;
    }
    const bool as_checkpoint = manifest_read(&m, path) == OK;
    manifest_free(&m);
    *shards = !as_checkpoint && dataset_read(&data, path) == OK;
    dataset_free(&data);
    return as_checkpoint || *shards ? OK : neither(path);
}

/* --- the views -------------------------------------------------------------------------------- */

static enum status view_diff(const struct inspect_line *l, const struct scan *scan,
                             struct buf *out) {
    struct scan *other = NULL;
    TRY(scan_create(&other, l->other));
    const enum status status = inspect_diff(scan, other, l->memory_bytes, l->json, out);
    scan_destroy(&other);
    return status;
}

static enum status view_scan(const struct inspect_line *l, const struct scan *scan,
                             struct buf *out) {
    int slot = -1;
    if (l->field != NULL) {
        slot = schema_find(&scan->manifest.schema, l->field);
        if (slot < 0) {
            return fail(ERR_NOT_FOUND, "%s has no field '%s'", scan->dir, l->field);
        }
    }
    switch (l->view) {
    case VIEW_KEY: return inspect_key(scan, l->key, l->json, out);
    case VIEW_TEXT: return inspect_text(scan, l->key, l->json, out);
    case VIEW_TOP: return inspect_top(scan, (uint32_t)l->top, l->by_count, slot, l->json, out);
    case VIEW_HISTOGRAM: return inspect_histogram(scan, slot, l->json, out);
    case VIEW_DIFF: return view_diff(l, scan, out);
    default: return inspect_summary(scan, l->json, out);
    }
}

static enum status view_checkpoint(const struct inspect_line *l, struct buf *out) {
    struct scan *scan = NULL;
    if (l->view == VIEW_VERIFY) {
        return inspect_verify(l->path, l->json, out);
    }
    TRY(scan_create(&scan, l->path));
    const enum status status = view_scan(l, scan, out);
    scan_destroy(&scan);
    return status;
}

static enum status view(const struct inspect_line *l, struct buf *out) {
    bool shards = false;
    TRY(find_kind(l->path, &shards));
    if (!shards) {
        return view_checkpoint(l, out);
    }
    if (l->view != VIEW_SUMMARY && l->view != VIEW_VERIFY) {
        return fail(ERR_USAGE, "%s holds impression shards: only --verify applies", l->path);
    }
    return inspect_data(l->path, l->view == VIEW_VERIFY, l->json, out);
}

enum status tool_inspect(int argc, char **argv) {
    struct inspect_line l;
    struct buf out = BUF_EMPTY;
    TRY(parse(&l, argc, argv));
    if (l.help) {
        fputs(help, stdout);
        return OK;
    }
    /* A failed verification has a report too. */
    const enum status status = view(&l, &out);
    if (out.len > 0) {
        const char *text = (const char *)out.data;
        if (l.json) {
            fwrite(text, 1, out.len, stdout);
            fputs("\n", stdout);
        } else {
            text_print(stdout, text, out.len); /* a manifest has texts of its maker */
        }
    }
    buf_fini(&out);
    return status;
}
