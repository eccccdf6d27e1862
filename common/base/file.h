/* file.h - files and directories. Failures say the path and errno's text via fail(): ERR_NOT_FOUND
 * for what is not there, else ERR_IO, unless said otherwise. All may block. Thread-safe unless two
 * threads use the same struct. The system is reached through file_ops.h.
 *
 * What must survive a crash is published: written as PATH.tmp, synced, renamed to PATH, and the
 * directory synced. Whoever looks at PATH finds the old file or the new one, whole. A failed fsync
 * is final for that file: it is never tried again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

#define PATH_BYTES_MAX 4096

/* --- one open file ---------------------------------------------------------------------------- */

struct file {
    int fd; /* -1: closed */
    char *path;
};
#define FILE_CLOSED ((struct file){.fd = -1, .path = NULL})

enum status file_open_read(struct file *f, const char *path);
enum status file_open_write(struct file *f, const char *path); /* created or truncated */
/* The same for what repeats the text of somebody's log: mode 0600 whatever the umask says. */
enum status file_open_private(struct file *f, const char *path);
enum status file_open_append(struct file *f, const char *path);
/* To be read; "-" is this process's standard input, and called that in messages. */
enum status file_open_input(struct file *f, const char *path);
/* Safe on FILE_CLOSED, and twice. */
enum status file_close(struct file *f);

/* From where the last read ended; *got < bytes: the end. */
enum status file_read(struct file *f, void *out, size_t bytes, size_t *got);
/* What is there by now, at most `bytes`; *got 0: the end. ERR_AGAIN (no fail text): nothing yet. */
enum status file_read_some(struct file *f, void *out, size_t bytes, size_t *got);
/* All of it, or ERR_CORRUPT. */
enum status file_pread(const struct file *f, void *out, size_t bytes, uint64_t offset);
/* All of it. */
enum status file_write(struct file *f, const void *data, size_t bytes);
enum status file_size(const struct file *f, uint64_t *bytes);
enum status file_sync(struct file *f);

/* Opens PATH.tmp for writing (f->path is its name). ERR_LIMIT: the path is too long. */
enum status file_create(struct file *f, const char *path);
/* Makes a file that file_create opened PATH, closed either way. durable: as above; otherwise nobody
 * needs the file after a crash, and nothing is synced. If it fails PATH.tmp is gone. */
enum status file_publish(struct file *f, bool durable);
/* Closes and removes PATH.tmp; fail_text() stays what it was. Safe on FILE_CLOSED. */
void file_abandon(struct file *f);

/* Read-only mapping of a whole file; *bytes 0 gives *out NULL. */
enum status file_map(const char *path, const void **out, size_t *bytes);
void file_unmap(const void *p, size_t bytes);

/* --- whole files ------------------------------------------------------------------------------ */

/* A small file; *out is NUL-terminated, freed with mem_free. ERR_LIMIT beyond bytes_max. */
enum status file_read_all(const char *path, size_t bytes_max, char **out, size_t *bytes);
/* Publishes it, durably. */
enum status file_write_atomic(const char *path, const void *data, size_t bytes);
/* Its size and the XXH3-64 of its bytes. ERR_MEMORY. */
enum status file_hash(const char *path, uint64_t *bytes, uint64_t *hash);

/* --- names ------------------------------------------------------------------------------------ */

/* What has a name; links are followed. */
struct file_info {
    bool regular, directory;
    uint64_t bytes;
    uint64_t device, number; /* the same for two names of one file */
};
/* Whether there is something (that can be looked at). */
bool file_look(const char *path, struct file_info *out);
bool file_same(const struct file_info *a, const struct file_info *b);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
/* Whether a new file may take this name: nothing is there, or a regular file. A device, pipe,
 * directory or link (/dev/stdout) would be replaced, not written into: ERR_EXISTS. */
enum status file_may_replace(const char *path);

enum status file_rename(const char *from, const char *to); /* and fsync of to's directory */
/* Without the fsync: for one of many files whose directory is synced when all are there. */
enum status file_rename_unsynced(const char *from, const char *to);
/* The two names change places at once, both directories synced; *done false: the file system
 * cannot. */
enum status file_exchange(const char *a, const char *b, bool *done);
enum status file_remove(const char *path);
/* Atomically points the symlink `path` at `target` (relative text). */
enum status file_link_latest(const char *target, const char *path);

/* --- directories ------------------------------------------------------------------------------ */

enum status file_mkdirs(const char *path);       /* like mkdir -p */
enum status file_mkdirs_above(const char *path); /* the directory that it lies in */
/* The same as file_mkdirs, and nobody else may look into it: mode 0700. */
enum status file_mkdirs_private(const char *path);
/* A new one whose name nobody else has; path ends in XXXXXX, which it fills. */
enum status file_mkdir_unique(char *path);
enum status file_sync_dir(const char *path);
/* A directory with nothing in it; any other stays, and nothing is said. */
void file_remove_if_empty(const char *path);
/* With all that is in it. Absent: OK; asks for no memory. */
enum status file_remove_tree(const char *path);

/* Names or paths; each and the array freed by file_list_free. Starts zeroed. */
struct file_list {
    char **names;
    size_t count, cap;
};
enum status file_list_add(struct file_list *list, const char *name); /* a copy */
/* Names in a directory, sorted bytewise, without . and ... */
enum status file_list_dir(struct file_list *list, const char *path);
void file_list_free(struct file_list *list);

/* --- paths as texts: into out[PATH_BYTES_MAX], ERR_LIMIT if that is too small ----------------- */

enum status path_join(char *out, const char *dir, const char *name); /* DIR/NAME */
/* The same path from the root on; it need not exist. */
enum status path_absolute(char *out, const char *path);
/* Likewise, without links, "." and ".."; it must exist. */
enum status path_resolve(char *out, const char *path);
