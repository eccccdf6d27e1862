/* Every line of a raw log is accounted for, and no bad quote takes a good row.
 *
 * The input's bytes, and random numbers when they are used up, choose a log: its delimiter, quotes,
 * columns and their order, header, line ends, the longest line that is allowed; and its lines: rows
 * with nothing odd about them ("clean"), quoted ones, ones that go on over lines, open and stray
 * quotes, noise, blank lines, lines that are too long, headers again. All of `esmm prep` runs on
 * it, twice, with another size of the reader's blocks and other threads. Then
 *
 *   - header + blank + rejected + dropped + rows + continued in manifest and summary is the number
 *     of lines that were counted here,
 *   - every clean row is there, in order, and once,
 *   - both runs wrote the same bytes.
 */
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/dataset.h"
#include "common/data/shard.h"
#include "fuzz.h"
#include "tests/dirs.h"
#include "tools/prep/prep.h"

#define LINES_MAX   40u
#define COLUMNS_MAX 7u
#define CLEAN_FIRST 1000000u /* ids of clean rows; no other line has such */
#define NAME_BYTES  128u

static char dir[64], input[NAME_BYTES], other[NAME_BYTES], schema[NAME_BYTES], out[2][NAME_BYTES];

struct log {
    const uint8_t *data;
    size_t bytes, at;
    uint64_t seed, draws;
    struct buf text, common, schema;
    bool aliccp, quoted, header, odd_header, drop;
    char delimiter;
    uint32_t columns, turn; /* column k of the roles is at place (k + turn) % columns */
    uint32_t block_bytes, line_bytes_max, shard_impressions, threads;
    uint64_t clean[LINES_MAX + 1];
    uint32_t clean_count;
};

static uint32_t pick(struct log *l, uint32_t below) {
    return l->at < l->bytes ? l->data[l->at++] % below
                            : (uint32_t)rng_below(l->seed, l->draws++, 0, below);
}

static void put(struct buf *b, const char *text) {
    FUZZ_MUST(buf_put(b, text, strlen(text)) == OK);
}

static void put_char(struct buf *b, char c) {
    FUZZ_MUST(buf_put(b, &c, 1) == OK);
}

static uint32_t next_clean(struct log *l) {
    const uint32_t id = CLEAN_FIRST + l->clean_count;
    l->clean[l->clean_count++] = id;
    return id;
}

static void put_line_end(struct log *l, struct buf *b) {
    put(b, pick(l, 4) == 0 ? "\r\n" : "\n");
}

/* --- a delimited log -------------------------------------------------------------------------- */

static const char *const roles[COLUMNS_MAX] = {"id", "click", "conv", "f0", "f1", "f2", "f3"};

static void put_schema(struct log *l) {
    FUZZ_MUST(buf_printf(&l->schema,
                         "[log]\ndelimiter = \\x%02x\nheader = %s\n%simpression = id\n"
                         "click = click\nconversion = conv\nuser = f0\n",
                         (unsigned)l->delimiter, l->header ? "yes" : "no",
                         l->header && pick(l, 2) == 0 ? "repeated_headers = skip\n" : "") == OK);
    if (l->quoted != (l->delimiter != '\t') || pick(l, 2) == 0) {
        put(&l->schema, l->quoted ? "quotes = yes\n" : "quotes = no\n");
    }
    for (uint32_t k = 4; k < l->columns; k++) {
        FUZZ_MUST(buf_printf(&l->schema, "item = f%u\n", k - 3) == OK);
    }
    for (uint32_t place = 0; place < l->columns && !l->header; place++) {
        FUZZ_MUST(buf_printf(&l->schema, "columns = %s\n",
                             roles[(place + l->columns - l->turn) % l->columns]) == OK);
    }
}

/* Nothing that a reader could take for something else. */
static void put_plain(struct log *l, bool quotes) {
    const char *alphabet = quotes ? "abc\"" : "abc";
    const uint32_t many = (uint32_t)strlen(alphabet);
    for (uint32_t n = pick(l, 5); n > 0; n--) {
        put_char(&l->text, alphabet[pick(l, many)]);
    }
}

/* Anything, often what matters. */
static void put_noise(struct log *l, uint32_t most) {
    static const char alphabet[] = "ab01\"\"\"\"\r\n ,\t";
    for (uint32_t n = pick(l, most); n > 0; n--) {
        const uint32_t c = pick(l, sizeof alphabet + 3);
        put_char(&l->text, c < sizeof alphabet - 1 ? alphabet[c] : l->delimiter);
    }
}

static void put_quoted(struct log *l, bool lines) {
    static const char *const parts[] = {"a", "b", "\"\"", " ", "\r", "\n", "\r\n", "\n\n"};
    put_char(&l->text, '"');
    for (uint32_t n = pick(l, 6); n > 0; n--) {
        const uint32_t part = pick(l, lines ? 9 : 6);
        if (part == (lines ? 8 : 5)) {
            put_char(&l->text, l->delimiter);
        } else {
            put(&l->text, parts[part]);
        }
    }
    put_char(&l->text, '"');
}

enum line { CLEAN, QUOTED, LINES, OPEN, STRAY, SHORT, LABEL, NOISE, BLANK, LONG, KINDS };

static void put_cell(struct log *l, enum line kind) {
    switch (kind) {
    case QUOTED: put_quoted(l, false); break;
    case LINES: put_quoted(l, true); break;
    case OPEN:
        put_char(&l->text, '"');
        put_noise(l, 4);
        break;
    case STRAY:
        put_plain(l, true);
        put_char(&l->text, '"');
        put_plain(l, true);
        break;
    case LONG:
        for (uint32_t n = l->line_bytes_max + pick(l, 3); n > 0; n--) {
            put_char(&l->text, 'x');
        }
        break;
    case NOISE: put_noise(l, 12); break;
    default: put_plain(l, !l->quoted); break;
    }
}

/* The cells of a row, of which one or all are odd in the way of `kind`. */
static void put_row(struct log *l, enum line kind) {
    const uint32_t columns = kind == SHORT ? 1 + pick(l, l->columns) : l->columns;
    const uint32_t which = pick(l, l->columns + 1);
    const size_t from = l->text.len;
    bool orphan = false, click = false;
    for (uint32_t place = 0; place < columns; place++) {
        const uint32_t role = (place + l->columns - l->turn) % l->columns;
        if (place > 0) {
            put_char(&l->text, l->delimiter);
        }
        if (role == 0) {
            const uint32_t id = kind == CLEAN ? next_clean(l) : 1 + pick(l, 100);
            FUZZ_MUST(buf_printf(&l->text, "%u", id) == OK);
        } else if (role < 3 && (kind == CLEAN || which > 0)) {
            const bool set = pick(l, 3) == 0;
            click = role == 1 ? set : click;
            orphan = role == 2 ? set : orphan;
            put_char(&l->text, kind == LABEL ? '7' : set ? '1' : '0');
        } else {
            put_cell(l, kind == CLEAN || which == 0 || which == role ? kind : CLEAN);
        }
    }
    if (l->odd_header) {
        put_char(&l->text, l->delimiter);
    }
    if (kind == CLEAN) {
        FUZZ_MUST(l->text.len - from <= l->line_bytes_max);
        l->clean_count -= l->drop && orphan && !click; /* it will not come out */
    }
}

static void put_header(struct log *l) {
    for (uint32_t place = 0; place < l->columns; place++) {
        put(&l->text, roles[(place + l->columns - l->turn) % l->columns]);
        if (place + 1 < l->columns) {
            put_char(&l->text, l->delimiter);
        }
    }
    if (l->odd_header) {
        put_char(&l->text, l->delimiter);
        put(&l->text, "\"x\ny\"");
    }
}

static void put_csv(struct log *l) {
    put(&l->text, pick(l, 8) == 0 ? "\xef\xbb\xbf" : "");
    while (pick(l, 4) == 0) {
        put_line_end(l, &l->text);
    }
    if (l->header) {
        put_header(l);
        put_line_end(l, &l->text);
    }
    for (uint32_t n = pick(l, LINES_MAX); n > 0; n--) {
        const uint32_t kind = pick(l, KINDS + 4);
        if (kind == KINDS && l->header) {
            put_header(l);
        } else if (kind < KINDS) {
            if (kind == NOISE) {
                put_noise(l, 30);
            } else if (kind != BLANK) {
                put_row(l, (enum line)kind);
            }
        } else {
            put_row(l, CLEAN);
        }
        put_line_end(l, &l->text);
    }
    for (const uint32_t count = l->clean_count; l->clean_count == count;) { /* at least one */
        put_row(l, CLEAN);
        put_line_end(l, &l->text);
    }
    while (memchr("\r\n", l->text.data[l->text.len - 1], 2) != NULL && pick(l, 2) == 0) {
        l->text.len--; /* the last line without its end, or with a part of it */
    }
}

/* --- Ali-CCP's two files ---------------------------------------------------------------------- */

static void put_aliccp(struct log *l) {
    static const char *const odd[] = {"", "bad", "k0,0,", "k1,1,7", "\"", ",,", "k9,0,\r"};
    for (uint32_t k = 0; k < 4; k++) {
        FUZZ_MUST(buf_printf(&l->common,
                             "k%u,1,101\x02%u\x03"
                             "1",
                             k, pick(l, 9)) == OK);
        put_line_end(l, &l->common);
        if (pick(l, 2) == 0) {
            put(&l->common, odd[pick(l, 7)]);
            put_line_end(l, &l->common);
        }
    }
    for (uint32_t n = pick(l, LINES_MAX); n > 0; n--) {
        const uint32_t kind = pick(l, 8), conversion = pick(l, 2);
        if (kind < 4) { /* clean: a click, so no orphan */
            FUZZ_MUST(buf_printf(&l->text, "%u,1,%u,k%u,0,", next_clean(l), conversion, kind) ==
                      OK);
        } else if (kind < 6) {
            FUZZ_MUST(buf_printf(&l->text, "7,0,1,k%u,0,", pick(l, 12)) == OK);
        } else if (kind == 6) {
            put_noise(l, 30);
        }
        put_line_end(l, &l->text);
    }
    FUZZ_MUST(buf_printf(&l->text, "%u,0,0,k2,0,", next_clean(l)) == OK);
}

/* --- one log ---------------------------------------------------------------------------------- */

static void choose(struct log *l) {
    static const char delimiters[] = ",,,\t;| \x01";
    l->aliccp = pick(l, 8) == 0;
    l->delimiter = delimiters[pick(l, sizeof delimiters - 1)];
    l->quoted = pick(l, 6) != 0;
    l->header = pick(l, 3) != 0;
    l->drop = pick(l, 2) == 0;
    l->columns = 4 + pick(l, COLUMNS_MAX - 3);
    l->turn = pick(l, l->columns);
    l->odd_header = l->header && l->quoted && pick(l, 8) == 0;
    l->block_bytes = 1 + pick(l, 100);
    l->line_bytes_max = pick(l, 3) == 0 ? 256 : 60 + pick(l, 100);
    l->shard_impressions = 1 + pick(l, 40);
    l->threads = 1 + pick(l, 3);
    if (l->aliccp) {
        put_aliccp(l);
    } else {
        put_schema(l);
        put_csv(l);
    }
    FUZZ_MUST(file_write_atomic(input, l->text.data, l->text.len) == OK);
    FUZZ_MUST(file_write_atomic(other, l->common.data, l->common.len) == OK);
    FUZZ_MUST(file_write_atomic(schema, l->schema.data, l->schema.len) == OK);
}

/* Counted apart from all that prep does. */
static uint64_t lines_in(const struct buf *text) {
    uint64_t lines = text->len > 0 && text->data[text->len - 1] != '\n';
    for (size_t i = 0; i < text->len; i++) {
        lines += text->data[i] == '\n';
    }
    return lines;
}

static void check_sum(const struct line_counts *c, const struct buf *text) {
    FUZZ_MUST(c->lines == lines_in(text));
    FUZZ_MUST(c->lines == c->header + c->blank + c->rejected + c->dropped + c->rows + c->continued);
}

/* esmm prep, the first time with the reader as it is but for the longest line. */
static void run(const struct log *l, int which, char *summary, size_t bytes) {
    const struct prep_options o = {
        .format = l->aliccp ? "aliccp" : "csv",
        .out = out[which],
        .skeleton = DIRS(input),
        .common = other,
        .schema = schema,
        .input = DIRS(input),
        .threads = which == 0 ? 1 : l->threads,
        .shard_impressions = l->shard_impressions,
        .bad_max = 100,
        .block_bytes = which == 0 ? 0 : l->block_bytes,
        .line_bytes_max = l->line_bytes_max,
        .drop_orphans = l->drop,
    };
    FILE *to = fmemopen(summary, bytes, "w");
    FUZZ_MUST(to != NULL);
    FUZZ_MUST(prep_make(&o, to) == OK);
    fclose(to);
}

/* Every clean row is there, in order and once. */
static void check_rows(const struct log *l, const struct dataset *d) {
    static struct shard s;
    uint32_t seen = 0;
    for (uint32_t k = 0; k < d->shard_count; k++) {
        FUZZ_MUST(shard_read(&s, out[0], d->shards[k].name, &d->schema) == OK);
        for (uint32_t i = 0; i < s.impressions; i++) {
            if (s.impression_id[i] >= CLEAN_FIRST && s.impression_id[i] < 2 * CLEAN_FIRST) {
                FUZZ_MUST(seen < l->clean_count && s.impression_id[i] == l->clean[seen]);
                seen++;
            }
        }
        shard_free(&s);
    }
    FUZZ_MUST(seen == l->clean_count);
}

static void same_file(const char *name) {
    char path[2][2 * NAME_BYTES];
    char *text[2] = {NULL, NULL};
    size_t bytes[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        snprintf(path[k], sizeof path[k], "%s/%s", out[k], name);
        FUZZ_MUST(file_read_all(path[k], (size_t)1 << 24, &text[k], &bytes[k]) == OK);
    }
    FUZZ_MUST(bytes[0] == bytes[1] && memcmp(text[0], text[1], bytes[0]) == 0);
    mem_free(&text[0]);
    mem_free(&text[1]);
}

static void check(const struct log *l) {
    char summary[2][1 << 14] = {"", ""}, lines[64];
    struct dataset d;
    run(l, 0, summary[0], sizeof summary[0]);
    run(l, 1, summary[1], sizeof summary[1]);
    FUZZ_MUST(dataset_read(&d, out[0]) == OK);
    check_sum(&d.log_lines, &l->text);
    check_sum(&d.common_lines, &l->common);
    FUZZ_MUST(d.log_lines.rows == d.impressions);
    FUZZ_MUST(d.log_lines.rejected + d.common_lines.rejected == d.rejected);
    snprintf(lines, sizeof lines, "\nlines        %llu = ", (unsigned long long)lines_in(&l->text));
    FUZZ_MUST(strstr(summary[0], lines) != NULL);
    check_rows(l, &d);
    same_file("manifest"); /* it has the shards' checksums */
    same_file("rejects.tsv");
    dataset_free(&d);
}

static void remove_all(void) {
    FUZZ_MUST(file_remove_tree(dir) == OK);
}

static void make_dir(void) {
    snprintf(dir, sizeof dir, "%s/esmm-fuzz-lines-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_MUST(mkdtemp(dir) != NULL);
    snprintf(input, sizeof input, "%s/log", dir);
    snprintf(other, sizeof other, "%s/common", dir);
    snprintf(schema, sizeof schema, "%s/schema", dir);
    snprintf(out[0], sizeof out[0], "%s/a", dir);
    snprintf(out[1], sizeof out[1], "%s/b", dir);
    atexit(remove_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct log l = {.data = data, .bytes = bytes, .seed = hash_bytes(data, bytes)};
    if (dir[0] == '\0') {
        make_dir();
    }
    choose(&l);
    check(&l);
    FUZZ_MUST(file_remove_tree(out[0]) == OK && file_remove_tree(out[1]) == OK);
    buf_fini(&l.text);
    buf_fini(&l.common);
    buf_fini(&l.schema);
    return 0;
}

/* Any bytes make a log; these are only some that differ. */
bool fuzz_seed(uint32_t n, struct buf *to) {
    uint8_t bytes[64];
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)rng_below(n, i, 0, 256);
    }
    return n < 32 && buf_put(to, bytes, sizeof bytes) == OK;
}
