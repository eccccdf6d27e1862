#include "csv_unit.h"

#include <string.h>

#include "csv_cells.h"

struct counts {
    uint32_t of[CLOCK_UNITS];
    uint32_t dates;     /* times in seconds that could also be dates */
    const char *format; /* the format of those dates */
    char sample[40];
};

static void unit_count(struct counts *c, struct span cell) {
    const enum clock_unit unit = field_clock_unit_guess(cell);
    c->of[unit]++;
    if (unit == CLOCK_S) {
        const char *format = field_clock_digits_guess(cell);
        c->dates += format != NULL;
        c->format = format != NULL ? format : c->format;
        const size_t n = cell.n < sizeof c->sample - 1 ? cell.n : sizeof c->sample - 1;
        memcpy(c->sample, cell.at, n);
        c->sample[n] = '\0';
    }
}

static enum status count_rows(const struct csv_schema *s, struct span text, struct counts *c) {
    struct csv_cells cells = {0};
    enum status status = OK;
    const char *at = text.at, *end = text.at + text.n;
    for (uint32_t row = 0; row < HEAD_ROWS && at < end; row++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct span line = {at, (size_t)((stop == NULL ? end : stop) - at)};
        bool good = true;
        line.n -= line.n > 0 && line.at[line.n - 1] == '\r';
        TRY_OUT(csv_cells_split(&cells, line, s->delimiter, s->quote, &good));
        if (good && cells.count == s->name_count) {
            unit_count(c, cells.cell[s->time.place]);
        }
        at = stop == NULL ? end : stop + 1;
    }
out:
    csv_cells_fini(&cells);
    return status;
}

bool csv_unit_open(const struct csv_schema *schema) {
    return schema->time.name[0] != '\0' && schema->clock.format[0] == '\0' &&
           schema->clock.unit == CLOCK_AUTO;
}

enum status csv_unit_decide(struct csv_schema *schema, const char *file, struct span text) {
    struct counts c = {0};
    enum clock_unit most = CLOCK_S;
    if (!csv_unit_open(schema)) {
        return OK;
    }
    if (!schema->clock.relative) {
        TRY(count_rows(schema, text, &c));
    }
    for (int k = CLOCK_MS; k < CLOCK_UNITS; k++) {
        most = c.of[k] > c.of[most] ? (enum clock_unit)k : most;
    }
    if (most == CLOCK_S && c.dates > 0 && c.dates == c.of[CLOCK_S]) {
        return fail(
            ERR_FORMAT,
            "%s: times such as %s may be dates: log.time_format = %s; or seconds since 1970: "
            "then say log.time_unit = s",
            file, c.sample, c.format);
    }
    schema->clock.unit = most;
    return OK;
}
