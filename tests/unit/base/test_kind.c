/* What a file is by its first bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/kind.h"

#include <cmocka.h>

/* The starts of files that the usual tools wrote. */
#define HEAD(text) text, sizeof text - 1
static const struct {
    const char *head;
    size_t n;
    const char *name, *unpack;
} files[] = {
    {HEAD("\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x4c"), "gzip", "zcat"},
    {HEAD("\x28\xb5\x2f\xfd\x24\x1a\xd1\0\0id,clic"), "zstd", "zstdcat"},
    {HEAD("BZh91AY&SY\xac\x40\xf8\x57"), "bzip2", "bzcat"},
    {HEAD("\xfd"
          "7zXZ\0\0\x04\xe6\xd6"),
     "(xz)", "xzcat"},
    {HEAD("\x04\x22\x4d\x18\x64\x40\xa7\x1a\0\0\x80id,cl"), "lz4", "lz4cat"},
    {HEAD("PK\x03\x04\x14\0\0\0"), "zip", "unzip -p"},
    {HEAD("PAR1\x15\x04\x15\x30\x15"), "Parquet", NULL},
    {HEAD("Obj\x01\x04\x14"
          "avro.codec"),
     "Avro", NULL},
    {HEAD("ORC\x1d\0\0\x0a\x0c"), "ORC", NULL},
    {HEAD("ARROW1\0\0\xff\xff\xff\xff"), "Arrow", NULL},
    {HEAD("FEA1\0\0\0\0\x01"), "Feather", NULL},
    {HEAD("SEQ\x06\x19org.apache"), "sequence", NULL},
    {HEAD("\x89HDF\r\n\x1a\n\0"), "HDF5", NULL},
    {HEAD("SQLite format 3\0\x10"), "SQLite", NULL},
    {HEAD("\x93NUMPY\x01\0v\0"), "NumPy", NULL},
    {HEAD("\x80\x02]q\0(}q\x01X"), "pickle", NULL},
    {HEAD("\x80\x04\x95\xc4\x02\0\0"), "pickle", NULL},
    {HEAD("ESMMPS\r\n\x01\0\0\0"), "esmm's own", NULL},
    {HEAD("\xff\xfei\0d\0,\0"), "UTF-16 text", "iconv"},
    {HEAD("\xfe\xff\0i\0d\0,"), "UTF-16 text", "iconv"},
    {HEAD("i\0d\0,\0c\0"), "UTF-16 text without", "iconv -f UTF-16LE"},
    {HEAD("\0i\0d\0,\0c"), "UTF-16 text without", "iconv -f UTF-16BE"},
    {HEAD("\xff\xfe\0\0i\0\0\0"), "UTF-32 text", "iconv"},
    {HEAD("i\0\0\0d\0\0\0"), "UTF-32 text without", "iconv -f UTF-32LE"},
    {HEAD("\0\0\0i\0\0\0d"), "UTF-32 text without", "iconv -f UTF-32BE"},
    {HEAD("id,click\n1,\0"), "binary", NULL},
    {HEAD("\0"), "binary", NULL},
};

static void test_kinds(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        const struct kind *kind = kind_of(files[k].head, files[k].n);
        if (kind == NULL || strstr(kind->name, files[k].name) == NULL) {
            fail_msg("%s is %s", files[k].name, kind == NULL ? "text" : kind->name);
        }
        assert_true((kind->unpack == NULL) == (files[k].unpack == NULL));
        assert_true(kind->unpack == NULL ||
                    strncmp(kind->unpack, files[k].unpack, strlen(files[k].unpack)) == 0);
        assert_int_equal(kind_expect_text("f", files[k].head, files[k].n), ERR_FORMAT);
        assert_non_null(strstr(fail_text(), "f: is "));
    }
}

static void test_tar(void **state) {
    char head[512] = "t.csv";
    (void)state;
    memcpy(head + 257, "ustar", 5);
    assert_string_equal(kind_of(head, sizeof head)->name, "a tar archive");
}

/* Texts that begin with the same letters, and the separators of Hive and Ali-CCP. */
static void test_texts(void **state) {
    static const char *const texts[] = {"",
                                        "i",
                                        "id,click\n",
                                        "ORC,PAR1\n1,2\n",
                                        "PAR1\tPAR2\n",
                                        "BZh9,x\n",
                                        "Obj\x01"
                                        "click\x01"
                                        "conv\n",
                                        "SEQ\n",
                                        "FEA1,FEA2\r\n",
                                        "1,0,0,k,1,205\x02"
                                        "17\x03"
                                        "1.0\x01"
                                        "206\x02"
                                        "9\x03"
                                        "1\n",
                                        "\xef\xbb\xbfid\n",
                                        "PK,x\n",
                                        "\xe4\xb8\xad,b\n"};
    (void)state;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        assert_null(kind_of(texts[k], strlen(texts[k])));
    }
    char *late = calloc(1, KIND_HEAD_BYTES + 1); /* what is far behind the start is not looked at */
    assert_non_null(late);
    memset(late, 'x', KIND_HEAD_BYTES);
    assert_null(kind_of(late, KIND_HEAD_BYTES + 1));
    free(late);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_tar),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
