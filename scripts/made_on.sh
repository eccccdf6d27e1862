#!/usr/bin/env bash
# One line for a table of figures: machine, kernel, version.
#
#     scripts/made_on.sh ESMM [RUN]      RUN: a run directory; its workers' logs name the kernel
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
kernel=''
if [ $# -gt 1 ]; then
    kernel=$(cat "$2"/logs/worker-*.log | sed -n 's/.*matrix products: //p' | sort -u | paste -sd '/' -)
fi
commit=$(git -C "$repository" log -1 --format='%h of %cs' 2>/dev/null || echo 'unknown commit')
if [ -n "$(git -C "$repository" status --porcelain --untracked-files=no 2>/dev/null)" ]; then
    commit="$commit, changed"
fi
echo "Made on: $(nproc) cores of ${cpu:-an unknown CPU}; ${kernel:+$kernel; }$("$1" version | head -n 1) ($commit)."
