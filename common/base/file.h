/* file.h - files and directories. A failure is recorded with fail(), with the path and errno's
 * text. Unless said otherwise it is ERR_NOT_FOUND if the path does not exist, else ERR_IO. All
 * functions may block. They are thread-safe unless two threads use the same struct. System calls go
 * through file_ops.h.
 *
 * A file that must survive a crash is published: it is written as PATH.tmp, synced and renamed to
 * PATH, and then the directory is synced. A reader of PATH always finds the whole old file or the
 * whole new one. After a failed fsync the file is given up: fsync is not tried again.
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
/* The same for a file that quotes lines of a user's log: mode 0600, whatever the umask is. */
enum status file_open_private(struct file *f, const char *path);
enum status file_open_append(struct file *f, const char *path);
enum status file_open_update(struct file *f, const char *path); /* for writing what is there */
/* Opens for reading; "-" is this process's standard input, and messages call it so. */
enum status file_open_input(struct file *f, const char *path);
/* Safe on FILE_CLOSED, and if called twice. */
enum status file_close(struct file *f);

/* Reads on from where the last read ended; *got < bytes means the end of the file. */
enum status file_read(struct file *f, void *out, size_t bytes, size_t *got);
/* Reads what is available now, at most `bytes`; *got 0 means the end. ERR_AGAIN (no fail text):
 * nothing is available yet. */
enum status file_read_some(struct file *f, void *out, size_t bytes, size_t *got);
/* Reads exactly `bytes`; ERR_CORRUPT if the file has fewer. */
enum status file_pread(const struct file *f, void *out, size_t bytes, uint64_t offset);
/* Writes all bytes. */
enum status file_write(struct file *f, const void *data, size_t bytes);
/* Writes all bytes of up to FILE_PARTS_MAX pieces, one after the other, from `offset` on, in one
 * call where the system takes them at once. A failure may leave some of them written. */
#define FILE_PARTS_MAX 8
struct file_part {
    const void *data;
    size_t bytes;
};
enum status file_pwrite_parts(struct file *f, const struct file_part *parts, size_t count,
                              uint64_t offset);
enum status file_size(const struct file *f, uint64_t *bytes);
enum status file_sync(struct file *f);
/* Has the disk begin with what was written in this range, so that a later file_sync waits less. A
 * hint: nothing fails, and nothing is durable by it. */
void file_start_write(const struct file *f, uint64_t offset, uint64_t bytes);
enum status file_truncate(struct file *f, uint64_t bytes); /* of a file opened for writing */

/* Opens PATH.tmp for writing (f->path is its name). ERR_LIMIT: the path is too long. */
enum status file_create(struct file *f, const char *path);
/* Renames a file that file_create opened to PATH. The file is closed, also on failure. durable:
 * syncs as described at the top; otherwise nothing is synced, for a file that nobody needs after a
 * crash. On failure PATH.tmp is removed. */
enum status file_publish(struct file *f, bool durable);
/* Closes and removes PATH.tmp; does not change fail_text(). Safe on FILE_CLOSED. */
void file_abandon(struct file *f);

/* Maps a whole file read-only. An empty file gives *bytes 0 and *out NULL. */
enum status file_map(const char *path, const void **out, size_t *bytes);
void file_unmap(const void *p, size_t bytes);

/* --- whole files ------------------------------------------------------------------------------ */

/* Reads a small file. *out is NUL-terminated; free it with mem_free. ERR_LIMIT if the file is
 * larger than bytes_max. */
enum status file_read_all(const char *path, size_t bytes_max, char **out, size_t *bytes);
/* Publishes a file with these bytes, durably. */
enum status file_write_atomic(const char *path, const void *data, size_t bytes);
/* Gives the file's size and the XXH3-64 of its bytes. ERR_MEMORY. */
enum status file_hash(const char *path, uint64_t *bytes, uint64_t *hash);

/* --- names ------------------------------------------------------------------------------------ */

/* What a path leads to; links are followed. */
struct file_info {
    bool regular, directory;
    uint64_t bytes;
    uint64_t device, number; /* equal for two names of one file */
};
/* Whether the path leads to something that can be looked at. */
bool file_look(const char *path, struct file_info *out);
bool file_same(const struct file_info *a, const struct file_info *b);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
/* OK if a new file may take this name: nothing has it, or a regular file. ERR_EXISTS for a device,
 * pipe, directory or link (/dev/stdout): publishing would replace it instead of writing into it. */
enum status file_may_replace(const char *path);

enum status file_rename(const char *from, const char *to); /* and syncs the directory of `to` */
/* The same without the fsync: for one of many files, whose directory is synced after the last. */
enum status file_rename_unsynced(const char *from, const char *to);
/* Exchanges the two names in one step and syncs both directories. *done is false if the file system
 * cannot do that. */
enum status file_exchange(const char *a, const char *b, bool *done);
enum status file_remove(const char *path);
/* Atomically points the symlink `path` at `target` (relative text). */
enum status file_link_latest(const char *target, const char *path);

/* --- directories ------------------------------------------------------------------------------ */

/* Like mkdir -p, durable: also syncs the directories that got a new one. */
enum status file_mkdirs(const char *path);
enum status file_mkdirs_above(const char *path); /* makes the directory that `path` lies in */
/* The same as file_mkdirs, with mode 0700: no other user may look into it. */
enum status file_mkdirs_private(const char *path);
/* Makes a new directory with a unique name: replaces the XXXXXX at the end of path. */
enum status file_mkdir_unique(char *path);
enum status file_sync_dir(const char *path);
/* A directory with nothing in it; any other stays, and nothing is said. */
void file_remove_if_empty(const char *path);
/* With all that is in it. Absent: OK; asks for no memory. */
enum status file_remove_tree(const char *path);

/* Names or paths. file_list_free frees each of them and the array. A zeroed struct is an empty
 * list. */
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
/* The path as an absolute one; it need not exist. */
enum status path_absolute(char *out, const char *path);
/* The absolute path without links, "." and ".."; it must exist. */
enum status path_resolve(char *out, const char *path);
