#include "prep_split.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/field/field_clock.h"

#define SPLIT_DRAW    0x73706c6974u /* keeps these draws apart from others with the same seed */
#define TIME_TEXT_MAX 64u

static enum status split_expected(const char *text) {
    return fail(ERR_USAGE,
                "--split is '%.100s', expected a share (90%%), seconds since 1970, or a time "
                "(2017-05-01, 2017-05-01T06:00:00Z) from 1990 to 2100",
                text);
}

static enum status set_time(struct prep_split *s, const char *text, int64_t seconds) {
    if (seconds < CLOCK_FIRST || seconds >= CLOCK_END) {
        return split_expected(text);
    }
    s->kind = SPLIT_TIME;
    s->time = (uint64_t)seconds;
    return OK;
}

static bool read_civil(const char *text, int64_t *seconds) {
    static const char *const formats[] = {"iso", "%Y-%m-%d"};
    char padded[TIME_TEXT_MAX + 16] = "";
    const size_t n = strlen(text);
    if (n > TIME_TEXT_MAX) {
        return false;
    }
    memcpy(padded, text, n);
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        struct civil c = {.month = 1, .day = 1};
        if (civil_read(formats[k], (struct span){padded, n}, &c)) {
            *seconds = civil_seconds(&c) - (c.zoned ? c.offset : 0);
            return true;
        }
    }
    return false;
}

enum status prep_split_parse(struct prep_split *s, const char *text) {
    char *end = NULL;
    int64_t seconds = 0;
    const double number = strtod(text, &end);
    if (end != text && end[0] == '%' && end[1] == '\0') {
        s->kind = SPLIT_SHARE;
        s->share = number / 100;
        return s->share > 0 && s->share < 1 ? OK : split_expected(text);
    }
    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text) && number < 1e12) {
        return set_time(s, text, (int64_t)number);
    }
    return read_civil(text, &seconds) ? set_time(s, text, seconds) : split_expected(text);
}

uint32_t prep_split_side(const struct prep_split *s, uint64_t seed, const struct shard *shard,
                         uint32_t group) {
    if (s->kind == SPLIT_SHARE) {
        return rng_unit(seed, SPLIT_DRAW, shard->group_key[group]) < s->share ? SPLIT_TRAIN
                                                                              : SPLIT_EVAL;
    }
    for (uint32_t i = shard->group_start[group];
         s->kind == SPLIT_TIME && i < shard->group_start[group + 1]; i++) {
        if (shard->time[i] >= s->time) {
            return SPLIT_EVAL;
        }
    }
    return SPLIT_TRAIN;
}
