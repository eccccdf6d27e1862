#include "config_key.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/number.h"

/* --- text to value ---------------------------------------------------------------------------- */

static enum status key_refuse(const struct config_key *k, const char *text, const char *expected) {
    return fail(ERR_CONFIG, "%s.%s is '%.100s', expected %s", k->section, k->name, text, expected);
}

static enum status key_out_of_range(const struct config_key *k, const char *text) {
    return fail(ERR_CONFIG, "%s.%s is '%.100s', expected a number from %.9g to %.9g", k->section,
                k->name, text, k->min, k->max);
}

static enum status key_parse_u64(const struct config_key *k, const char *text, uint64_t *out) {
    const bool bytes = k->kind == KIND_BYTES || k->kind == KIND_BYTES32;
    uint64_t v = 0;
    if (k->kind == KIND_LIMIT && strcmp(text, "none") == 0) {
        *out = UINT64_MAX;
        return OK;
    }
    switch (number_parse(text, bytes ? NUMBER_BYTES : NUMBER_PLAIN, &v)) {
    case NUMBER_BAD:
        return key_refuse(
            k, text,
            bytes ? "a whole number, or one with K, M, G or T"
                  : (k->kind == KIND_LIMIT ? "a whole number or none" : "a whole number"));
    case NUMBER_TOO_LARGE: return key_out_of_range(k, text);
    case NUMBER_GOOD: break;
    }
    if ((double)v < k->min || (double)v > k->max) {
        return key_out_of_range(k, text);
    }
    *out = v;
    return OK;
}

static enum status key_parse_f32(const struct config_key *k, const char *text, float *out) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(v)) {
        return key_refuse(k, text, "a finite number");
    }
    if (v < k->min || v > k->max) {
        return key_out_of_range(k, text);
    }
    *out = (float)v;
    return OK;
}

static enum status key_parse_bool(const struct config_key *k, const char *text, bool *out) {
    static const char *const yes[] = {"true", "on", "1"};
    static const char *const no[] = {"false", "off", "0"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return OK;
        }
    }
    return key_refuse(k, text, "true or false, on or off, 1 or 0");
}

const char *config_choice(const char *choices, unsigned index, size_t *n) {
    const char *at = choices;
    for (; index > 0; index--) {
        at = strchr(at, '|');
        if (at == NULL) {
            return NULL;
        }
        at++;
    }
    *n = strcspn(at, "|");
    return at;
}

/* gcc and clang store an enum without negative members as unsigned int. */
static enum status key_parse_choice(const struct config_key *k, const char *text, void *out) {
    size_t n;
    const char *at;
    for (unsigned i = 0; (at = config_choice(k->choices, i, &n)) != NULL; i++) {
        if (strlen(text) == n && memcmp(text, at, n) == 0) {
            memcpy(out, &i, sizeof i);
            return OK;
        }
    }
    return key_refuse(k, text, k->choices);
}

static enum status key_parse_widths(const struct config_key *k, const char *text,
                                    struct config *c) {
    uint32_t width[CONFIG_LAYERS_MAX] = {0};
    uint32_t layers = 0;
    const char *at = text;
    for (;;) {
        char *end;
        unsigned long v = strtoul(at, &end, 10);
        end += strspn(end, " ");
        if (end == at || (double)v < k->min || (double)v > k->max ||
            (*end != ',' && *end != '\0')) {
            return key_refuse(k, text, "widths from 1 to 65536 such as 360,200,80");
        }
        if (layers == CONFIG_LAYERS_MAX) {
            return fail(ERR_CONFIG, "model.tower is '%.100s', expected at most %d layers", text,
                        CONFIG_LAYERS_MAX);
        }
        width[layers++] = (uint32_t)v;
        if (*end == '\0') {
            break;
        }
        at = end + 1;
    }
    memcpy(c->tower, width, sizeof c->tower);
    c->tower_layers = layers;
    return OK;
}

/* A ';' would begin a comment when the text is read back. */
static enum status key_parse_name(const struct config_key *k, const char *text, char *out) {
    if (text[0] != '\0' && (!schema_name_good(text) || strchr(text, ';') != NULL)) {
        return key_refuse(k, text, "a field's name (without ';') or nothing");
    }
    memset(out, 0, FIELD_NAME_MAX);
    memcpy(out, text, strlen(text));
    return OK;
}

enum status config_key_parse(const struct config_key *k, const char *text, void *base) {
    void *at = (char *)base + k->offset;
    uint64_t v;
    switch (k->kind) {
    case KIND_U32:
    case KIND_BYTES32:
        TRY(key_parse_u64(k, text, &v));
        *(uint32_t *)at = (uint32_t)v; /* every such key's max fits */
        return OK;
    case KIND_LIMIT:
    case KIND_U64:
    case KIND_BYTES: return key_parse_u64(k, text, at);
    case KIND_F32: return key_parse_f32(k, text, at);
    case KIND_BOOL: return key_parse_bool(k, text, at);
    case KIND_CHOICE: return key_parse_choice(k, text, at);
    case KIND_WIDTHS: return key_parse_widths(k, text, base);
    case KIND_NAME: return key_parse_name(k, text, at);
    }
    assert(!"a key of a known kind");
    return ERR_CONFIG;
}

/* --- value to text ---------------------------------------------------------------------------- */

static enum status key_print_choice(const struct config_key *k, const void *at, struct buf *out) {
    unsigned index;
    size_t n = 0;
    memcpy(&index, at, sizeof index);
    const char *text = config_choice(k->choices, index, &n);
    return text != NULL ? buf_printf(out, "%.*s", (int)n, text)
                        : buf_printf(out, "choice-%u", index); /* config_check refuses it */
}

static enum status key_print_widths(const struct config *c, struct buf *out) {
    for (uint32_t i = 0; i < c->tower_layers && i < CONFIG_LAYERS_MAX; i++) {
        TRY(buf_printf(out, "%s%u", i > 0 ? "," : "", c->tower[i]));
    }
    return OK;
}

enum status config_key_print(const struct config_key *k, const void *base, struct buf *out) {
    const void *at = (const char *)base + k->offset;
    switch (k->kind) {
    case KIND_U32:
    case KIND_BYTES32: return buf_printf(out, "%u", *(const uint32_t *)at);
    case KIND_LIMIT:
    case KIND_U64:
    case KIND_BYTES:
        return k->kind == KIND_LIMIT && *(const uint64_t *)at == UINT64_MAX
                   ? buf_printf(out, "none")
                   : buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
    case KIND_F32: return buf_printf(out, "%.9g", (double)*(const float *)at);
    case KIND_BOOL: return buf_printf(out, "%s", *(const bool *)at ? "true" : "false");
    case KIND_CHOICE: return key_print_choice(k, at, out);
    case KIND_WIDTHS: return key_print_widths(base, out);
    case KIND_NAME: return buf_printf(out, "%s", (const char *)at);
    }
    assert(!"a key of a known kind");
    return ERR_CONFIG;
}

enum status config_key_range(const struct config_key *k, struct buf *out) {
    const char *choice;
    size_t n;
    switch (k->kind) {
    case KIND_BOOL: return buf_printf(out, "`true` `false`");
    case KIND_NAME: return buf_printf(out, "a field");
    case KIND_CHOICE:
        for (unsigned i = 0; (choice = config_choice(k->choices, i, &n)) != NULL; i++) {
            TRY(buf_printf(out, "%s`%.*s`", i == 0 ? "" : " ", (int)n, choice));
        }
        return OK;
    default: return buf_printf(out, "%.9g to %.9g", k->min, k->max);
    }
}
