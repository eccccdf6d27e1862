/* json.h - writes JSON into a buffer, commas and escapes taken care of.
 *
 *     json_open(&j, NULL, '{'); json_u64(&j, "rows", 3); json_close(&j);
 *
 * `key` is NULL inside arrays and for the top value. Errors are sticky: check j.status at the end.
 * A double that is not finite is written as null.
 */
#pragma once

#include "bytes.h"

#define JSON_DEPTH_MAX 16
struct json {
    struct buf *out;
    enum status status;
    int depth;
    bool pretty; /* two-space indent; otherwise one line */
    char close[JSON_DEPTH_MAX];
    bool any[JSON_DEPTH_MAX];
};

void json_init(struct json *j, struct buf *out, bool pretty);
/* A whole object: json_init and its opening bracket; its closing one, and j.status. */
void json_begin(struct json *j, struct buf *out, bool pretty);
enum status json_end(struct json *j);
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j);
void json_str(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_f64(struct json *j, const char *key, double value); /* shortest text that reads back */
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/* The number behind the first "key": of a text that was written here, not pretty; NaN if there is
 * none or it is null. No parser: a key that a text repeats, or quotes, is found there. */
double json_number(const char *text, const char *key);
