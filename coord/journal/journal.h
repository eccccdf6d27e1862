/* journal.h - the file of the coordinator's journal, RUN/journal.
 *
 * A journal is begun as a whole: records that are a state (journal_state.h) are collected, and
 * journal_publish puts them into the place of the old file by a rename, synced. From then on each
 * record is appended with one write. journal_sync is for what must not be lost with the machine; a
 * process that is killed loses nothing. After a failed write the file ends in the middle of a
 * record perhaps: nothing is appended any more, until a new journal is begun.
 *
 * Single thread; blocking, on the disk.
 */
#pragma once

#include "common/base/file.h"
#include "journal_state.h"

#define JOURNAL_LARGE_BYTES (4u << 20)

struct journal {
    struct file file; /* closed: nothing is appended */
    struct buf bytes; /* of a journal that is being begun, or of the record being appended */
    uint64_t length;  /* of the file */
    uint64_t whole;   /* its length when it was published */
    uint64_t synced;  /* up to here it is on disk */
    bool must;        /* something that must not be lost is not on disk yet */
};
#define JOURNAL_CLOSED ((struct journal){.file = FILE_CLOSED})

/* Begins to collect a new journal in memory; the file that is open stays as it is. ERR_MEMORY. */
enum status journal_begin(struct journal *j);
enum status journal_collect(struct journal *j, const struct journal_record *r);
/* The collected records become the journal at `path`. ERR_IO: the old file is still there, but
 * nothing is appended to it any more. */
enum status journal_publish(struct journal *j, const char *path);
/* Appends. must: it must not be lost with the machine, so journal_sync is due. OK, and nothing is
 * done, if no file is open. After a failure none is. */
enum status journal_append(struct journal *j, const struct journal_record *r, bool must);
/* Syncs, if anything that must not be lost was appended. */
enum status journal_sync(struct journal *j);
/* Whether a new journal should be begun, because this one has grown. */
bool journal_large(const struct journal *j);
void journal_close(struct journal *j);

/* Reads the journal at `path` into a zeroed *s. *torn: bytes cut off at its end. ERR_NOT_FOUND;
 * ERR_CORRUPT with file and offset. */
enum status journal_read(struct journal_state *s, const char *path, size_t *torn);
