#include "prep_piece.h"

#include "common/base/mem.h"

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

/* A record of a quoted format can contain line ends, so they are counted, each only once. */
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

/* Gives the last source that begins at record i or before it. */
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

enum status prep_piece_reject_seen(struct prep_piece *p, size_t i, enum reject why,
                                   const char *seen) {
    const struct piece_place place = prep_piece_place(p, i);
    p->tally.rejected[why] += prep_piece_lines(p, i);
    return reject_row(&p->rejects, place.file, place.line, why, seen, prep_piece_record(p, i));
}

enum status prep_piece_reject(struct prep_piece *p, size_t i, enum reject why) {
    return prep_piece_reject_seen(p, i, why, "");
}
