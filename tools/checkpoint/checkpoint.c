#include "checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "common/base/lock.h"
#include "common/base/mem.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "tools/common/tools.h"

enum action { ACTION_LIST, ACTION_RM, ACTION_KEEP };
struct checkpoint_line {
    enum action action;
    const char *run;
    char **steps; /* ends with NULL; NULL: none were given */
    bool force, off, json;
};

/* --- the run ---------------------------------------------------------------------------------- */

static enum status take_rule(struct run_shelf *r) {
    char name[32], dir[PATH_BYTES_MAX];
    struct manifest *m = NULL;
    struct config *config = NULL;
    enum status status;
    manifest_dir_name(r->shelf.newest, name);
    TRY_OUT(path_join(dir, r->root, name));
    TRY_OUT(mem_new(&m));
    TRY_OUT(mem_new(&config));
    TRY_OUT(manifest_read(m, dir));
    status = manifest_config(m, dir, config);
    r->rule = retention_of(config);
    manifest_free(m);
out:
    mem_free(&m);
    mem_free(&config);
    return status;
}

enum status run_shelf_open(struct run_shelf *r, const char *path) {
    *r = (struct run_shelf){0};
    TRY(path_join(r->root, path, "checkpoints"));
    if (!file_is_dir(r->root)) {
        snprintf(r->root, sizeof r->root, "%s", path);
    }
    TRY(shelf_read(&r->shelf, r->root, UINT64_MAX));
    if (!r->shelf.any) {
        return fail(ERR_NOT_FOUND, "%s: neither a run nor its checkpoints: no step-N here reads",
                    path);
    }
    TRY(take_rule(r));
    return shelf_decide(&r->shelf, &r->rule);
}

void run_shelf_close(struct run_shelf *r) {
    shelf_free(&r->shelf);
}

/* --- one step of the command line ------------------------------------------------------------- */

static enum status find_step(const struct run_shelf *r, const char *word,
                             const struct shelf_item **out) {
    uint64_t step = 0;
    for (size_t i = 0; i < r->shelf.count; i++) {
        if (strcmp(r->shelf.items[i].name, word) == 0) {
            *out = &r->shelf.items[i];
            return OK;
        }
    }
    if (number_parse(word, NUMBER_PLAIN, &step) != NUMBER_GOOD) {
        return fail(ERR_USAGE, "'%s': expected a step, as in 400 or step-000000000400", word);
    }
    for (size_t i = 0; i < r->shelf.count; i++) {
        if (r->shelf.items[i].step == step && !r->shelf.items[i].aside) {
            *out = &r->shelf.items[i];
            return OK;
        }
    }
    return fail(ERR_NOT_FOUND, "%s has no checkpoint of step %s: see esmm checkpoint list", r->root,
                word);
}

/* --- rm --------------------------------------------------------------------------------------- */

static bool is_named(const struct run_shelf *r, char **steps, const struct shelf_item *item) {
    const struct shelf_item *named = NULL;
    for (; *steps != NULL; steps++) {
        if (find_step(r, *steps, &named) == OK && named == item) {
            return true;
        }
    }
    return false;
}

/* One that reads and stays needs it. */
static const struct shelf_item *needed_by(const struct run_shelf *r, char **steps,
                                          const struct shelf_item *item) {
    for (size_t i = 0; i < r->shelf.count; i++) {
        const struct shelf_item *other = &r->shelf.items[i];
        if (other->readable && !other->aside && other->base != 0 && other->base == item->cut &&
            !is_named(r, steps, other)) {
            return other;
        }
    }
    return NULL;
}

/* runs: a job writes into the run. */
static enum status may_go(const struct run_shelf *r, char **steps, const struct shelf_item *item,
                          bool runs) {
    const struct shelf_item *needs = needed_by(r, steps, item);
    if (item->aside) {
        return OK;
    }
    if (item->step == r->shelf.newest) {
        return fail(ERR_CONFIG, "%s is the newest checkpoint: --force deletes it all the same",
                    item->name);
    }
    if (needs != NULL) {
        return fail(ERR_CONFIG,
                    "%s needs %s: name both, or --force leaves a delta without its base",
                    needs->name, item->name);
    }
    if (runs && (item->kept & KEPT_NEWEST) != 0) {
        return fail(ERR_CONFIG,
                    "%s: a job is running and may go back to it (checkpoint.keep = %u): --force "
                    "deletes it all the same",
                    item->name, r->rule.newest);
    }
    return OK;
}

/* The newest may have been deleted: `latest` leads to what is the newest now. */
static enum status lead_latest(struct run_shelf *r) {
    char latest[PATH_BYTES_MAX], name[32];
    const uint64_t before = r->shelf.newest;
    TRY(shelf_read(&r->shelf, r->root, UINT64_MAX));
    if (!r->shelf.any || r->shelf.newest == before) {
        return OK;
    }
    manifest_dir_name(r->shelf.newest, name);
    TRY(path_join(latest, r->root, "latest"));
    return file_link_latest(name, latest);
}

/* All are looked at before the first goes. */
static enum status checkpoint_rm(const struct checkpoint_line *l, struct run_shelf *r, bool runs) {
    const struct shelf_item *item = NULL;
    for (char **step = l->steps; *step != NULL; step++) {
        TRY(find_step(r, *step, &item));
        TRY(l->force ? OK : may_go(r, l->steps, item, runs));
    }
    for (char **step = l->steps; *step != NULL; step++) {
        TRY(find_step(r, *step, &item));
        TRY(shelf_remove(r->root, item->name));
        printf("%s is deleted: %llu bytes\n", item->name, (unsigned long long)item->bytes);
    }
    return lead_latest(r);
}

/* While it deletes, no job may begin that would start from what goes. */
static enum status rm_locked(const struct checkpoint_line *l, struct run_shelf *r) {
    struct lock lock = LOCK_NONE;
    char run[PATH_BYTES_MAX];
    TRY(path_join(run, r->root, ".."));
    const enum status status = lock_take_in(&lock, run);
    if (status != OK && status != ERR_BUSY) {
        return status;
    }
    const enum status removed = checkpoint_rm(l, r, status == ERR_BUSY);
    lock_release(&lock);
    return removed;
}

/* --- keep ------------------------------------------------------------------------------------- */

static enum status checkpoint_keep(const struct checkpoint_line *l, const struct run_shelf *r) {
    const struct shelf_item *item = NULL;
    for (char **step = l->steps; *step != NULL; step++) {
        TRY(find_step(r, *step, &item));
        TRY(shelf_pin(r->root, item->name, !l->off));
        printf("%s is %s\n", item->name, l->off ? "kept no more than the rules say" : "kept");
    }
    return OK;
}

/* --- the command ------------------------------------------------------------------------------ */

static enum status checkpoint_check(void *line) {
    const struct checkpoint_line *l = line;
    const bool steps = l->steps != NULL && l->steps[0] != NULL;
    if (steps != (l->action != ACTION_LIST)) {
        return fail(ERR_USAGE, steps ? "list takes no steps" : "which steps? see --help");
    }
    for (char **s = l->steps; steps && *s != NULL; s++) {
        if ((*s)[0] == '-') {
            return fail(ERR_USAGE, "%s: options come before the steps", *s);
        }
    }
    if ((l->force && l->action != ACTION_RM) || (l->off && l->action != ACTION_KEEP) ||
        (l->json && l->action != ACTION_LIST)) {
        return fail(ERR_USAGE, "--json belongs to list, --force to rm, --off to keep");
    }
    return OK;
}

static enum status print_list(const struct checkpoint_line *l, const struct run_shelf *r) {
    struct buf out = BUF_EMPTY;
    const enum status status = checkpoint_list(r, l->json, &out);
    if (status == OK) {
        text_print(stdout, (const char *)out.data, out.len);
        fputs(l->json ? "\n" : "", stdout);
    }
    buf_fini(&out);
    return status;
}

static enum status checkpoint_start(void *line) {
    const struct checkpoint_line *l = line;
    struct run_shelf r;
    enum status status = run_shelf_open(&r, l->run);
    if (status == OK) {
        status = l->action == ACTION_LIST ? print_list(l, &r)
                 : l->action == ACTION_RM ? rm_locked(l, &r)
                                          : checkpoint_keep(l, &r);
    }
    run_shelf_close(&r);
    return status;
}

#define AT(member) OPTION_AT(struct checkpoint_line, member)
static const char *const actions[] = {"list", "rm", "keep", NULL};
static const struct option_row checkpoint_rows[] = {
    {"ACTION", "list|rm|keep", OPTION_CHOICE, AT(action), .argument = true, .required = true,
     .choices = actions, .help = "what to do"},
    {"RUN", "RUN", OPTION_TEXT, AT(run), .argument = true, .required = true,
     .help = "a run directory, or its checkpoints directory"},
    {"STEP", "STEP...", OPTION_REST, AT(steps), .argument = true,
     .help = "of rm and keep: 400 or step-000000000400; they come last"},
    {"json", NULL, OPTION_FLAG, AT(json), .help = "of list: one JSON object instead of text"},
    {"force", NULL, OPTION_FLAG, AT(force),
     .help = "of rm: also the newest, what a delta needs, and what a running job may go back to"},
    {"off", NULL, OPTION_FLAG, AT(off), .help = "of keep: takes the pin away"},
    {NULL}};
const struct command command_checkpoint = {
    .name = "checkpoint",
    .summary = "list, delete and pin the checkpoints of a run",
    .usage = "list RUN [--json]\nrm RUN [--force] STEP...\nkeep RUN [--off] STEP...",
    .about = "The checkpoints of a run: list tells what each holds and why it stays, rm deletes "
             "some, keep pins some, so that no rule deletes them.",
    .groups = (const struct option_group[]){{NULL, checkpoint_rows}, {0}},
    .line_bytes = sizeof(struct checkpoint_line),
    .check = checkpoint_check,
    .run = checkpoint_start};
