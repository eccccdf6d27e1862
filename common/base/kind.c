/* kind.c - the first bytes of formats that users give instead of text.
 *
 * Some formats begin with letters, as a text may ("ORC", "PAR1" as the name of a column). For those
 * a byte must follow that no text has: one below 32, except white space and the separators of Hive
 * and Ali-CCP (1, 2, 3).
 */
#include "kind.h"

#include <stdbool.h>
#include <string.h>

struct magic {
    const char *bytes;
    size_t n, at;
    bool letters;
    struct kind kind;
};

#define ROWS   "write its rows as delimited text first"
#define UNPACK "unpack it"

static const struct magic magics[] = {
    {"\x1f\x8b", 2, 0, false, {"compressed (gzip)", "zcat", UNPACK}},
    {"\x28\xb5\x2f\xfd", 4, 0, false, {"compressed (zstd)", "zstdcat", UNPACK}},
    {"\xfd"
     "7zXZ\0",
     6,
     0,
     false,
     {"compressed (xz)", "xzcat", UNPACK}},
    {"\x04\x22\x4d\x18", 4, 0, false, {"compressed (lz4)", "lz4cat", UNPACK}},
    {"1AY&SY", 6, 4, false, {"compressed (bzip2)", "bzcat", UNPACK}},
    {"\x1f\x9d", 2, 0, false, {"compressed (compress)", "zcat", UNPACK}},
    {"\xff\x06\0\0sNaPpY", 10, 0, false, {"compressed (snappy)", NULL, UNPACK}},
    {"PK\x03\x04", 4, 0, false, {"a zip archive (or a workbook, .xlsx)", "unzip -p", UNPACK}},
    {"7z\xbc\xaf\x27\x1c", 6, 0, false, {"a 7z archive", "7z x -so", UNPACK}},
    {"Rar!\x1a\x07", 6, 0, false, {"a rar archive", "unrar p -inul", UNPACK}},
    {"PAR1", 4, 0, true, {"a Parquet file", NULL, ROWS}},
    {"Obj\x01", 4, 0, true, {"an Avro file", NULL, ROWS}},
    {"ORC", 3, 0, true, {"an ORC file", NULL, ROWS}},
    {"SEQ", 3, 0, true, {"a Hadoop sequence file", NULL, ROWS}},
    {"RCF", 3, 0, true, {"an RCFile", NULL, ROWS}},
    {"ARROW1\0\0", 8, 0, false, {"an Arrow (Feather) file", NULL, ROWS}},
    {"FEA1", 4, 0, true, {"a Feather file", NULL, ROWS}},
    {"\x89HDF\r\n\x1a\n", 8, 0, false, {"an HDF5 file", NULL, ROWS}},
    {"SQLite format 3\0", 16, 0, false, {"an SQLite database", NULL, ROWS}},
    {"\x93NUMPY", 6, 0, false, {"a NumPy array", NULL, ROWS}},
    {"\x80\x02", 2, 0, true, {"a Python pickle", NULL, ROWS}},
    {"\x80\x03", 2, 0, true, {"a Python pickle", NULL, ROWS}},
    {"\x80\x04\x95", 3, 0, false, {"a Python pickle", NULL, ROWS}},
    {"\x80\x05\x95", 3, 0, false, {"a Python pickle", NULL, ROWS}},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8, 0, false, {"an Office document (.xls)", NULL, ROWS}},
    {"ustar", 5, 257, false, {"a tar archive", "tar -xOf", UNPACK}},
    {"ESMMPS\r\n", 8, 0, false, {"a file of esmm's own", NULL, "esmm inspect says what it holds"}},
    {"\xff\xfe\0\0", 4, 0, false, {"UTF-32 text", "iconv -f UTF-32 -t UTF-8", "make it UTF-8"}},
    {"\0\0\xfe\xff", 4, 0, false, {"UTF-32 text", "iconv -f UTF-32 -t UTF-8", "make it UTF-8"}},
    {"\xff\xfe", 2, 0, false, {"UTF-16 text", "iconv -f UTF-16 -t UTF-8", "make it UTF-8"}},
    {"\xfe\xff", 2, 0, false, {"UTF-16 text", "iconv -f UTF-16 -t UTF-8", "make it UTF-8"}},
};

/* For a text without a byte order mark that begins with ASCII, the zeros among the first four bytes
 * tell the encoding.
 */
static const struct {
    bool zero[4];
    struct kind kind;
} wide[] = {
    {{0, 1, 1, 1}, {"UTF-32 text without a mark", "iconv -f UTF-32LE -t UTF-8", "make it UTF-8"}},
    {{1, 1, 1, 0}, {"UTF-32 text without a mark", "iconv -f UTF-32BE -t UTF-8", "make it UTF-8"}},
    {{0, 1, 0, 1}, {"UTF-16 text without a mark", "iconv -f UTF-16LE -t UTF-8", "make it UTF-8"}},
    {{1, 0, 1, 0}, {"UTF-16 text without a mark", "iconv -f UTF-16BE -t UTF-8", "make it UTF-8"}},
};

static const struct kind binary = {"binary (zero bytes near its start)", NULL, ROWS};

static bool has_control(const unsigned char *at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (at[i] < 0x20 && (at[i] == 0 || at[i] > 3) && memchr("\t\n\v\f\r", at[i], 5) == NULL) {
            return true;
        }
    }
    return false;
}

const struct kind *kind_of(const void *head, size_t n) {
    const unsigned char *at = head;
    n = n < KIND_HEAD_BYTES ? n : KIND_HEAD_BYTES;
    if (n == 0) {
        return NULL;
    }
    for (size_t k = 0; k < sizeof magics / sizeof *magics; k++) {
        const struct magic *m = &magics[k];
        if (n >= m->at + m->n && memcmp(at + m->at, m->bytes, m->n) == 0 &&
            (!m->letters || has_control(at + m->n, n - m->n))) {
            return &m->kind;
        }
    }
    for (size_t k = 0; n >= 4 && k < sizeof wide / sizeof *wide; k++) {
        const bool *zero = wide[k].zero;
        if ((at[0] == 0) == zero[0] && (at[1] == 0) == zero[1] && (at[2] == 0) == zero[2] &&
            (at[3] == 0) == zero[3]) {
            return &wide[k].kind;
        }
    }
    return memchr(at, 0, n) != NULL ? &binary : NULL;
}

enum status kind_expect_text(const char *path, const void *head, size_t n) {
    const struct kind *kind = kind_of(head, n);
    return kind == NULL ? OK
                        : fail(ERR_FORMAT, "%s: is %s, expected plain text; %s%s%s%s", path,
                               kind->name, kind->advice, kind->unpack != NULL ? ": " : "",
                               kind->unpack != NULL ? kind->unpack : "",
                               kind->unpack != NULL ? " FILE" : "");
}
