#!/bin/bash
# What a command reads of a checkpoint's parts is counted: each byte about once, whatever the number of tables.
. "$(dirname "$0")/lib.sh"

cat >"$dir/count.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static atomic_ullong total;
static ssize_t add(int fd, ssize_t got) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = got > 0 ? readlink(link, path, sizeof path - 1) : -1;
    path[n > 0 ? n : 0] = '\0';
    total += n > 0 && strstr(path, "/part-") != NULL ? (unsigned long long)got : 0;
    return got;
}
ssize_t read(int fd, void *p, size_t n) {
    return add(fd, ((ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read"))(fd, p, n));
}
ssize_t pread(int fd, void *p, size_t n, off_t at) {
    return add(fd, ((ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread"))(fd, p, n, at));
}
__attribute__((destructor)) static void say(void) {
    FILE *f = fopen(getenv("COUNT"), "w");
    fprintf(f, "%llu\n", (unsigned long long)total);
    fclose(f);
}
C
if ldd "$ESMM" | grep -q san || ! "${CC:-cc}" -shared -fPIC -o "$dir/count.so" "$dir/count.c" -ldl 2>"$dir/out"; then
    echo "needs a compiler, and a program without sanitizers"
    exit 77
fi

step "a checkpoint of 14 tables in two parts"
make_data data 30000 4
train run --servers 2 --workers 1 --set table.dim=18
size=$(cat "$(newest run)"/part-* | wc -c)

# reads PERCENT command...: of the parts' bytes, at most, and at least a tenth of that.
reads() {
    local most=$1 got
    shift
    ok env COUNT="$dir/count" LD_PRELOAD="$dir/count.so" "$ESMM" "$@"
    got=$(($(cat "$dir/count") * 100 / size))
    printf '        %4d %%  %s\n' "$got" "${*//"$dir"\//}"
    [ "$got" -le "$most" ] || die "reads $got % of the parts' bytes, expected at most $most %: $*"
    [ "$got" -ge $((most / 20)) ] || die "reads $got %: is nothing counted?"
}
step "what is read of it"
reads 200 export "$dir/run" --out "$dir/npy"
reads 200 export "$dir/run" --format dump --out "$dir/dump"
reads 110 inspect "$dir/run"
reads 110 inspect "$dir/run" --top 3
reads 350 inspect "$dir/run" --verify
reads 110 eval --checkpoint "$dir/run" --data "$dir/data" --bootstrap 0
reads 110 predict --checkpoint "$dir/run" --data "$dir/data" --out "$dir/p.csv"
step "done"
