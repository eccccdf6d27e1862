/* json.h - writes JSON into a buffer, with commas and escapes.
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
/* A whole object. json_begin calls json_init and writes the opening bracket; json_end writes the
 * closing bracket and returns j.status. */
void json_begin(struct json *j, struct buf *out, bool pretty);
enum status json_end(struct json *j);
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j);
void json_str(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_f64(struct json *j, const char *key, double value); /* shortest exact text */
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/* The number after the first "key": in a text that this file wrote with pretty off; NaN if there is
 * none or it is null. This is no parser: it also finds the key within a quoted text. */
double json_number(const char *text, const char *key);
