#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static _Thread_local char last_text[FAIL_TEXT_BYTES];
static _Thread_local enum status last_status;

const char *status_text(enum status s) {
    static const char *const texts[] = {
#define X(name, text) text,
        STATUS_LIST(X)
#undef X
    };
    return (size_t)s < sizeof texts / sizeof texts[0] ? texts[s] : "unknown status";
}

bool status_lasts(enum status s) {
    switch (s) {
    case ERR_CORRUPT:
    case ERR_FORMAT:
    case ERR_CONFIG:
    case ERR_USAGE:
    case ERR_LIMIT:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_PROTOCOL:
    case ERR_BUSY: return true;
    default: return false;
    }
}

/* Formats the text into a local buffer first: an argument may be fail_text() itself. */
enum status fail(enum status s, const char *fmt, ...) {
    char text[FAIL_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    text_show(last_text, sizeof last_text, text, strlen(text), true);
    last_status = s;
    return s;
}

const char *fail_text(void) {
    return last_text;
}

const char *fail_text_of(enum status s) {
    return last_status == s && last_text[0] != '\0' ? last_text : status_text(s);
}

enum status fail_status(void) {
    return last_status;
}

void cause_keep(struct cause *c, enum status s) {
    if (s != OK && c->status == OK) {
        snprintf(c->text, sizeof c->text, "%s", fail_text_of(s));
        c->status = s;
    }
}

enum status cause_again(const struct cause *c) {
    return c->status == OK ? OK : fail(c->status, "%s", c->text);
}
