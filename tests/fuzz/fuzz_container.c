/* Any bytes as a container: open, read every block. Twice the same answer. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/container.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    size_t raw = 0, again = 0;
    if (bytes > INPUT_BYTES_MAX) {
        return 0;
    }
    const uint32_t kind = bytes > 12 ? data[12] : 0u; /* whatever kind it says it is */
    const enum status status = read_all(data, bytes, kind, &raw);
    if ((status != OK && status != ERR_CORRUPT) ||
        read_all(data, bytes, kind, &again) != status || raw != again) {
        abort();
    }
    return 0;
}
