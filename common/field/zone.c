#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/file.h"
#include "common/base/mem.h"

#define DAY        86400
#define FIRST      (INT64_C(599616000))  /* 1989-01-01 */
#define LAST       (INT64_C(4133980800)) /* 2101-01-01 */
#define DATABASE   "/usr/share/zoneinfo"
#define OFFSET_MAX (15 * 3600)

static bool two_digits(const char **at, const char *end, int32_t *out) {
    const char *c = *at;
    if (end - c < 2 || c[0] < '0' || c[0] > '9' || c[1] < '0' || c[1] > '9') {
        return false;
    }
    *out = (c[0] - '0') * 10 + (c[1] - '0');
    *at = c + 2;
    return true;
}

bool zone_offset(const char **at, const char *end, int32_t *out) {
    int32_t hours = 0, minutes = 0;
    const char *c = *at;
    *out = 0;
    if (c < end && (*c == 'Z' || *c == 'z')) {
        *at = c + 1;
        return true;
    }
    if (c == end || (*c != '+' && *c != '-')) {
        return false;
    }
    const int32_t sign = *c++ == '-' ? -1 : 1;
    if (!two_digits(&c, end, &hours)) {
        return false;
    }
    const char *after = c + (c < end && *c == ':');
    c = two_digits(&after, end, &minutes) ? after : c;
    *out = sign * (hours * 3600 + minutes * 60);
    *at = c;
    return minutes < 60 && hours * 3600 + minutes * 60 <= OFFSET_MAX;
}

/* --- names ------------------------------------------------------------------------------------ */

static int32_t offset_at(int64_t utc) {
    const time_t t = (time_t)utc;
    struct tm tm;
    return localtime_r(&t, &tm) == NULL ? 0 : (int32_t)tm.tm_gmtoff;
}

/* The first second in (from, to] whose offset differs from the one at `from`. */
static int64_t change_between(int64_t from, int64_t to) {
    const int32_t before = offset_at(from);
    while (to - from > 1) {
        const int64_t mid = from + (to - from) / 2;
        if (offset_at(mid) == before) {
            from = mid;
        } else {
            to = mid;
        }
    }
    return to;
}

static enum status zone_walk(struct zone *z, const char *name) {
    z->from[0] = FIRST;
    z->offset[0] = offset_at(FIRST);
    z->count = 1;
    for (int64_t day = FIRST; day < LAST; day += DAY) {
        if (offset_at(day + DAY) == z->offset[z->count - 1]) {
            continue;
        }
        if (z->count == ZONE_CHANGES_MAX) {
            return fail(ERR_CONFIG, "'%s' changes its clocks more than %u times", name,
                        ZONE_CHANGES_MAX);
        }
        z->from[z->count] = change_between(day, day + DAY);
        z->offset[z->count] = offset_at(day + DAY);
        z->count++;
    }
    return OK;
}

/* The C library treats an unknown name as UTC. So this checks first that the zone's file exists. */
static enum status zone_known(const char *name) {
    const char *set = getenv("TZDIR"), *dir = set != NULL && set[0] != '\0' ? set : DATABASE;
    char path[PATH_BYTES_MAX], *data = NULL;
    size_t n = 0;
    const bool odd = name[0] == '\0' || name[0] == '/' || strstr(name, "..") != NULL ||
                     strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_+-/") != strlen(name);
    if (!odd && path_join(path, dir, name) == OK &&
        file_read_all(path, 1u << 20, &data, &n) == OK) {
        const bool good = n > 4 && memcmp(data, "TZif", 4) == 0;
        mem_free(&data);
        if (good) {
            return OK;
        }
    }
    return fail(ERR_CONFIG,
                "'%.40s' is not in %s; expected UTC, +HH:MM, or a name such as "
                "Europe/Berlin%s",
                name, dir, file_exists(dir) ? "" : " (the time zone database is not installed)");
}

static enum status zone_by_name(struct zone *z, const char *name) {
    const char *set = getenv("TZ");
    char *before = NULL;
    TRY(zone_known(name));
    TRY(set == NULL ? OK : mem_strdup(&before, set));
    setenv("TZ", name, 1);
    tzset();
    const enum status status = zone_walk(z, name);
    if (before == NULL) {
        unsetenv("TZ");
    } else {
        setenv("TZ", before, 1);
    }
    tzset();
    mem_free(&before);
    return status;
}

enum status zone_find(struct zone *z, const char *name) {
    const char *at = name, *end = name + strlen(name);
    memset(z, 0, sizeof *z);
    if (strcmp(name, "UTC") == 0) {
        return OK;
    }
    if (zone_offset(&at, end, &z->offset[0]) && at == end) {
        z->count = 1;
        return OK;
    }
    return zone_by_name(z, name);
}

int64_t zone_utc(const struct zone *z, int64_t wall, enum zone_fit *fit) {
    uint32_t low = 0, high = z->count;
    *fit = ZONE_ONCE;
    if (z->count == 0) {
        return wall;
    }
    while (high - low > 1) { /* find the last change that is surely before the time */
        const uint32_t mid = low + (high - low) / 2;
        if (z->from[mid] <= wall - OFFSET_MAX) {
            low = mid;
        } else {
            high = mid;
        }
    }
    for (uint32_t k = low;; k++) {
        const int64_t utc = wall - z->offset[k];
        if (k + 1 == z->count || utc < z->from[k + 1]) {
            *fit = k > 0 && utc < z->from[k]                                       ? ZONE_NEVER
                   : k + 1 < z->count && wall - z->offset[k + 1] >= z->from[k + 1] ? ZONE_TWICE
                                                                                   : ZONE_ONCE;
            return *fit == ZONE_NEVER ? wall - z->offset[k - 1] : utc;
        }
    }
}
