#include "last_words.h"

#include <stdio.h>
#include <string.h>

#include "common/base/file.h"

const char *last_words_bare(const char *line) {
    int main_bytes = 0, log_bytes = 0;
    sscanf(line, "esmm %*[a-z]: %n", &main_bytes);
    sscanf(line, "%*[0-9T:.-]Z error %*s %n", &log_bytes);
    return line + (main_bytes > 0 ? main_bytes : log_bytes);
}

void last_words_read(const char *path, char *out, size_t bytes) {
    out[0] = '\0';
    struct file f = FILE_CLOSED;
    uint64_t size = 0;
    if (file_open_read(&f, path) != OK) {
        return;
    }
    char tail[2048];
    if (file_size(&f, &size) == OK) {
        size_t n = size < sizeof tail - 1 ? (size_t)size : sizeof tail - 1;
        if (file_pread(&f, tail, n, size - n) == OK) {
            while (n > 0 && tail[n - 1] == '\n') {
                n--;
            }
            tail[n] = '\0';
            const char *line = strrchr(tail, '\n');
            snprintf(out, bytes, "%s", line != NULL ? line + 1 : tail);
        }
    }
    file_close(&f);
}
