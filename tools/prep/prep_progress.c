#include "prep_progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"

#define TERMINAL_US 200000u
#define PLAIN_US    5000000u

void prep_progress_start(struct prep_progress *p, const char *what, uint64_t bytes_total) {
    const uint64_t now = clock_mono_us();
    const bool terminal = isatty(STDERR_FILENO) == 1;
    *p = (struct prep_progress){.what = what,
                                .terminal = terminal,
                                .started_us = now,
                                .next_us = now + (terminal ? TERMINAL_US : PLAIN_US),
                                .bytes_total = bytes_total};
}

static void print_rest(const struct prep_progress *p, uint64_t bytes, double seconds) {
    if (p->bytes_total > 0 && bytes > 0) {
        const double left = p->bytes_total > bytes ? (double)(p->bytes_total - bytes) : 0;
        const uint64_t s = (uint64_t)(left / (double)bytes * seconds + 0.5);
        fprintf(stderr, ", %.0f %%, %llu:%02llu:%02llu left",
                100.0 * (double)bytes / (double)p->bytes_total, (unsigned long long)(s / 3600),
                (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60));
    }
}

void prep_progress_show(struct prep_progress *p, uint64_t bytes, uint64_t impressions) {
    const uint64_t now = clock_mono_us();
    if (now < p->next_us) {
        return;
    }
    const double seconds = (double)(now - p->started_us) * 1e-6;
    p->next_us = now + (p->terminal ? TERMINAL_US : PLAIN_US);
    fprintf(stderr, "%s%s: %.1f MB, %.0f MB/s", p->terminal ? "\r" : "", p->what,
            (double)bytes * 1e-6, (double)bytes * 1e-6 / seconds);
    if (impressions > 0) {
        fprintf(stderr, ", %llu impressions, %.0f/s", (unsigned long long)impressions,
                (double)impressions / seconds);
    }
    print_rest(p, bytes, seconds);
    fputs(p->terminal ? "\033[K" : "\n", stderr);
    p->shown = p->terminal;
}

void prep_progress_end(struct prep_progress *p) {
    if (p->shown) {
        fputs("\r\033[K", stderr);
        p->shown = false;
    }
}
