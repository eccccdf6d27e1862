#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "common/cpu/cpu.h"
#include "file.h"
#include "file_ops.h"
#include "text.h"

#define LINE_BYTES 2048

static struct {
    int fd;
    bool owned;
    char role[32];
    char path[PATH_BYTES_MAX];
    atomic_int lowest;
    _Atomic uint64_t bytes, bytes_max; /* of the file; when it is rolled */
    atomic_bool rolling;
} the_log = {.fd = STDERR_FILENO, .lowest = LOG_INFO};

void log_close(void) {
    if (the_log.owned) {
        file_ops()->close(the_log.fd);
    }
    the_log.fd = STDERR_FILENO;
    the_log.owned = false;
}

enum status log_open(const char *path, const char *role) {
    log_close();
    snprintf(the_log.role, sizeof the_log.role, "%s", role);
    if (path == NULL) {
        return OK;
    }
    int fd = file_ops()->open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        return fail(ERR_IO, "%s: cannot open the log: %s", path, strerror(errno));
    }
    struct stat s;
    the_log.fd = fd;
    the_log.owned = true;
    snprintf(the_log.path, sizeof the_log.path, "%s", path);
    atomic_store(&the_log.bytes, file_ops()->fstat(fd, &s) == 0 ? (uint64_t)s.st_size : 0);
    return OK;
}

void log_level_set(enum log_level lowest) {
    atomic_store(&the_log.lowest, (int)lowest);
}

void log_bytes_set(uint64_t most) {
    atomic_store(&the_log.bytes_max, most);
}

/* Other threads write meanwhile, to the old file or to the new one: the descriptor keeps its
 * number. If anything fails the old one is written on. */
static void log_roll(void) {
    char old[PATH_BYTES_MAX + 2];
    snprintf(old, sizeof old, "%s.1", the_log.path);
    if (file_ops()->rename(the_log.path, old) == 0) {
        const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
        const int fd = file_ops()->open(the_log.path, flags, 0644);
        if (fd >= 0) {
            (void)file_ops()->dup3(fd, the_log.fd, O_CLOEXEC);
            file_ops()->close(fd);
        }
    }
    atomic_store(&the_log.bytes, 0); /* now: what others wrote meanwhile may be in the old file */
}

static void count_bytes(size_t n) {
    const uint64_t most = atomic_load(&the_log.bytes_max);
    if (!the_log.owned || most == 0 || atomic_fetch_add(&the_log.bytes, n) + n < most) {
        return;
    }
    if (!atomic_exchange(&the_log.rolling, true)) {
        if (atomic_load(&the_log.bytes) >= most) { /* else another thread has just rolled it */
            log_roll();
        }
        atomic_store(&the_log.rolling, false);
    }
}

static size_t put_head(char *line, size_t bytes, enum log_level level) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const uint64_t now_ms = clock_wall_ns() / 1000000u;
    const time_t now = (time_t)(now_ms / 1000u);
    struct tm utc;
    gmtime_r(&now, &utc);
    size_t n = strftime(line, bytes, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(line + n, bytes - n, ".%03uZ %s %s ", (unsigned)(now_ms % 1000u),
                        names[level], the_log.role[0] != '\0' ? the_log.role : "-");
    return n + (size_t)more;
}

/* A text may quote bytes from a peer or a file; those must not look like lines of this log. */
static size_t put_text(char *line, size_t bytes, char *text) {
    for (char *at = text; (at = strpbrk(at, "\n\r\t")) != NULL;) {
        *at = ' ';
    }
    return text_show(line, bytes, text, strlen(text), false);
}

__attribute__((format(printf, 2, 0))) static void write_line(enum log_level level, const char *fmt,
                                                             va_list args) {
    char line[LINE_BYTES], text[LINE_BYTES];
    size_t n = put_head(line, sizeof line - 1, level);
    vsnprintf(text, sizeof text, fmt, args);
    n += put_text(line + n, sizeof line - 1 - n, text);
    line[n++] = '\n';
    /* One write(2) per line. A failed write is ignored: there is nowhere to report it. */
    ssize_t written = file_ops()->write(the_log.fd, line, n);
    (void)written;
    count_bytes(n);
}

void log_line(enum log_level level, const char *fmt, ...) {
    if ((int)level < atomic_load(&the_log.lowest)) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    write_line(level, fmt, args);
    va_end(args);
}

/* --- limited lines ---------------------------------------------------------- */

void log_limit_end(struct log_limit *l) {
    if (l->held > 0) {
        log_line(l->level, "%s (and %llu more like it in %llu s)", l->last,
                 (unsigned long long)l->held - 1,
                 (unsigned long long)((clock_mono_ms() - l->since_ms) / 1000));
    }
    *l = (struct log_limit){0};
}

void log_limit_step(struct log_limit *l) {
    if (l->lines > 0 && clock_mono_ms() - l->since_ms >= LOG_LIMIT_MS) {
        log_limit_end(l);
    }
}

void log_limited(struct log_limit *l, enum log_level level, const char *fmt, ...) {
    if ((int)level < atomic_load(&the_log.lowest)) {
        return;
    }
    va_list args;
    log_limit_step(l);
    va_start(args, fmt);
    if (l->lines < LOG_LIMIT_LINES) {
        l->since_ms = l->lines == 0 ? clock_mono_ms() : l->since_ms;
        l->lines++;
        write_line(level, fmt, args);
    } else {
        l->held++;
        l->level = level;
        vsnprintf(l->last, sizeof l->last, fmt, args);
    }
    va_end(args);
}

void log_cpu(void) {
    char cpu[CPU_TEXT_MAX];
    cpu_describe(cpu);
    log_info("CPU: %s", cpu);
}
