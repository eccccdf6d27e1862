#include "inspect.h"

#include <stdio.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/base/text.h"
#include "tools/common/tools.h"

enum view { VIEW_SUMMARY, VIEW_VERIFY, VIEW_KEY, VIEW_TEXT, VIEW_TOP, VIEW_HISTOGRAM, VIEW_DIFF };
enum inspect_by { BY_NORM, BY_COUNT };
struct inspect_line {
    const char *path;
    enum view view;
    bool verify, histogram;
    const char *key, *text, *other, *field;
    uint32_t top;
    uint64_t memory_bytes;
    enum inspect_by by;
    bool json, by_given, memory_given;
};

static enum status inspect_choose(struct inspect_line *l) {
    const bool wanted[] = {
        [VIEW_VERIFY] = l->verify, [VIEW_KEY] = l->key != NULL,     [VIEW_TEXT] = l->text != NULL,
        [VIEW_TOP] = l->top > 0,   [VIEW_HISTOGRAM] = l->histogram, [VIEW_DIFF] = l->other != NULL};
    for (uint32_t k = VIEW_VERIFY; k <= VIEW_DIFF; k++) {
        if (wanted[k] && l->view != VIEW_SUMMARY) {
            return fail(ERR_USAGE,
                        "--verify, --key, --text, --top, --histogram, --diff: one at a time");
        }
        l->view = wanted[k] ? k : l->view;
    }
    return OK;
}

static enum status inspect_check(void *line) {
    struct inspect_line *l = line;
    TRY(inspect_choose(l));
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

/* Finds out which kind of directory it is. Both kinds have a file named manifest. The other files
 * tell them apart, even when the manifest is damaged. If there are no other files, the kind whose
 * manifest can be read is taken. */
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
    case VIEW_TEXT: return inspect_text(scan, l->text, l->json, out);
    case VIEW_TOP: return inspect_top(scan, l->top, l->by == BY_COUNT, slot, l->json, out);
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

static enum status inspect_view(const struct inspect_line *l, struct buf *out) {
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

static enum status inspect_start(void *line) {
    const struct inspect_line *l = line;
    struct buf out = BUF_EMPTY;
    /* A failed verification also has a report. */
    const enum status status = inspect_view(l, &out);
    if (out.len > 0) {
        const char *text = (const char *)out.data;
        if (l->json) {
            fwrite(text, 1, out.len, stdout);
            fputs("\n", stdout);
        } else {
            text_print(stdout, text, out.len); /* a manifest holds texts from its maker */
        }
    }
    buf_fini(&out);
    return status;
}

#define AT(member) OPTION_AT(struct inspect_line, member)
static const char *const inspect_bys[] = {[BY_NORM] = "norm", [BY_COUNT] = "count", NULL};
static const struct option_row inspect_rows[] = {
    {"DIR", "DIR", OPTION_TEXT, AT(path), .argument = true, .required = true,
     .help =
         "a checkpoint, a checkpoints or run directory (its newest complete one), or impression "
         "shards"},
    {"verify", NULL, OPTION_FLAG, AT(verify),
     .help = "reads everything; names file and offset of damage"},
    {"json", NULL, OPTION_FLAG, AT(json), .help = "one JSON object instead of text"},
    {NULL}};
static const struct option_row checkpoint_rows[] = {
    {"key", "FIELD:ID", OPTION_TEXT, AT(key), .help = "one row, with its optimizer state"},
    {"text", "FIELD:TEXT", OPTION_TEXT, AT(text),
     .help = "the same, by a value as it stands in the log"},
    {"top", "N", OPTION_WHOLE, AT(top), .least = 1, .most = 1000000,
     .help = "the rows of the largest norm"},
    {"by", NULL, OPTION_CHOICE, AT(by), .given = offsetof(struct inspect_line, by_given),
     .choices = inspect_bys, .preset = "norm", .help = "what --top goes by; count is of updates"},
    {"histogram", NULL, OPTION_FLAG, AT(histogram),
     .help = "how row norms and counts of updates are distributed"},
    {"field", "FIELD", OPTION_TEXT, AT(field), .help = "one table for --top and --histogram"},
    {"diff", "OTHER", OPTION_TEXT, AT(other),
     .help = "rows only in one, changed rows, differences per table and dense array"},
    {"memory", "BYTES", OPTION_BYTES, AT(memory_bytes),
     .given = offsetof(struct inspect_line, memory_given), .preset = "1G", .least = 1,
     .most = UINT64_MAX / 2, .help = "of rows that --diff holds at a time"},
    {NULL}};
const struct command command_inspect = {
    .name = "inspect",
    .summary = "look into a checkpoint or a shard directory",
    .usage = "DIR [one view] [--json]",
    .about = "Looks into a checkpoint, which may be larger than memory, or into a directory of "
             "impression shards. Without a view: a summary. See docs/checkpoints.md.",
    .groups = (const struct option_group[]){{NULL, inspect_rows},
                                            {"Of checkpoints only:", checkpoint_rows},
                                            {0}},
    .line_bytes = sizeof(struct inspect_line),
    .check = inspect_check,
    .run = inspect_start};
