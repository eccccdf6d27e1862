#!/usr/bin/env bash
# libquadmath makes every printf of the process slower, also where nobody prints a quad.
#
# Debian 12's libquadmath0 12.2.0 with glibc 2.36. When it is loaded it registers %Q with
# register_printf_specifier. From then on vfprintf takes the path for formats with unknown specifiers:
# it parses each format into a table first. A program gets libquadmath without asking for it: OpenBLAS
# needs libgfortran, which needs libquadmath. A log line or a JSON number costs more for that; a
# program that formats in its inner loops should not load it.
#
# Seen (best of 15 rounds each, one program with and without the library, on a busy machine):
#     snprintf of a string and two numbers: 626 ns alone, 912 ns with libquadmath
#
# Fails if it is less than 1.2 times as slow.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/print.c" <<'C'
#include <stdio.h>
#include <time.h>

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void) {
    char text[200];
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        const double from = now_ns();
        for (int i = 0; i < 200000; i++) {
            snprintf(text, sizeof text, "%s: offset %llu: %d", "path", (unsigned long long)i, i);
        }
        const double each = (now_ns() - from) / 200000;
        best = each < best ? each : best;
    }
    printf("%.0f\n", best);
    return 0;
}
C
quadmath=$(ldconfig -p | sed -n 's/.*libquadmath.so.0 .*=> //p' | head -n 1)
[ -n "$quadmath" ] || { echo "skipped: no libquadmath.so.0 here"; exit 77; }
gcc -O2 "$work/print.c" -o "$work/alone"
gcc -O2 "$work/print.c" -o "$work/beside" -Wl,--no-as-needed "$quadmath"
alone=1000000 beside=1000000
for round in 1 2 3; do
    a=$("$work/alone") b=$("$work/beside")
    alone=$((a < alone ? a : alone)) beside=$((b < beside ? b : beside))
done
echo "snprintf of a string and two numbers: $alone ns alone, $beside ns with libquadmath"
[ $((beside * 10)) -ge $((alone * 12)) ]
