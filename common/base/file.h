/* file.h - every file operation of the program goes through here (and later through a simulated
 * disk). Failures say the path and errno's text via fail(). Blocking. Thread-safe unless two
 * threads use the same struct.
 *
 * Durable publication: write `path.tmp`, fsync, rename, fsync the directory. A failed fsync is
 * final for that file: never retried.
 */
#ifndef COMMON_BASE_FILE_H
#define COMMON_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

struct file {
    int fd; /* -1: closed */
    char *path;
};

enum status file_open_read(struct file *f, const char *path);  /* ERR_NOT_FOUND, ERR_IO */
enum status file_open_write(struct file *f, const char *path); /* create or truncate */
/* The same for what repeats the text of somebody's log: mode 0600 whatever the umask says. */
enum status file_open_private(struct file *f, const char *path);
enum status file_open_append(struct file *f, const char *path);
enum status file_read(struct file *f, void *out, size_t bytes, size_t *got); /* got < bytes: end */
enum status file_pread(const struct file *f, void *out, size_t bytes,
                       uint64_t offset); /* all of it or ERR_CORRUPT */
enum status file_write(struct file *f, const void *data, size_t bytes); /* all of it */
enum status file_pwrite(const struct file *f, const void *data, size_t bytes, uint64_t offset);
enum status file_size(const struct file *f, uint64_t *bytes);
enum status file_sync(struct file *f);
enum status file_close(struct file *f); /* safe on a closed or zero-initialised-with-fd -1 file */
#define FILE_CLOSED ((struct file){.fd = -1, .path = NULL})

/* Read-only mapping of a whole file; *bytes 0 gives *out NULL. */
enum status file_map(const char *path, const void **out, size_t *bytes);
void file_unmap(const void *p, size_t bytes);

/* Whole small file; *out is NUL-terminated, freed with mem_free. ERR_LIMIT beyond bytes_max. */
enum status file_read_all(const char *path, size_t bytes_max, char **out, size_t *bytes);
/* Atomic and durable: temporary, fsync, rename, fsync directory. */
enum status file_write_atomic(const char *path, const void *data, size_t bytes);

enum status file_rename(const char *from, const char *to); /* and fsync of to's directory */
/* The two names change places at once, both directories synced; *done false: the file system
 * cannot. */
enum status file_exchange(const char *a, const char *b, bool *done);
enum status file_remove(const char *path);       /* ERR_NOT_FOUND */
enum status file_remove_tree(const char *path);  /* absent: OK; asks for no memory */
enum status file_mkdirs(const char *path);       /* like mkdir -p */
enum status file_mkdirs_above(const char *path); /* the directory that it lies in */
enum status file_sync_dir(const char *path);
/* Atomically points the symlink `path` at `target` (relative text). */
enum status file_link_latest(const char *target, const char *path);
/* Whether a new file may take this name: nothing is there, or a regular file. A device, pipe,
 * directory or link (/dev/stdout) would be replaced, not written into: ERR_EXISTS. */
enum status file_may_replace(const char *path);
bool file_exists(const char *path);
bool file_is_dir(const char *path);

/* Names or paths; each and the array freed by file_list_free. Starts zeroed. */
struct file_list {
    char **names;
    size_t count, cap;
};
enum status file_list_add(struct file_list *list, const char *name); /* a copy */
/* Names in a directory, sorted bytewise, without . and ... */
enum status file_list_dir(struct file_list *list, const char *path);
void file_list_free(struct file_list *list);

/* Joins "dir/name" into out[PATH_BYTES_MAX]; ERR_LIMIT. */
#define PATH_BYTES_MAX 4096
enum status path_join(char *out, const char *dir, const char *name);

#endif
