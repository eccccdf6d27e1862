/* manifest_dir.c - the directory of checkpoints: names, publishing, finding (see manifest.h).
 *
 * A reader must never find half a checkpoint, and after a crash at any point the previous
 * checkpoint must be readable. So everything is written into step-N.tmp, the manifest last. Then it
 * is renamed to step-N, then `latest` moves to it, and only then old ones are deleted (shelf.h). If
 * step-N exists already (a job resumed and made a cut at the same step), the two directories
 * exchange their names in one step. A file system that cannot do that needs two renames: the old
 * directory becomes step-N.old.tmp first. It is still complete, and it is found as long as there is
 * no step-N. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/fault/fault.h"
#include "manifest.h"

#define STEP_DIGITS    12
#define NAME_MAX_BYTES 32

void manifest_dir_name(uint64_t step, char *out) {
    snprintf(out, NAME_MAX_BYTES, "step-%0*" PRIu64, STEP_DIGITS, step);
}

bool manifest_dir_step(const char *name, uint64_t *step) {
    char again[NAME_MAX_BYTES];
    if (sscanf(name, "step-%20" SCNu64, step) != 1) {
        return false;
    }
    manifest_dir_name(*step, again);
    return strcmp(name, again) == 0;
}

static bool is_leftover(const char *name) {
    const size_t length = strlen(name);
    return strncmp(name, "step-", 5) == 0 && length > 4 && strcmp(name + length - 4, ".tmp") == 0;
}

bool manifest_is_there(const char *dir) {
    char path[PATH_BYTES_MAX];
    return path_join(path, dir, "manifest") == OK && file_exists(path);
}

/* Whether the name is step-N.old.tmp and there is no step-N after a crash: then it is a checkpoint.
 */
static bool stepped_aside(const char *root, const char *name, uint64_t *step) {
    static const char end[] = ".old.tmp";
    char plain[NAME_MAX_BYTES], path[PATH_BYTES_MAX];
    const size_t n = strlen(name), tail = sizeof end - 1;
    if (n <= tail || n - tail >= sizeof plain || strcmp(name + n - tail, end) != 0) {
        return false;
    }
    snprintf(plain, sizeof plain, "%.*s", (int)(n - tail), name);
    return manifest_dir_step(plain, step) && path_join(path, root, plain) == OK &&
           !manifest_is_there(path);
}

/* --- publishing ------------------------------------------------------------------------------- */

void manifest_sweep(const char *root) {
    char path[PATH_BYTES_MAX];
    struct file_list list = {0};
    uint64_t step;
    if (file_list_dir(&list, root) != OK) {
        log_warn("what is left of checkpoints stays: %s", fail_text());
    }
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.names[i];
        if (is_leftover(name) && !stepped_aside(root, name, &step) &&
            (path_join(path, root, name) != OK || file_remove_tree(path) != OK)) {
            log_warn("what is left of a checkpoint stays: %s", fail_text());
        }
    }
    file_list_free(&list);
}

enum status manifest_replace(const char *from, const char *to, const char *old) {
    bool done = false;
    TRY(file_exchange(from, to, &done));
    if (done) {
        return OK;
    }
    TRY(file_remove_tree(old));
    TRY(file_rename(to, old));
    FAULT("file.manifest.aside");
    const enum status status = file_rename(from, to);
    if (status != OK && !file_exists(to)) {
        struct cause cause = {0};
        cause_keep(&cause, status);
        (void)file_rename(old, to); /* if this fails too, it is found as `old` */
        return cause_again(&cause);
    }
    return status;
}

enum status manifest_publish(const char *root, uint64_t step) {
    char name[NAME_MAX_BYTES], temporary[NAME_MAX_BYTES + 8], aside[NAME_MAX_BYTES + 8];
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX], old[PATH_BYTES_MAX], latest[PATH_BYTES_MAX];
    manifest_dir_name(step, name);
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    snprintf(aside, sizeof aside, "%s.old.tmp", name);
    TRY(path_join(from, root, temporary));
    TRY(path_join(to, root, name));
    TRY(path_join(old, root, aside));
    TRY(path_join(latest, root, "latest"));
    TRY(file_exists(to) ? manifest_replace(from, to, old) : file_rename(from, to));
    return file_link_latest(name, latest);
}

/* --- finding ---------------------------------------------------------------------------------- */

/* Whether dir has a manifest that can be read; *step is its step. */
static bool readable(const char *dir, uint64_t *step) {
    struct manifest m;
    if (!manifest_is_there(dir) || manifest_read(&m, dir) != OK) {
        return false;
    }
    *step = m.step;
    manifest_free(&m);
    return true;
}

bool manifest_is_checkpoint(const char *root, const char *name, uint64_t *step) {
    char path[PATH_BYTES_MAX];
    return (manifest_dir_step(name, step) || stepped_aside(root, name, step)) &&
           path_join(path, root, name) == OK && manifest_is_there(path);
}

bool manifest_latest(const char *root, char *out, uint64_t *step) {
    char name[NAME_MAX_BYTES];
    if (path_join(out, root, "latest") != OK || !readable(out, step)) {
        return false;
    }
    manifest_dir_name(*step, name);
    return path_join(out, root, name) == OK && readable(out, step);
}

/* Finds the newest checkpoint with a good manifest. Checkpoints with a damaged manifest are skipped
 * with a warning. If all are damaged, the error is the one of the newest. ERR_NOT_FOUND: there are
 * none. */
static enum status find_newest(const char *root, char *out) {
    struct file_list list = {0};
    struct cause first = {0};
    enum status status = ERR_NOT_FOUND;
    TRY(file_list_dir(&list, root));
    for (size_t i = list.count; i > 0 && status != OK; i--) {
        uint64_t step;
        if (!manifest_is_checkpoint(root, list.names[i - 1], &step) ||
            path_join(out, root, list.names[i - 1]) != OK) {
            continue;
        }
        status = readable(out, &step) ? OK : ERR_CORRUPT;
        if (status != OK) {
            log_warn("%s is passed over: %s", out, fail_text());
        }
        cause_keep(&first, status);
    }
    file_list_free(&list);
    return status == ERR_CORRUPT ? cause_again(&first) : status;
}

static bool never_completed(const char *path) {
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/') {
        n--;
    }
    return n > 4 && strncmp(path + n - 4, ".tmp", 4) == 0;
}

enum status manifest_run_dir(const char *out) {
    return manifest_is_there(out) ? fail(ERR_EXISTS,
                                         "%s has a manifest: it holds shards or is a checkpoint; "
                                         "a run needs a directory of its own: another --out",
                                         out)
                                  : OK;
}

enum status manifest_find(const char *path, char *out) {
    char root[PATH_BYTES_MAX];
    if (manifest_is_there(path) && never_completed(path)) {
        return fail(ERR_NOT_FOUND, "%s: a checkpoint that was never completed (.tmp)", path);
    }
    if (manifest_is_there(path)) {
        if (strlen(path) >= PATH_BYTES_MAX) {
            return fail(ERR_LIMIT, "path of %zu bytes", strlen(path));
        }
        snprintf(out, PATH_BYTES_MAX, "%s", path);
        return OK;
    }
    TRY(path_join(root, path, "checkpoints"));
    if (!file_is_dir(root)) {
        snprintf(root, sizeof root, "%s", path);
    }
    uint64_t step;
    if (file_is_dir(root) && manifest_latest(root, out, &step)) {
        return OK;
    }
    const enum status status = file_is_dir(root) ? find_newest(root, out) : ERR_NOT_FOUND;
    if (status != ERR_NOT_FOUND) {
        return status;
    }
    return fail(ERR_NOT_FOUND,
                "%s: neither a checkpoint (a directory with a manifest) nor a "
                "directory with a complete step-N, nor one with checkpoints/ in it",
                path);
}
