#include "boot.h"

#include <string.h>

#include "file.h"

enum status boot_id(char out[BOOT_ID_BYTES]) {
    struct file f;
    size_t got = 0;
    memset(out, 0, BOOT_ID_BYTES);
    TRY(file_open_read(&f, "/proc/sys/kernel/random/boot_id"));
    const enum status status = file_read(&f, out, BOOT_ID_BYTES - 1, &got);
    file_close(&f);
    if (status != OK) {
        memset(out, 0, BOOT_ID_BYTES);
    }
    const size_t length = strcspn(out, "\n");
    memset(out + length, 0, BOOT_ID_BYTES - length);
    return status;
}
