#!/usr/bin/env bash
# Clock, files, network and the kernel's randomness each stand behind one table of functions
# (clock.h, file_ops.h, socket_ops.h, entropy.h): nothing else calls the system for them. Not looked
# at: the ends of pipes between a process and those it starts, and what a child does before exec.
set -euo pipefail
cd "$REPO"

bad=0
# only WHAT PATTERN FILE...: the calls are in those files alone.
only() {
    local what=$1 pattern=$2 found
    shift 2
    found=$(git grep -nE "(^|[^A-Za-z0-9_>.])($pattern)\(" -- 'common/*.c' 'coord/*.c' 'ps/*.c' 'worker/*.c' 'tools/*.c' |
        grep -vE '^[^:]+:[0-9]+: *(/?\*|//)' | grep -vE "^($(IFS='|'; echo "$*")):" || true)
    if [ -n "$found" ]; then
        printf '%s is asked directly:\n%s\n' "$what" "$found"
        bad=1
    fi
}

only "the clock" 'clock_gettime|gettimeofday|time|nanosleep|usleep|sleep' common/base/clock.c common/base/thread.c
only "the kernel's randomness" 'getrandom|getentropy|random|rand|srand' common/base/entropy.c
only "the network" 'zmq_(ctx|socket|close|setsockopt|getsockopt|bind|connect|msg_send|msg_recv|poll|send|recv)[a-z_]*' common/net/socket_ops.c
only "the disk" 'open(at)?|creat|pread|pwrite|fsync|fdatasync|ftruncate|truncate|flock|rename|renameat2?|unlink|rmdir|mkdir|mkdtemp|mkstemp|symlink|chmod|fchmod|l?stat|fstat|access|opendir|readdir|realpath|fopen|mmap' \
    common/base/file_ops.c common/base/mem.c common/fault/fault.c tools/common/spawn.c tools/run/tether.c tools/main.c
exit $bad
