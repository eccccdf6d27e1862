#include "export_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool name_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

void export_name(const char *field, char *out) {
    const bool taken = strcmp(field, "dense") == 0 || strcmp(field, "manifest.json") == 0 ||
                       strcmp(field, "applied.tsv") == 0 || strcmp(field, "config.ini") == 0 ||
                       strcmp(field, "fields.json") == 0;
    size_t at = 0;
    for (size_t i = 0; field[i] != '\0'; i++) {
        if (name_plain(field[i]) && !(i == 0 && (taken || field[i] == '.'))) {
            out[at++] = field[i];
        } else {
            at += (size_t)sprintf(out + at, "%%%02X", (unsigned)(unsigned char)field[i]);
        }
    }
    out[at] = '\0';
}
