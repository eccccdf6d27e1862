#include "options.h"

#include <assert.h>

#include "common/base/number.h"

#define OPTIONS_MAX 64 /* of one sub-command */

static bool may_repeat(const struct option_set *set, int option) {
    for (const int *o = set->often; o != NULL && *o != 0; o++) {
        if (*o == option) {
            return true;
        }
    }
    return false;
}

/* The second of two values would win, and nobody would be told. */
static enum status twice(const char *name, const char *first, const char *second) {
    return second == NULL ? fail(ERR_USAGE, "--%s is given twice", name)
                          : fail(ERR_USAGE, "--%s is given twice: '%.100s', then '%.100s'", name,
                                 first, second);
}

enum status options_read(int argc, char **argv, const struct option_set *set, option_apply *apply,
                         void *line, const bool *help) {
    const char *seen[OPTIONS_MAX] = {
        0}; /* by place in the table: the value, "" where there is none */
    optind = 0;
    opterr = 0;
    while (!*help) {
        int place = 0;
        const int option = getopt_long(argc, argv, set->leading ? "+:" : ":", set->table, &place);
        if (option == -1) {
            break;
        }
        if (option == '?' || option == ':') {
            return fail(ERR_USAGE, "%s option '%s'; see --help",
                        option == ':' ? "missing value of" : "unknown", argv[optind - 1]);
        }
        assert(place < OPTIONS_MAX);
        if (seen[place] != NULL && !may_repeat(set, option)) {
            return twice(set->table[place].name, seen[place], optarg);
        }
        seen[place] = optarg == NULL ? "" : optarg;
        TRY(apply(line, option, optarg));
    }
    return OK;
}

enum status options_end(int argc, char **argv) {
    return optind < argc ? fail(ERR_USAGE, "unexpected argument '%s'; see --help", argv[optind])
                         : OK;
}

static enum status option_number(const char *what, const char *text, enum number_unit unit,
                                 uint64_t min, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    if (number_parse(text, unit, &v) != NUMBER_GOOD || v < min || v > max) {
        return fail(ERR_USAGE, "%s is '%s', expected a number%s from %llu to %llu", what, text,
                    unit == NUMBER_BYTES ? " of bytes" : "", (unsigned long long)min,
                    (unsigned long long)max);
    }
    *out = v;
    return OK;
}

enum status option_u64(const char *what, const char *text, uint64_t min, uint64_t max,
                       uint64_t *out) {
    return option_number(what, text, NUMBER_COUNT, min, max, out);
}

enum status option_bytes(const char *what, const char *text, uint64_t min, uint64_t max,
                         uint64_t *out) {
    return option_number(what, text, NUMBER_BYTES, min, max, out);
}
