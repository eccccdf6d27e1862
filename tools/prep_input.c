#include "prep_input.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

#define BLOCK_BYTES  ((size_t)1 << 20)
#define PAD_BYTES    16u
#define WAIT_MS      200
#define STARTS_FIRST 4096u
#define START_BYTES  3u /* of a file tell what it is */

enum status prep_input_open(struct prep_input *in, const char *path) {
    struct stat s;
    *in = (struct prep_input){.file = FILE_CLOSED, .name = path, .line = 1};
    if (strcmp(path, "-") == 0) {
        TRY(mem_strdup(&in->file.path, "standard input"));
        in->file.fd = dup(STDIN_FILENO);
        if (in->file.fd < 0) {
            return fail(ERR_IO, "standard input: %s", strerror(errno));
        }
    } else {
        TRY(file_open_read(&in->file, path));
    }
    if (fstat(in->file.fd, &s) != 0) {
        return fail(ERR_IO, "%s: %s", in->file.path, strerror(errno));
    }
    if (S_ISDIR(s.st_mode)) {
        return fail(ERR_FORMAT, "%s: is a directory, expected a file", in->file.path);
    }
    in->bytes_total = S_ISREG(s.st_mode) ? (uint64_t)s.st_size : 0;
    return OK;
}

void prep_input_close(struct prep_input *in) {
    buf_fini(&in->rest);
    file_close(&in->file);
}

/* --- bytes ----------------------------------------------------------------------------------- */

/* Waits a while only, so that a stop signal and the progress line are not held up by a slow pipe. */
static enum status read_block(struct prep_input *in, struct buf *text) {
    struct pollfd wait = {.fd = in->file.fd, .events = POLLIN};
    TRY(buf_reserve(text, BLOCK_BYTES + PAD_BYTES));
    if (poll(&wait, 1, WAIT_MS) <= 0) {
        return ERR_AGAIN;
    }
    const ssize_t n = read(in->file.fd, text->data + text->len, BLOCK_BYTES);
    if (n < 0) {
        return errno == EINTR || errno == EAGAIN
                   ? ERR_AGAIN
                   : fail(ERR_IO, "%s: cannot read: %s", in->file.path, strerror(errno));
    }
    in->ended = n == 0;
    in->bytes_read += (uint64_t)n;
    text->len += (size_t)n;
    return OK;
}

/* Looks at the first bytes of the file. */
static enum status check_start(struct prep_input *in, struct buf *text) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}, gzip[] = {0x1f, 0x8b};
    if (text->len >= sizeof gzip && memcmp(text->data, gzip, sizeof gzip) == 0) {
        return fail(ERR_FORMAT, "%s: is compressed (gzip), expected text; unpack it, or pipe it: "
                                "zcat FILE | esmm prep ... -", in->file.path);
    }
    if (text->len >= sizeof mark && memcmp(text->data, mark, sizeof mark) == 0) {
        text->len -= sizeof mark;
        memmove(text->data, text->data + sizeof mark, text->len);
        in->offset = sizeof mark;
    }
    return OK;
}

/* --- records --------------------------------------------------------------------------------- */

#define NO_END ((size_t)-1)

/* Where the quoted record at `at` ends, behind its line end; NO_END if that is not within n bytes. */
static size_t quoted_end(const struct prep_input *in, const char *at, size_t n) {
    bool quoted = false, fresh = true; /* fresh: at the start of a cell */
    for (size_t i = 0; i < n; i++) {
        if (quoted) {
            quoted = at[i] != in->quote;
        } else if (at[i] == '\n') {
            return i + 1;
        } else if (at[i] == in->quote) {
            /* Only at a cell's start, or right behind a closing one, which makes it two in one. */
            quoted = fresh || (i > 0 && at[i - 1] == in->quote);
            fresh = false;
        } else {
            fresh = at[i] == in->delimiter;
        }
    }
    return NO_END;
}

static size_t plain_end(const char *at, size_t n) {
    const char *end = memchr(at, '\n', n);
    return end == NULL ? NO_END : (size_t)(end - at) + 1;
}

static size_t record_end(const struct prep_input *in, const char *at, size_t n) {
    const size_t plain = plain_end(at, n);
    if (in->quote == 0 || memchr(at, in->quote, plain == NO_END ? n : plain) == NULL) {
        return plain;
    }
    const size_t quoted = quoted_end(in, at, n);
    const bool hopeless = quoted == NO_END && (in->ended || n > LINE_BYTES_MAX);
    return hopeless ? plain : quoted;
}

static enum status add_record(struct prep_input *in, struct prep_piece *p, size_t end) {
    if (p->count + 2 > p->start_cap) {
        const size_t cap = p->start_cap == 0 ? STARTS_FIRST : 2 * p->start_cap;
        TRY(mem_grow((void **)&p->start, p->start_cap * sizeof *p->start, cap * sizeof *p->start));
        p->start_cap = cap;
    }
    p->start[p->count] = (uint32_t)in->scanned;
    p->start[++p->count] = (uint32_t)end;
    in->scanned = end;
    return OK;
}

/* A record longer than allowed starts at `scanned`: drops its bytes beyond the limit as they come. */
static enum status skip(struct prep_input *in, struct prep_piece *p) {
    struct buf *text = &p->text;
    const size_t keep = in->scanned + LINE_BYTES_MAX + 1;
    const size_t end = plain_end((char *)text->data + keep, text->len - keep);
    in->skipping = end == NO_END && !in->ended;
    if (end == NO_END) {
        in->gap = in->gap || text->len > keep;
        text->len = keep;
        return in->ended ? add_record(in, p, keep) : OK;
    }
    if (end > 1) {
        text->len -= end - 1;
        memmove(text->data + keep, text->data + keep + end - 1, text->len - keep);
        in->gap = true;
    }
    return add_record(in, p, keep + 1);
}

static bool full(const struct prep_input *in, const struct prep_piece *p) {
    return p->count > in->records_max || (p->count > 0 && in->scanned > in->bytes_max) ||
           (in->gap && in->exact_offsets);
}

/* Finds the records that are whole. */
static enum status scan(struct prep_input *in, struct prep_piece *p) {
    while (!full(in, p) && in->scanned < p->text.len) {
        const size_t left = p->text.len - in->scanned;
        const size_t n = left < LINE_BYTES_MAX + 1 ? left : LINE_BYTES_MAX + 1;
        if (in->skipping) {
            TRY(skip(in, p));
            if (in->skipping) {
                return OK;
            }
            continue;
        }
        const size_t end = record_end(in, (char *)p->text.data + in->scanned, n);
        if (end != NO_END) {
            TRY(add_record(in, p, in->scanned + end));
        } else if (left > LINE_BYTES_MAX) {
            in->skipping = true;
        } else if (in->ended) {
            TRY(add_record(in, p, p->text.len));
        } else {
            return OK;
        }
    }
    return OK;
}

/* --- pieces ---------------------------------------------------------------------------------- */

/* How many of its records a piece keeps. */
static size_t cut_at(const struct prep_input *in, const struct prep_piece *p) {
    size_t cut = p->count;
    if (in->gap && in->exact_offsets) {
        return cut;
    }
    if (cut > in->records_max || (cut > 1 && in->scanned > in->bytes_max)) {
        cut--;
    } else {
        return cut; /* the end of the file */
    }
    for (size_t k = cut; in->same_run != NULL && k > cut / 2; k--) {
        if (!in->same_run(in->arg, prep_piece_record(p, k - 1), prep_piece_record(p, k))) {
            return k;
        }
    }
    return cut;
}

static uint64_t count_lines(const struct buf *text) {
    uint64_t lines = 0;
    const char *at = (const char *)text->data, *end = at + text->len;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        lines++;
    }
    return lines;
}

/* The piece is done; what was read beyond its end is put aside. */
static enum status finish(struct prep_input *in, struct prep_piece *p) {
    p->count = cut_at(in, p);
    const size_t end = p->start[p->count];
    buf_clear(&in->rest);
    TRY(buf_put(&in->rest, p->text.data + end, p->text.len - end));
    TRY(buf_reserve(&p->text, PAD_BYTES));
    p->text.len = end;
    memset(p->text.data + end, 0, PAD_BYTES);
    p->number = in->number++;
    p->offset = in->offset;
    p->first_line = in->line;
    in->line += count_lines(&p->text);
    in->offset = in->bytes_read - in->rest.len;
    in->scanned = 0;
    in->gap = false;
    return OK;
}

enum status prep_input_next(struct prep_input *in, struct prep_piece *p) {
    if (in->rest.len > 0) {
        TRY(buf_put(&p->text, in->rest.data, in->rest.len));
        buf_clear(&in->rest);
    }
    for (;;) {
        if (!in->begun && (p->text.len >= START_BYTES || in->ended)) {
            TRY(check_start(in, &p->text));
            in->begun = true;
        }
        TRY(in->begun ? scan(in, p) : OK);
        if (full(in, p) || (in->ended && p->count > 0)) {
            return finish(in, p);
        }
        if (in->ended) {
            return ERR_CLOSED;
        }
        TRY(read_block(in, &p->text));
    }
}
