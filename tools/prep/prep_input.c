/* prep_input.c - turns bytes into pieces.
 *
 * The text of a piece grows block by block. scan_records() notes where its records end, until there
 * is one record more than the piece may hold. With this extra record the cut depends on the content
 * alone: the end of a run can be seen only from the record after it. Then the piece is cut, and
 * what was read beyond the cut starts the text of the next piece. Runs are searched only here,
 * backwards from the limit, which costs a few records per piece. The reader never parses the other
 * records.
 *
 * A line without end must not fill the memory: its text beyond line_bytes_max + 1 bytes is dropped
 * as it arrives. After that, offsets in the piece differ from offsets in the file. A caller that
 * needs file offsets sets exact_offsets, so that the piece ends there.
 */
#include "prep_input.h"

#include <poll.h>

#include "common/base/kind.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/base/thread.h"

#define BLOCK_BYTES ((size_t)1 << 20)
#define PAD_BYTES   16u
#define WAIT_MS     200

/* The place where a further file begins. */
struct border {
    size_t at; /* place in the text that is being filled */
    const char *file;
};

static enum status open_file(struct prep_input *in, const char *path) {
    TRY(file_open_input(&in->file, path));
    return strcmp(path, "-") != 0 && file_is_dir(path)
               ? fail(ERR_FORMAT, "%s: is a directory, expected a file", path)
               : OK;
}

/* Gives the total bytes of all files; 0 if not known. */
static uint64_t bytes_of(const struct file_list *files) {
    uint64_t bytes = 0;
    struct file_info info;
    for (size_t k = 0; k < files->count; k++) {
        const bool input = strcmp(files->names[k], "-") == 0;
        if (!file_look(input ? "/dev/stdin" : files->names[k], &info) || !info.regular) {
            return 0;
        }
        bytes += info.bytes;
    }
    return bytes;
}

enum status prep_input_open(struct prep_input *in, const struct file_list *files) {
    *in = (struct prep_input){.file = FILE_CLOSED,
                              .files = files,
                              .line = 1,
                              .block_bytes = BLOCK_BYTES,
                              .line_bytes_max = LINE_BYTES_MAX};
    in->name = files->count > 1 ? dataset_name(files, in->label) : files->names[0];
    in->source = (struct piece_source){.header = UINT32_MAX, .file = files->names[0]};
    TRY(open_file(in, files->names[0]));
    in->bytes_total = bytes_of(files);
    return OK;
}

void prep_input_close(struct prep_input *in) {
    buf_fini(&in->rest);
    buf_fini(&in->borders);
    file_close(&in->file);
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* Waits only for a limited time, so that a slow pipe does not delay a stop signal or the progress
 * line. */
static enum status read_block(struct prep_input *in, struct buf *text) {
    struct pollfd wait = {.fd = in->file.fd, .events = POLLIN};
    TRY(buf_reserve(text, in->block_bytes + PAD_BYTES));
    if (poll(&wait, 1, WAIT_MS) <= 0) {
        return ERR_AGAIN;
    }
    size_t n = 0;
    TRY(file_read_some(&in->file, text->data + text->len, in->block_bytes, &n));
    in->ended = n == 0;
    in->bytes_read += n;
    text->len += n;
    return OK;
}

/* Rejects bytes that are not text; if a log can come through a pipe instead, the message says
 * so. */
static enum status expect_text(const struct prep_input *in, const struct buf *text) {
    const uint8_t *start = text->data + in->begin;
    const size_t n = text->len - in->begin;
    const struct kind *kind = kind_of(start, n);
    if (kind == NULL) {
        return OK;
    }
    return kind->unpack == NULL || in->exact_offsets /* also read at random places */
               ? kind_expect_text(in->file.path, start, n)
               : fail(ERR_FORMAT,
                      "%s: is %s, expected plain text; %s, or pipe it: %s FILE | esmm prep "
                      "... -",
                      in->file.path, kind->name, kind->advice, kind->unpack);
}

/* Checks the first bytes of the file. */
static enum status check_start(struct prep_input *in, struct buf *text) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    TRY(expect_text(in, text));
    uint8_t *start = text->data + in->begin;
    const size_t n = text->len - in->begin;
    if (n >= sizeof mark && memcmp(start, mark, sizeof mark) == 0) {
        text->len -= sizeof mark;
        memmove(start, start + sizeof mark, n - sizeof mark);
        in->offset += in->at == 0 ? sizeof mark : 0;
    }
    return OK;
}

/* --- records ---------------------------------------------------------------------------------- */

static enum status add_record(struct prep_input *in, struct prep_piece *p, size_t end) {
    TRY(mem_room(&p->start, &p->start_cap, p->count + 2));
    p->start[p->count] = (uint32_t)in->scanned;
    p->start[++p->count] = (uint32_t)end;
    in->scanned = end;
    return OK;
}

/* Notes that the next record is doubtful. */
static enum status note_doubtful(struct prep_piece *p) {
    const uint32_t i = (uint32_t)p->count;
    return buf_put(&p->doubtful, &i, sizeof i);
}

/* A line longer than allowed starts at `scanned`: drops its bytes beyond the limit as they
 * arrive. */
static enum status skip_line(struct prep_input *in, struct prep_piece *p) {
    struct buf *text = &p->text;
    const size_t keep = in->scanned + in->line_bytes_max + 1;
    const uint8_t *at = memchr(text->data + keep, '\n', text->len - keep);
    const size_t end = at == NULL ? 0 : (size_t)(at - text->data) - keep + 1;
    in->skipping = at == NULL && !in->ended;
    if (at == NULL) {
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

static bool is_full(const struct prep_input *in, const struct prep_piece *p) {
    return p->count > in->records_max || (p->count > 0 && in->scanned > in->bytes_max) ||
           (in->gap && in->exact_offsets && !in->skipping);
}

/* Gives where the text of the file at `scanned` ends, and whether that file gives no more. */
static size_t file_end(const struct prep_input *in, const struct prep_piece *p, bool *ended) {
    const struct border *b = (const struct border *)(const void *)in->borders.data;
    const size_t count = in->borders.len / sizeof *b;
    size_t k = count; /* from the end: usually all files but the last are scanned */
    while (k > 0 && b[k - 1].at > in->scanned) {
        k--;
    }
    *ended = k < count || in->ended;
    return k < count ? b[k].at : p->text.len;
}

/* Finds the complete records. */
static enum status scan_records(struct prep_input *in, struct prep_piece *p) {
    while (!is_full(in, p) && in->scanned < p->text.len) {
        bool ended = false;
        const size_t limit = file_end(in, p, &ended);
        const size_t left = limit - in->scanned;
        const bool cut = left > in->line_bytes_max;
        const size_t stop = cut ? in->scanned + in->line_bytes_max + 1 : limit;
        if (in->skipping) {
            TRY(skip_line(in, p));
            if (in->skipping) {
                return OK;
            }
            continue;
        }
        const size_t end = csv_quotes_end(&in->quotes, (const char *)p->text.data, in->scanned,
                                          stop, ended && !cut, cut);
        if (end != NO_END) {
            TRY(in->quotes.doubtful ? note_doubtful(p) : OK);
            TRY(add_record(in, p, end));
        } else if (cut) {
            in->skipping = true;
        } else if (ended) {
            TRY(add_record(in, p, limit));
        } else {
            return OK;
        }
    }
    return OK;
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* Gives how many of its records a piece keeps. */
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

/* Counts lines; the last line of a file may have no line end. */
static uint64_t count_lines(const struct buf *text) {
    uint64_t lines = 0;
    const char *at = (const char *)text->data, *end = at + text->len;
    for (; at < end; lines++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        at = stop == NULL ? end : stop + 1;
    }
    return lines;
}

/* A whole file is scanned and another one follows. If its last line has no end, it gets one. */
static enum status next_file(struct prep_input *in, struct prep_piece *p) {
    const struct border *last = (const struct border *)(const void *)in->borders.data;
    const size_t known = in->borders.len / sizeof *last;
    const size_t begin = known == 0 ? 0 : last[known - 1].at;
    if (p->text.len > begin && p->text.data[p->text.len - 1] != '\n') {
        TRY(buf_put(&p->text, "\n", 1));
        p->start[p->count] = (uint32_t)p->text.len;
        in->scanned = p->text.len;
    }
    const struct border next = {p->text.len, in->files->names[++in->at]};
    TRY(buf_put(&in->borders, &next, sizeof next));
    file_close(&in->file);
    in->begun = in->ended = false;
    in->begin = p->text.len;
    return open_file(in, next.file);
}

/* Marks the header of the file from `source` on. The header is among the records before `end`, or
 * is still to come. */
static void find_header(struct prep_input *in, const struct prep_piece *p,
                        struct piece_source *source, size_t end) {
    source->header = UINT32_MAX;
    for (size_t i = source->record; in->due && i < end; i++) {
        if (prep_piece_record(p, i).n > 0) {
            source->header = (uint32_t)i;
            in->due = false;
        }
    }
}

static size_t record_at(const struct prep_piece *p, size_t text) {
    size_t low = 0, high = p->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        low = p->start[mid] < text ? mid + 1 : low;
        high = p->start[mid] < text ? high : mid;
    }
    return low;
}

/* Notes which records of a piece, whose text ends at `end`, are from which file. Borders after
 * `end` are kept. */
static enum status note_sources(struct prep_input *in, struct prep_piece *p, size_t end) {
    struct border *b = (struct border *)(void *)in->borders.data;
    const size_t count = in->borders.len / sizeof *b;
    uint64_t lines = in->line - 1;
    size_t used = 0, counted = 0;
    in->source.record = 0;
    for (; used < count && b[used].at < end; used++) {
        const size_t record = record_at(p, b[used].at);
        if (record > 0) {
            find_header(in, p, &in->source, record);
            TRY(buf_put(&p->sources, &in->source, sizeof in->source));
        }
        const struct buf file = {.data = p->text.data + counted, .len = b[used].at - counted};
        lines += count_lines(&file);
        counted = b[used].at;
        in->source = (struct piece_source){
            .record = (uint32_t)record, .file = b[used].file, .lines_before = lines};
        in->due = in->headers;
    }
    find_header(in, p, &in->source, p->count);
    TRY(buf_put(&p->sources, &in->source, sizeof in->source));
    for (size_t k = used; k < count; k++) {
        b[k - used] = (struct border){b[k].at - end, b[k].file};
    }
    in->borders.len = (count - used) * sizeof *b;
    return OK;
}

/* Finishes the piece and puts aside what was read beyond its end. */
static enum status finish_piece(struct prep_input *in, struct prep_piece *p) {
    p->count = cut_at(in, p);
    const size_t end = p->start[p->count];
    buf_clear(&in->rest);
    TRY(buf_put(&in->rest, p->text.data + end, p->text.len - end));
    TRY(buf_reserve(&p->text, PAD_BYTES));
    p->text.len = end;
    memset(p->text.data + end, 0, PAD_BYTES);
    TRY(note_sources(in, p, end));
    in->begin = in->begin > end ? in->begin - end : 0;
    p->number = in->number++;
    p->offset = in->offset;
    p->first_line = in->line;
    p->lines = count_lines(&p->text);
    in->line += p->lines;
    in->offset = in->bytes_read - in->rest.len;
    in->quotes.checked = 0; /* the following text may be scanned again */
    in->scanned = 0;
    in->gap = false;
    return OK;
}

/* Takes one record. */
static enum status take_first(struct prep_input *in, struct prep_piece *p) {
    const uint32_t records_max = in->records_max;
    enum status status;
    prep_piece_clear(p);
    in->records_max = 1;
    do {
        status = prep_input_next(in, p);
    } while (status == ERR_AGAIN && !stop_requested());
    in->records_max = records_max;
    in->number = 0;
    in->quotes.checked = 0; /* it was found when the number of columns was not known */
    return status;
}

enum status prep_input_first(struct prep_input *in, struct buf *record, struct prep_tally *t) {
    struct prep_piece p = {0};
    enum status status = OK;
    for (bool blank = true; blank;) {
        TRY_OUT(take_first(in, &p));
        const struct span first = prep_piece_record(&p, 0);
        blank = first.n == 0;
        t->lines += p.lines;
        t->blank += blank ? p.lines : 0;
        t->header += blank ? 0 : p.lines;
        buf_clear(record);
        TRY_OUT(buf_put(record, first.at, first.n));
    }
out:
    prep_piece_fini(&p);
    return status;
}

enum status prep_input_peek(struct prep_input *in, size_t bytes, struct span *text) {
    while (in->rest.len < bytes && !in->ended) {
        const enum status status = read_block(in, &in->rest);
        if (status == ERR_AGAIN && !stop_requested()) {
            continue;
        }
        TRY(status);
    }
    if (!in->begun) {
        TRY(check_start(in, &in->rest));
        in->begun = true;
    }
    *text = (struct span){(const char *)in->rest.data, in->rest.len};
    return OK;
}

enum status prep_input_next(struct prep_input *in, struct prep_piece *p) {
    if (in->rest.len > 0) {
        TRY(buf_put(&p->text, in->rest.data, in->rest.len));
        buf_clear(&in->rest);
    }
    for (;;) {
        if (!in->begun && (p->text.len - in->begin >= KIND_HEAD_BYTES || in->ended)) {
            TRY(check_start(in, &p->text));
            in->begun = true;
        }
        TRY(in->begun ? scan_records(in, p) : OK);
        const bool more = in->at + 1 < in->files->count;
        if (is_full(in, p) || (in->ended && !more && p->count > 0)) {
            return finish_piece(in, p);
        }
        if (in->ended && !more) {
            return ERR_CLOSED;
        }
        if (in->ended) {
            TRY(next_file(in, p));
        }
        TRY(read_block(in, &p->text));
    }
}
