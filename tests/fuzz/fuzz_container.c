/* Any bytes as a container: open, read every block. Twice the same answer. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <stdio.h>
#include <unistd.h>

#include "common/base/container.h"
#include "common/base/mem.h"
#include "fuzz.h"

#define INPUT_BYTES_MAX (1u << 16)

static enum status read_all(const uint8_t *data, size_t bytes, uint32_t kind, size_t *raw) {
    struct container_reader r;
    struct buf block = BUF_EMPTY;
    *raw = 0;
    enum status status = container_open_bytes(&r, "input", data, bytes, kind);
    for (size_t i = 0; status == OK && i < r.block_count; i++) {
        status = container_get(&r, i, &block);
        *raw += block.len;
    }
    buf_fini(&block);
    container_close(&r);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    size_t raw = 0, again = 0;
    if (bytes > INPUT_BYTES_MAX) {
        return 0;
    }
    const uint32_t kind = bytes > 12 ? data[12] : 0u; /* whatever kind it says it is */
    const enum status status = read_all(data, bytes, kind, &raw);
    if ((status != OK && status != ERR_CORRUPT) || read_all(data, bytes, kind, &again) != status ||
        raw != again) {
        abort();
    }
    return 0;
}

/* Containers of no, some and many blocks. */
bool fuzz_seed(uint32_t n, struct buf *out) {
    struct container_writer w;
    char path[64], *file = NULL;
    uint8_t block[600];
    size_t bytes = 0;
    if (n > 3) {
        return false;
    }
    snprintf(path, sizeof path, "/dev/shm/esmm-fuzz-seed-%d", (int)getpid());
    FUZZ_MUST(container_create(&w, path, CONTAINER_SHARD) == OK);
    for (uint32_t i = 0; i < n * n; i++) {
        for (size_t k = 0; k < sizeof block; k++) {
            block[k] = (uint8_t)(n == 3 ? k / 50 : k * k * 7 + i);
        }
        FUZZ_MUST(container_put(&w, (uint16_t)i, n, block, sizeof block / (i + 1), true) == OK);
    }
    FUZZ_MUST(container_commit(&w, NULL, NULL) == OK);
    FUZZ_MUST(file_read_all(path, 1u << 20, &file, &bytes) == OK);
    FUZZ_MUST(buf_put(out, file, bytes) == OK && unlink(path) == 0);
    mem_free(&file);
    return true;
}
