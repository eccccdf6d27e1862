#include "prep_piece.h"

#include "common/base/mem.h"

const char *reject_text(enum reject r) {
    static const char *const texts[REJECTS] = {
#define X(name, text) [name] = text,
        REJECT_LIST(X)
#undef X
    };
    return texts[r];
}

void prep_tally_add(struct prep_tally *to, const struct prep_tally *from) {
    to->lines += from->lines;
    to->header += from->header;
    to->blank += from->blank;
    to->dropped += from->dropped;
    to->rows += from->rows;
    to->continued += from->continued;
    to->orphans += from->orphans;
    to->splits += from->splits;
    to->skipped += from->skipped;
    to->twice += from->twice;
    prep_tally_time(to, from->first_time, from->last_time);
    for (int r = 0; r < REJECTS; r++) {
        to->rejected[r] += from->rejected[r];
    }
    for (uint32_t k = 0; k < CLASSES; k++) {
        to->class[k].rows += from->class[k].rows;
        for (int r = 0; r < REJECTS; r++) {
            to->class[k].rejected[r] += from->class[k].rejected[r];
        }
    }
}

uint64_t prep_tally_rejected(const struct prep_tally *t) {
    uint64_t sum = 0;
    for (int r = 0; r < REJECTS; r++) {
        sum += t->rejected[r];
    }
    return sum;
}

uint64_t prep_tally_judged(const struct prep_tally *t) {
    return t->lines - t->header - t->blank - t->continued;
}

uint64_t prep_tally_sum(const struct prep_tally *t) {
    return t->header + t->blank + prep_tally_rejected(t) + t->dropped + t->rows + t->continued;
}

void prep_piece_fini(struct prep_piece *p) {
    buf_fini(&p->text);
    buf_fini(&p->doubtful);
    buf_fini(&p->sources);
    buf_fini(&p->rejects);
    buf_fini(&p->entries);
    buf_fini(&p->shards);
    buf_fini(&p->blocks);
    mem_free(&p->start);
}

void prep_piece_clear(struct prep_piece *p) {
    buf_clear(&p->text);
    buf_clear(&p->doubtful);
    buf_clear(&p->sources);
    buf_clear(&p->rejects);
    buf_clear(&p->entries);
    buf_clear(&p->shards);
    buf_clear(&p->blocks);
    p->count = p->counted = 0;
    memset(p->first_count, 0, sizeof p->first_count);
    p->lines = p->continued_count = 0;
    p->tally = (struct prep_tally){0};
    p->status = OK;
}

struct span prep_piece_record(const struct prep_piece *p, size_t i) {
    struct span s = {(const char *)p->text.data + p->start[i], p->start[i + 1] - p->start[i]};
    if (s.n > 0 && s.at[s.n - 1] == '\n') {
        s.n--;
    }
    if (s.n > 0 && s.at[s.n - 1] == '\r') {
        s.n--;
    }
    return s;
}

static uint64_t count_line_ends(const struct prep_piece *p, size_t from, size_t to) {
    uint64_t ends = 0;
    const char *at = (const char *)p->text.data + from, *end = (const char *)p->text.data + to;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        ends++;
    }
    return ends;
}

uint64_t prep_piece_lines(const struct prep_piece *p, size_t i) {
    return p->lines == p->count ? 1 : 1 + count_line_ends(p, p->start[i], p->start[i + 1] - 1);
}

/* A record of a quoted format can hold line ends, so they are counted, each once. */
uint64_t prep_piece_line(struct prep_piece *p, size_t i) {
    if (p->lines == p->count) {
        return p->first_line + i;
    }
    if (p->counted == 0 || i < p->counted) {
        p->counted = 0;
        p->counted_line = p->first_line;
    }
    p->counted_line += count_line_ends(p, p->counted == 0 ? 0 : p->start[p->counted], p->start[i]);
    p->counted = i;
    return p->counted_line;
}

/* The last that begins at record i or before. */
static const struct piece_source *source_of(const struct prep_piece *p, size_t i) {
    const struct piece_source *all = (const struct piece_source *)(const void *)p->sources.data;
    size_t low = 0, high = p->sources.len / sizeof *all;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        low = all[mid].record <= i ? mid + 1 : low;
        high = all[mid].record <= i ? high : mid;
    }
    return low == 0 ? NULL : &all[low - 1];
}

struct piece_place prep_piece_place(struct prep_piece *p, size_t i) {
    const struct piece_source *s = source_of(p, i);
    const uint64_t line = prep_piece_line(p, i);
    return s == NULL ? (struct piece_place){"", line}
                     : (struct piece_place){s->file, line - s->lines_before};
}

const char *prep_piece_file(const struct prep_piece *p, size_t i) {
    const struct piece_source *s = source_of(p, i);
    return s == NULL ? "" : s->file;
}

bool prep_piece_is_header(const struct prep_piece *p, size_t i) {
    const struct piece_source *s = source_of(p, i);
    return s != NULL && s->header == i;
}

bool prep_piece_doubtful(const struct prep_piece *p, size_t i) {
    const uint32_t *which = (const uint32_t *)(const void *)p->doubtful.data;
    size_t low = 0, high = p->doubtful.len / sizeof *which;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (which[mid] == i) {
            return true;
        }
        low = which[mid] < i ? mid + 1 : low;
        high = which[mid] > i ? mid : high;
    }
    return false;
}

void prep_piece_accept(struct prep_piece *p, size_t i) {
    const uint64_t further = prep_piece_lines(p, i) - 1;
    p->tally.continued += further;
    if (further > 0 && p->continued_count < CONTINUED_SHOWN) {
        p->continued[p->continued_count++] = prep_piece_place(p, i);
    }
}

static enum status put_escaped(struct buf *out, struct span text) {
    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        if (c == '\t') {
            TRY(buf_put(out, "\\t", 2));
        } else if (c == '\\') {
            TRY(buf_put(out, "\\\\", 2));
        } else if (c < 0x20 || c > 0x7e) {
            TRY(buf_printf(out, "\\x%02x", c));
        } else {
            TRY(buf_put_u8(out, c));
        }
    }
    return OK;
}

enum status reject_row(struct buf *out, const char *file, uint64_t line, enum reject why,
                       const char *seen, struct span text) {
    const struct span head = {text.at, text.n < REJECT_HEAD_BYTES ? text.n : REJECT_HEAD_BYTES};
    TRY(put_escaped(out, (struct span){file, strlen(file)}));
    TRY(buf_printf(out, "\t%llu\t%s%s", (unsigned long long)line, reject_text(why),
                   seen[0] == '\0' ? "" : ": "));
    TRY(put_escaped(out, (struct span){seen, strlen(seen)}));
    TRY(buf_put(out, "\t", 1));
    TRY(put_escaped(out, head));
    return buf_put(out, text.n > head.n ? "...\n" : "\n", text.n > head.n ? 4 : 1);
}

enum status prep_piece_reject_seen(struct prep_piece *p, const char *file, size_t i,
                                   enum reject why, const char *seen) {
    p->tally.rejected[why] += prep_piece_lines(p, i);
    return reject_row(&p->rejects, file, prep_piece_place(p, i).line, why, seen,
                      prep_piece_record(p, i));
}

enum status prep_piece_reject(struct prep_piece *p, const char *file, size_t i, enum reject why) {
    return prep_piece_reject_seen(p, file, i, why, "");
}
