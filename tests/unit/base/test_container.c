#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/container.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <cmocka.h>

#define BLOCKS 7

static char dir[64];
static char path[128];

/* Block k: empty, tiny, constant (LZ4 pays), random (it does not), ... */
static size_t sample_block(uint64_t k, uint8_t *out) {
    static const size_t sizes[BLOCKS] = {0, 1, 300, 300, 3, 1000, 17};
    for (size_t i = 0; i < sizes[k]; i++) {
        out[i] = k % 2 == 0 ? (uint8_t)k : (uint8_t)rng_u64(5, k, i);
    }
    return sizes[k];
}

static enum status write_sample(const char *to, uint64_t *bytes, uint64_t *checksum) {
    struct container_writer w;
    uint8_t raw[1000];
    TRY(container_create(&w, to, CONTAINER_SHARD));
    enum status status = OK;
    for (uint64_t k = 0; k < BLOCKS && status == OK; k++) {
        const size_t n = sample_block(k, raw);
        status = container_put(&w, (uint16_t)(k + 10), k << 40, raw, n, k != 3);
    }
    if (status != OK) {
        container_abort(&w);
        return status;
    }
    return container_commit(&w, bytes, checksum);
}

/* Opens and reads everything. */
static enum status read_sample(const void *data, size_t bytes, bool check) {
    struct container_reader r;
    struct buf block = BUF_EMPTY;
    uint8_t raw[1000];
    enum status status = data == NULL
                             ? container_open(&r, path, CONTAINER_SHARD)
                             : container_open_bytes(&r, "sample", data, bytes, CONTAINER_SHARD);
    if (status != OK) {
        container_close(&r);
        return status;
    }
    for (size_t k = 0; k < r.block_count && status == OK; k++) {
        status = container_get(&r, k, &block);
        if (status == OK && check) {
            const size_t n = sample_block(k, raw);
            assert_int_equal(r.blocks[k].type, k + 10);
            assert_int_equal(r.blocks[k].tag, (uint64_t)k << 40);
            assert_int_equal(r.blocks[k].raw_bytes, n);
            assert_int_equal(block.len, n);
            assert_memory_equal(block.data, raw, n);
        }
    }
    if (check && status == OK) {
        assert_int_equal(r.block_count, BLOCKS);
    }
    buf_fini(&block);
    container_close(&r);
    return status;
}

static void load(char **data, size_t *bytes) {
    assert_int_equal(file_read_all(path, 1 << 20, data, bytes), OK);
}

static void test_round_trip(void **state) {
    (void)state;
    uint64_t bytes = 0, checksum = 0;
    char *data = NULL, *again = NULL;
    size_t size = 0;
    assert_int_equal(write_sample(path, &bytes, &checksum), OK);
    load(&data, &size);
    assert_int_equal(size, bytes);
    assert_int_equal(hash_bytes(data, size), checksum);
    assert_true(size < 1900); /* the constant blocks were compressed */
    assert_int_equal(read_sample(NULL, 0, true), OK);
    assert_int_equal(read_sample(data, size, true), OK);
    assert_int_equal(write_sample(path, NULL, NULL), OK);
    load(&again, &size);
    assert_int_equal(size, bytes);
    assert_memory_equal(data, again, size);
    mem_free(&data);
    mem_free(&again);
}

/* The checksum that reading gives is the file's, and is not given where something was not read. */
static void test_checksum_by_reading(void **state) {
    (void)state;
    uint64_t bytes = 0, checksum = 0, read = 0;
    struct buf block = BUF_EMPTY;
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(write_sample(path, &bytes, &checksum), OK);
    load(&data, &size);
    for (int how = 0; how < 5; how++) { /* file, memory; not wanted, one skipped, one again */
        struct container_reader r;
        bool whole = how < 2;
        assert_int_equal(how == 1 ? container_open_bytes(&r, "m", data, size, CONTAINER_SHARD)
                                  : container_open(&r, path, CONTAINER_SHARD),
                         OK);
        assert_int_equal(how == 2 ? OK : container_checksum_begin(&r), OK);
        for (size_t k = 0; k < r.block_count; k++) {
            assert_int_equal(how == 3 && k == 2 ? OK : container_get(&r, k, &block), OK);
            assert_int_equal(how == 4 && k == 3 ? container_get(&r, 0, &block) : OK, OK);
        }
        assert_int_equal(container_checksum_end(&r, &read, &whole), OK);
        assert_int_equal(whole, how < 2 || how == 4);
        assert_true(read == (whole ? checksum : 0));
        container_close(&r);
    }
    mem_free(&data);
    buf_fini(&block);
}

static void test_empty(void **state) {
    (void)state;
    struct container_writer w;
    struct container_reader r;
    assert_int_equal(container_create(&w, path, CONTAINER_MANIFEST), OK);
    assert_int_equal(container_commit(&w, NULL, NULL), OK);
    assert_int_equal(container_open(&r, path, CONTAINER_MANIFEST), OK);
    assert_int_equal(r.block_count, 0);
    container_close(&r);
    container_close(&r);
}

static void test_abort(void **state) {
    (void)state;
    struct container_writer w;
    char temporary[160];
    struct container_writer zeroed;
    struct container_reader none;
    const bool open_before = fcntl(0, F_GETFD) >= 0;
    memset(&zeroed, 0, sizeof zeroed);
    memset(&none, 0, sizeof none);
    container_abort(&zeroed); /* must not close descriptor 0 */
    container_close(&none);
    assert_int_equal(fcntl(0, F_GETFD) >= 0, open_before);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    assert_int_equal(write_sample(path, NULL, NULL), OK);
    assert_int_equal(container_create(&w, path, CONTAINER_SHARD), OK);
    assert_true(file_exists(temporary));
    assert_int_equal(container_put(&w, 1, 1, "x", 1, false), OK);
    container_abort(&w);
    container_abort(&w);
    assert_false(file_exists(temporary));
    assert_int_equal(read_sample(NULL, 0, true), OK); /* the earlier file is untouched */
    assert_int_equal(container_create(&w, "/nowhere/at/all", CONTAINER_SHARD), ERR_NOT_FOUND);
    container_abort(&w);
}

static void test_every_flip(void **state) {
    (void)state;
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(write_sample(path, NULL, NULL), OK);
    load(&data, &size);
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            data[i] = (char)(data[i] ^ (1 << bit));
            const enum status status = read_sample(data, size, true);
            if (status != ERR_CORRUPT && status != OK) {
                fail_msg("byte %zu bit %u: %s", i, bit, status_text(status));
            }
            /* OK means the raw bytes are right, which read_sample asserted; only LZ4 data can. */
            data[i] = (char)(data[i] ^ (1 << bit));
        }
    }
    mem_free(&data);
}

static void test_every_truncation(void **state) {
    (void)state;
    char *data = NULL, *exact = NULL;
    size_t size = 0;
    assert_int_equal(write_sample(path, NULL, NULL), OK);
    load(&data, &size);
    for (size_t n = 0; n < size; n++) {
        assert_int_equal(mem_array(&exact, n), OK); /* so that a sanitizer sees the end */
        if (n > 0) {
            memcpy(exact, data, n);
        }
        assert_int_equal(read_sample(exact != NULL ? exact : "", n, false), ERR_CORRUPT);
        mem_free(&exact);
    }
    /* The same as files, at some lengths; a longer file is no better. */
    for (size_t n = size - 20; n <= size; n += 5) {
        assert_int_equal(truncate(path, (off_t)n), 0);
        assert_int_equal(read_sample(NULL, 0, false), n == size ? OK : ERR_CORRUPT);
        assert_int_equal(file_write_atomic(path, data, size), OK);
    }
    assert_int_equal(truncate(path, (off_t)size + 1), 0);
    assert_int_equal(read_sample(NULL, 0, false), ERR_CORRUPT);
    mem_free(&data);
}

static void test_wrong_kind(void **state) {
    (void)state;
    struct container_reader r;
    assert_int_equal(write_sample(path, NULL, NULL), OK);
    assert_int_equal(container_open(&r, path, CONTAINER_MANIFEST), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), path));
    assert_non_null(strstr(fail_text(), "offset 12"));
    assert_int_equal(container_open(&r, "/nowhere", CONTAINER_MANIFEST), ERR_NOT_FOUND);
}

static void test_too_long_block(void **state) {
    (void)state;
    struct container_writer w;
    assert_int_equal(container_create(&w, path, CONTAINER_SHARD), OK);
    const uint8_t byte = 0; /* refused by its length, unread */
    assert_int_equal(container_put(&w, 1, 0, &byte, BLOCK_RAW_BYTES_MAX + (size_t)1, true),
                     ERR_LIMIT);
    container_abort(&w);
}

/* A header that promises 256 MB for a few stored bytes is refused before memory is taken. */
static void test_bomb(void **state) {
    (void)state;
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(write_sample(path, NULL, NULL), OK);
    load(&data, &size);
    store_u64(data + 16 + 16, BLOCK_RAW_BYTES_MAX); /* raw bytes of the first block */
    assert_int_equal(read_sample(data, size, false), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "more raw bytes"));
    mem_free(&data);
}

static void test_memory_fails(void **state) {
    (void)state;
    char *data = NULL;
    size_t size = 0, n = 1;
    char temporary[160];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = write_sample(path, NULL, NULL);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        assert_false(file_exists(temporary));
    }
    assert_true(n > 5);
    load(&data, &size);
    n = 1;
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = read_sample(n % 2 == 0 ? NULL : data, size, true);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 5);
    mem_free(&data);
}

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-container-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/sample.bin", dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_wrong_kind),
        cmocka_unit_test(test_too_long_block),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_checksum_by_reading),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
