/* newest.h - the newest good checkpoint of a run: where a job that goes on starts.
 *
 * --resume, `esmm train` before it starts anything, and a rollback all ask here, so they agree.
 * `latest` is looked at first, then the others from the highest step down. A checkpoint is good if
 * its manifest reads and each of its parts is there with the manifest's size. The checksums of the
 * parts are checked by whoever reads them: a part found damaged then is told to newest_set_aside,
 * and the next search finds the checkpoint before.
 *
 * A damaged checkpoint is passed over, never believed and never forgotten: the result names each,
 * with file, offset and what is lost. A job that has gone on from an older one renames it to
 * step-N.damaged, which no search finds. It stays until a checkpoint of step N or above is
 * published.
 */
#pragma once

#include "common/base/file.h"
#include "manifest.h"

struct newest_passed { /* a damaged checkpoint */
    char dir[PATH_BYTES_MAX];
    uint64_t step;
    bool counted;         /* its manifest reads: impressions are known */
    uint64_t impressions; /* in it */
    char why[FAIL_TEXT_BYTES];
};
struct newest {
    char dir[PATH_BYTES_MAX]; /* step-N itself, not the link */
    uint64_t step, impressions;
    struct newest_passed *passed; /* in the order of the search; owned */
    size_t passed_count;
};

/* Searches root = RUN/checkpoints. Fills *out, which newest_free empties in any case. Nothing is
 * changed or logged. ERR_NOT_FOUND: there is no checkpoint, or no such directory. ERR_CORRUPT:
 * there are some, and all are damaged; the text is of the first. ERR_MEMORY. */
enum status newest_good(const char *root, struct newest *out);
void newest_free(struct newest *n);
/* What it means that passed[i] was passed over: one line. */
void newest_say(const struct newest *n, size_t i, char *out, size_t bytes);
/* Renames the checkpoint DIR to DIR.damaged, in place of an earlier one of that name. */
enum status newest_set_aside(const char *dir);
/* Whether `name` is step-N.damaged, and N. */
bool newest_is_aside(const char *name, uint64_t *step);
