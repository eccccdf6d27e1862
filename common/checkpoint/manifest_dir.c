/* manifest_dir.c - the directory of checkpoints: names, publishing, finding (see manifest.h).
 *
 * A reader must never meet half a checkpoint, and a crash at any point must leave the one before
 * readable. So everything is written under step-N.tmp, its manifest last; a rename makes it
 * step-N; then `latest` moves; only then is anything deleted. Where step-N exists already (a job
 * that resumed and cut at the same step) the two change places at once. A file system that cannot
 * exchange names needs two renames, and the old one steps aside as step-N.old.tmp: it is whole, and
 * is found as long as there is no step-N. What is deleted loses its manifest first. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "manifest.h"

#define STEP_DIGITS    12
#define NAME_MAX_BYTES 32

void manifest_dir_name(uint64_t step, char *out) {
    snprintf(out, NAME_MAX_BYTES, "step-%0*" PRIu64, STEP_DIGITS, step);
}

/* The step of a directory name that manifest_dir_name could have made. */
static bool step_of(const char *name, uint64_t *step) {
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

/* --- publishing ------------------------------------------------------------------------------- */

static enum status remove_in(const char *root, const char *name) {
    char path[PATH_BYTES_MAX];
    char manifest[PATH_BYTES_MAX];
    TRY(path_join(path, root, name));
    TRY(path_join(manifest, path, "manifest"));
    TRY(file_remove_tree(manifest)); /* half of it is no checkpoint */
    return file_remove_tree(path);
}

/* Names sort by step (fixed digits), so the newest are last. What cannot be deleted is logged: the
 * new checkpoint stands all the same. */
static enum status clean(const char *root, uint64_t published, uint32_t keep) {
    struct file_list list = {0};
    uint32_t newer = 0;
    TRY(file_list_dir(&list, root));
    for (size_t i = list.count; i > 0; i--) {
        const char *name = list.names[i - 1];
        uint64_t step;
        const bool is_step = step_of(name, &step);
        const bool kept = is_step && (step == published || newer < keep);
        newer += is_step;
        if ((is_step && !kept) || is_leftover(name)) {
            if (remove_in(root, name) != OK) {
                log_warn("an old checkpoint stays: %s", fail_text());
            }
        }
    }
    file_list_free(&list);
    return OK;
}

/* The directory `from` takes the place of `to`, which exists. Either is whole at any moment. */
static enum status replace(const char *from, const char *to, const char *old) {
    bool done = false;
    TRY(file_exchange(from, to, &done));
    if (done) {
        return OK;
    }
    TRY(file_remove_tree(old));
    TRY(file_rename(to, old));
    const enum status status = file_rename(from, to);
    if (status != OK && !file_exists(to)) {
        struct cause cause = {0};
        cause_keep(&cause, status);
        (void)file_rename(old, to); /* if that fails too it is found under its other name */
        return cause_again(&cause);
    }
    return status;
}

enum status manifest_publish(const char *root, uint64_t step, uint32_t keep) {
    char name[NAME_MAX_BYTES], temporary[NAME_MAX_BYTES + 8], aside[NAME_MAX_BYTES + 8];
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX], old[PATH_BYTES_MAX], latest[PATH_BYTES_MAX];
    manifest_dir_name(step, name);
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    snprintf(aside, sizeof aside, "%s.old.tmp", name);
    TRY(path_join(from, root, temporary));
    TRY(path_join(to, root, name));
    TRY(path_join(old, root, aside));
    TRY(path_join(latest, root, "latest"));
    TRY(file_exists(to) ? replace(from, to, old) : file_rename(from, to));
    TRY(file_link_latest(name, latest));
    return clean(root, step, keep);
}

/* --- finding ---------------------------------------------------------------------------------- */

static bool has_manifest(const char *dir) {
    char path[PATH_BYTES_MAX];
    return path_join(path, dir, "manifest") == OK && file_exists(path);
}

/* Whether dir holds a manifest that reads; its step. */
static bool readable(const char *dir, uint64_t *step) {
    struct manifest m;
    if (!has_manifest(dir) || manifest_read(&m, dir) != OK) {
        return false;
    }
    *step = m.step;
    manifest_free(&m);
    return true;
}

/* step-N.old.tmp where a crash has left no step-N: it was a checkpoint. */
static bool stepped_aside(const char *root, const char *name) {
    static const char end[] = ".old.tmp";
    char plain[NAME_MAX_BYTES], path[PATH_BYTES_MAX];
    uint64_t step;
    const size_t n = strlen(name), tail = sizeof end - 1;
    if (n <= tail || n - tail >= sizeof plain || strcmp(name + n - tail, end) != 0) {
        return false;
    }
    snprintf(plain, sizeof plain, "%.*s", (int)(n - tail), name);
    return step_of(plain, &step) && path_join(path, root, plain) == OK && !has_manifest(path);
}

/* `latest` by its target's own name: the link may move while the caller reads. */
static bool find_latest(const char *root, char *out) {
    char name[NAME_MAX_BYTES];
    uint64_t step;
    if (path_join(out, root, "latest") != OK || !readable(out, &step)) {
        return false;
    }
    manifest_dir_name(step, name);
    return path_join(out, root, name) == OK && readable(out, &step);
}

/* Those whose manifest is damaged are passed over, aloud; if there are no others, the newest one's
 * damage is what the caller hears. ERR_NOT_FOUND: none at all. */
static enum status find_newest(const char *root, char *out) {
    struct file_list list = {0};
    struct cause first = {0};
    enum status status = ERR_NOT_FOUND;
    TRY(file_list_dir(&list, root));
    for (size_t i = list.count; i > 0 && status != OK; i--) {
        uint64_t step;
        if ((!step_of(list.names[i - 1], &step) && !stepped_aside(root, list.names[i - 1])) ||
            path_join(out, root, list.names[i - 1]) != OK || !has_manifest(out)) {
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
    return has_manifest(out) ? fail(ERR_EXISTS,
                                    "%s has a manifest: it holds shards or is a checkpoint; "
                                    "a run needs a directory of its own: another --out",
                                    out)
                             : OK;
}

enum status manifest_find(const char *path, char *out) {
    char root[PATH_BYTES_MAX];
    if (has_manifest(path) && never_completed(path)) {
        return fail(ERR_NOT_FOUND, "%s: a checkpoint that was never completed (.tmp)", path);
    }
    if (has_manifest(path)) {
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
    if (file_is_dir(root) && find_latest(root, out)) {
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
