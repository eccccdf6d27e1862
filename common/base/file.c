/* file.c - reads and writes one open file, and publishes new ones. */
#include "file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fault/fault.h"
#include "file_ops.h"
#include "hash.h"
#include "mem.h"

#define IO_BYTES_MAX ((size_t)1 << 30) /* one read(2) or write(2) */
#define HASH_BYTES   ((size_t)1 << 20)

#define MODE_SHARED  0644 /* less the umask */
#define MODE_PRIVATE 0600

static enum status open_as(struct file *f, const char *path, int flags, mode_t mode) {
    *f = FILE_CLOSED;
    TRY(mem_strdup(&f->path, path)); /* first, so that a failure leaves no new file */
    int fd = file_ops()->open(path, flags | O_CLOEXEC, mode);
    if (fd < 0) {
        const enum status status = file_ops_fail(path, "open");
        mem_free(&f->path);
        return status;
    }
    f->fd = fd;
    return OK;
}

enum status file_open_read(struct file *f, const char *path) {
    return open_as(f, path, O_RDONLY, MODE_SHARED);
}

enum status file_open_write(struct file *f, const char *path) {
    return open_as(f, path, O_RDWR | O_CREAT | O_TRUNC, MODE_SHARED);
}

/* fchmod is needed because the file may exist already, and umask may remove the owner's rights too.
 */
enum status file_open_private(struct file *f, const char *path) {
    TRY(open_as(f, path, O_RDWR | O_CREAT | O_TRUNC, MODE_PRIVATE));
    if (file_ops()->fchmod(f->fd, MODE_PRIVATE) != 0) {
        const enum status status = file_ops_fail(path, "set the mode of");
        (void)file_close(f);
        return status;
    }
    return OK;
}

enum status file_open_append(struct file *f, const char *path) {
    return open_as(f, path, O_WRONLY | O_CREAT | O_APPEND, MODE_SHARED);
}

enum status file_open_update(struct file *f, const char *path) {
    return open_as(f, path, O_WRONLY, MODE_SHARED);
}

enum status file_open_input(struct file *f, const char *path) {
    if (strcmp(path, "-") != 0) {
        return file_open_read(f, path);
    }
    *f = FILE_CLOSED;
    TRY(mem_strdup(&f->path, "standard input"));
    f->fd = file_ops()->dup(STDIN_FILENO);
    return f->fd >= 0 ? OK : fail(ERR_IO, "standard input: %s", strerror(errno));
}

enum status file_read_some(struct file *f, void *out, size_t bytes, size_t *got) {
    const ssize_t n = file_ops()->read(f->fd, out, bytes);
    *got = n > 0 ? (size_t)n : 0;
    return n >= 0                              ? OK
           : errno == EINTR || errno == EAGAIN ? ERR_AGAIN
                                               : file_ops_fail(f->path, "read");
}

enum status file_read(struct file *f, void *out, size_t bytes, size_t *got) {
    *got = 0;
    while (*got < bytes) {
        size_t want = bytes - *got < IO_BYTES_MAX ? bytes - *got : IO_BYTES_MAX;
        ssize_t n = file_ops()->read(f->fd, (char *)out + *got, want);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return file_ops_fail(f->path, "read");
        }
        *got += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

enum status file_pread(const struct file *f, void *out, size_t bytes, uint64_t offset) {
    size_t got = 0;
    if (bytes > INT64_MAX || offset > INT64_MAX - bytes) { /* an offset from a broken index */
        return fail(ERR_CORRUPT, "%s: %zu bytes from offset %llu on are beyond any file", f->path,
                    bytes, (unsigned long long)offset);
    }
    while (got < bytes) {
        size_t want = bytes - got < IO_BYTES_MAX ? bytes - got : IO_BYTES_MAX;
        ssize_t n = file_ops()->pread(f->fd, (char *)out + got, want, (off_t)(offset + got));
        if (n == 0) {
            return fail(ERR_CORRUPT, "%s: ends at offset %llu, expected %zu bytes from %llu on",
                        f->path, (unsigned long long)(offset + got), bytes,
                        (unsigned long long)offset);
        }
        if (n < 0 && errno != EINTR) {
            return file_ops_fail(f->path, "read");
        }
        got += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

enum status file_write(struct file *f, const void *data, size_t bytes) {
    size_t put = 0;
    while (put < bytes) {
        size_t want = bytes - put < IO_BYTES_MAX ? bytes - put : IO_BYTES_MAX;
        ssize_t n = file_ops()->write(f->fd, (const char *)data + put, want);
        if (n < 0 && errno != EINTR) {
            return file_ops_fail(f->path, "write");
        }
        put += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

/* Takes `bytes` off the front of the pieces; returns the first that still has some. */
static struct iovec *skip_written(struct iovec *v, const struct iovec *end, size_t bytes) {
    while (v < end && bytes >= v->iov_len) {
        bytes -= v->iov_len;
        v++;
    }
    if (v < end) {
        v->iov_base = (char *)v->iov_base + bytes;
        v->iov_len -= bytes;
    }
    return v;
}

enum status file_pwrite_parts(struct file *f, const struct file_part *parts, size_t count,
                              uint64_t offset) {
    struct iovec list[FILE_PARTS_MAX], *v = list;
    assert(count <= FILE_PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].bytes};
    }
    const struct iovec *end = list + count;
    for (v = skip_written(v, end, 0); v < end;) {
        const ssize_t n = file_ops()->pwritev(f->fd, v, (int)(end - v), (off_t)offset);
        if (n < 0 && errno != EINTR) {
            return file_ops_fail(f->path, "write");
        }
        offset += n > 0 ? (size_t)n : 0;
        v = skip_written(v, end, n > 0 ? (size_t)n : 0);
    }
    return OK;
}

enum status file_truncate(struct file *f, uint64_t bytes) {
    return file_ops()->ftruncate(f->fd, (off_t)bytes) == 0 ? OK
                                                           : file_ops_fail(f->path, "truncate");
}

enum status file_size(const struct file *f, uint64_t *bytes) {
    struct stat s;
    if (file_ops()->fstat(f->fd, &s) != 0) {
        return file_ops_fail(f->path, "stat");
    }
    *bytes = (uint64_t)s.st_size;
    return OK;
}

enum status file_sync(struct file *f) {
    return file_ops()->fsync(f->fd) == 0 ? OK : file_ops_fail(f->path, "fsync");
}

void file_start_write(const struct file *f, uint64_t offset, uint64_t bytes) {
    if (file_ops()->start_write != NULL) {
        (void)file_ops()->start_write(f->fd, (off_t)offset, (off_t)bytes);
    }
}

enum status file_close(struct file *f) {
    enum status status = OK;
    if (f->fd >= 0 && file_ops()->close(f->fd) != 0 && errno != EINTR) {
        status = file_ops_fail(f->path != NULL ? f->path : "?", "close");
    }
    mem_free(&f->path);
    f->fd = -1;
    return status;
}

/* --- publication ------------------------------------------------------------------------------ */

static const char TEMPORARY[] = ".tmp";

enum status file_create(struct file *f, const char *path) {
    char temporary[PATH_BYTES_MAX];
    const int n = snprintf(temporary, sizeof temporary, "%s%s", path, TEMPORARY);
    *f = FILE_CLOSED;
    return n < (int)sizeof temporary
               ? file_open_write(f, temporary)
               : fail(ERR_LIMIT, "path of %d bytes is too long: %.200s...", n, path);
}

void file_abandon(struct file *f) {
    if (f->path != NULL) {
        struct cause cause = {0};
        cause_keep(&cause, fail_status());
        (void)file_remove(f->path);
        (void)file_close(f);
        (void)cause_again(&cause);
    }
}

enum status file_publish(struct file *f, bool durable) {
    char temporary[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    struct cause cause = {0};
    snprintf(temporary, sizeof temporary, "%s", f->path);
    snprintf(path, sizeof path, "%.*s", (int)(strlen(f->path) + 1 - sizeof TEMPORARY), f->path);
    FAULT("file.publish.begin");
    cause_keep(&cause, durable ? file_sync(f) : OK);
    FAULT("file.publish.synced");
    cause_keep(&cause, file_close(f));
    if (cause.status == OK) {
        cause_keep(&cause,
                   durable ? file_rename(temporary, path) : file_rename_unsynced(temporary, path));
        FAULT("file.publish.renamed");
    }
    if (cause.status != OK) {
        (void)file_ops()->unlink(temporary);
    }
    return cause_again(&cause);
}

/* --- whole files ------------------------------------------------------------------------------ */

enum status file_map(const char *path, const void **out, size_t *bytes) {
    struct file f;
    uint64_t size = 0;
    *out = NULL;
    *bytes = 0;
    TRY(file_open_read(&f, path));
    enum status status = file_size(&f, &size);
    if (status == OK && size > 0) {
        void *p = file_ops()->map(f.fd, (size_t)size);
        if (p == MAP_FAILED) {
            status = file_ops_fail(path, "map");
        } else {
            *out = p;
            *bytes = (size_t)size;
        }
    }
    file_close(&f);
    return status;
}

void file_unmap(const void *p, size_t bytes) {
    if (p != NULL) {
        file_ops()->unmap((void *)(uintptr_t)p, bytes);
    }
}

enum status file_read_all(const char *path, size_t bytes_max, char **out, size_t *bytes) {
    struct file f;
    uint64_t size = 0;
    *out = NULL;
    TRY(file_open_read(&f, path));
    enum status status;
    TRY_OUT(file_size(&f, &size));
    if (size > bytes_max) {
        status = fail(ERR_LIMIT, "%s: %llu bytes, expected at most %zu", path,
                      (unsigned long long)size, bytes_max);
        goto out;
    }
    TRY_OUT(mem_array(out, (size_t)size + 1));
    TRY_OUT(file_read(&f, *out, (size_t)size, bytes));
out:
    if (status != OK) {
        mem_free(out);
    }
    file_close(&f);
    return status;
}

enum status file_write_atomic(const char *path, const void *data, size_t bytes) {
    struct file f;
    TRY(file_create(&f, path));
    const enum status status = file_write(&f, data, bytes);
    if (status != OK) {
        file_abandon(&f);
        return status;
    }
    return file_publish(&f, true);
}

enum status file_hash(const char *path, uint64_t *bytes, uint64_t *hash) {
    struct file f;
    uint8_t *chunk = NULL;
    struct hash_stream *h = NULL;
    size_t got = 1;
    enum status status = OK;
    TRY(file_open_read(&f, path));
    TRY_OUT(mem_array(&chunk, HASH_BYTES));
    TRY_OUT(hash_stream_create(&h));
    for (*bytes = 0; got > 0; *bytes += got) {
        TRY_OUT(file_read(&f, chunk, HASH_BYTES, &got));
        hash_stream_add(h, chunk, got);
    }
    *hash = hash_stream_value(h);
out:
    hash_stream_destroy(&h);
    mem_free(&chunk);
    file_close(&f);
    return status;
}
