#include "usage.h"

#include <sys/resource.h>

const char *stage_name(enum stage s) {
    static const char *const names[STAGES] = {
#define X(name, text) [name] = text,
        STAGE_LIST(X)
#undef X
    };
    return s < STAGES ? names[s] : "unknown";
}

static double usage_seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

void usage_of_process(struct usage *u) {
    struct rusage r;
    *u = (struct usage){0};
    if (getrusage(RUSAGE_SELF, &r) == 0) {
        u->cpu_s = usage_seconds(r.ru_utime) + usage_seconds(r.ru_stime);
        u->peak_bytes = (uint64_t)r.ru_maxrss * 1024;
    }
}

void usage_add_laps(struct usage *u, const struct laps *l) {
    for (int s = 0; s < STAGES; s++) {
        u->stage_s[s] += (double)l->ns[s] * 1e-9;
    }
}

void usage_add(struct usage *into, const struct usage *from) {
    into->cpu_s += from->cpu_s;
    into->peak_bytes = from->peak_bytes > into->peak_bytes ? from->peak_bytes : into->peak_bytes;
    into->sent_bytes += from->sent_bytes;
    into->received_bytes += from->received_bytes;
    for (int s = 0; s < STAGES; s++) {
        into->stage_s[s] += from->stage_s[s];
    }
}
