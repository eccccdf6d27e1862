/* status.h - how every function reports errors.
 *
 * Every function that can fail because of the world (a disk, a socket, a user's file) returns an
 * enum status and gives its results through out-parameters. Programming errors are asserted.
 *
 * A function that detects a failure describes it once, where most is known, with `return
 * fail(ERR_FORMAT, "%s:%llu: label is '%s', expected 0 or 1", ...)`. The text is kept per thread
 * until the next fail(); `main` (or a thread's owner) prints it. Callers just pass the status on.
 * Nothing below main exits or prints.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define STATUS_LIST(X)                                                                             \
    X(OK, "ok")                                                                                    \
    X(ERR_MEMORY, "out of memory")                                                                 \
    X(ERR_IO, "input/output error")                                                                \
    X(ERR_CORRUPT, "corrupt data")                                                                 \
    X(ERR_FORMAT, "malformed input")                                                               \
    X(ERR_CONFIG, "bad configuration")                                                             \
    X(ERR_USAGE, "bad command line")                                                               \
    X(ERR_LIMIT, "limit exceeded")                                                                 \
    X(ERR_TIMEOUT, "deadline passed")                                                              \
    X(ERR_CLOSED, "closed")                                                                        \
    X(ERR_NOT_FOUND, "not found")                                                                  \
    X(ERR_EXISTS, "already exists")                                                                \
    X(ERR_PROTOCOL, "protocol violation")                                                          \
    X(ERR_FENCED, "lease was fenced off")                                                          \
    X(ERR_TICKET, "unknown ticket")                                                                \
    X(ERR_AGAIN, "try again")                                                                      \
    X(ERR_PEER, "a peer failed")                                                                   \
    X(ERR_BUSY, "in use by another process")

enum status {
#define X(name, text) name,
    STATUS_LIST(X)
#undef X
};

#define STATUS_ONE(name, text) +1
#define STATUSES               (0 STATUS_LIST(STATUS_ONE))

/* The short fixed text of a status; never NULL. */
const char *status_text(enum status s);

/* True if a failure with s will repeat until somebody changes the configuration, data or files.
 * False if a restart, time or more room may cure it. */
bool status_lasts(enum status s);

/* Records the cause of a failure for this thread (at most 1023 bytes, cut beyond) and returns s.
 * The arguments may hold any bytes: control bytes and bytes that are not UTF-8 are kept as \xHH.
 * fail_text() may be among the arguments: fail(status, "%s: %s", path, fail_text()). */
enum status fail(enum status s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text of this thread's last fail(); "" if none. Valid until the next fail() of this thread. */
const char *fail_text(void);

/* The text to report for `s`, never "": fail_text() if this thread's last fail() had status `s`,
 * else the status's fixed text. Use it where a status leaves its thread or the program: a status
 * caused by another thread (a closed queue) may have no text, and must not get a stale one. */
const char *fail_text_of(enum status s);

/* The status of this thread's last fail(); OK if none. */
enum status fail_status(void);

/* Keeps the first failure of several steps, even if a later step, such as a clean-up, also fails:
 *
 *     struct cause cause = {0};
 *     cause_keep(&cause, status);
 *     clean_up();
 *     return cause_again(&cause);
 *
 * It also passes a failure to another thread. */
#define FAIL_TEXT_BYTES 1024
struct cause {
    enum status status; /* OK: nothing has failed */
    char text[FAIL_TEXT_BYTES];
};
/* Keeps s and its text (fail_text_of), unless s is OK or c already keeps a failure. */
void cause_keep(struct cause *c, enum status s);
/* Records the kept failure as this thread's last one and returns its status. If none is kept,
 * records nothing and returns OK. */
enum status cause_again(const struct cause *c);

/* Evaluates a status expression and returns it from the calling function unless it is OK. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum status try_status_ = (expr);                                                          \
        if (try_status_ != OK) {                                                                   \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

/* The same for functions that own things: stores into `status` and jumps to `out`. */
#define TRY_OUT(expr)                                                                              \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != OK) {                                                                        \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)
