#!/usr/bin/env bash
# Impressions a second of `esmm synth`, median of N runs, whole command: world, files, fsync.
#
#     bench/bench_synth.sh [--runs 5] [--impressions 1000000] [--dir TMPDIR]
#
# Builds nothing: needs build/release/esmm (or ESMM). The last line of each shape, "bench=synth
# key=value ...", is for machines.
set -euo pipefail
esmm=${ESMM:-$(dirname "$0")/../build/release/esmm}
runs=5
impressions=1000000
tmp=${TMPDIR:-/tmp}
while [ $# -gt 0 ]; do
    case $1 in
    --runs) runs=$2; shift 2 ;;
    --impressions) impressions=$2; shift 2 ;;
    --dir) tmp=$2; shift 2 ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "bench_synth.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
done
dir=$(mktemp -d "$tmp/bench-synth-XXXXXX")
trap 'rm -rf "$dir"' EXIT

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
echo "machine: ${cpu:-$(uname -m)}, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg) at the start"

# Prints "rate bytes" of one run.
once() {
    rm -rf "$dir/log"
    "$esmm" synth --impressions "$impressions" --out "$dir/log" "$@" 2>/dev/null |
        sed -n 's/.* \([0-9.]*\) MB, .* s, \([0-9]*\) impressions\/s$/\2 \1/p'
}

for shape in plain aliccp; do
    for _ in $(seq "$runs"); do
        once --shape "$shape"
    done | sort -n >"$dir/$shape"
    median=$(sed -n "$(((runs + 1) / 2))p" "$dir/$shape")
    rate=${median% *}
    megabytes=${median#* }
    printf '%-7s %8s impressions/s, %s MB a run (lowest %s, highest %s)\n' "$shape" "$rate" "$megabytes" \
        "$(head -1 "$dir/$shape" | cut -d' ' -f1)" "$(tail -1 "$dir/$shape" | cut -d' ' -f1)"
    echo "bench=synth shape=$shape impressions=$impressions runs=$runs rate=$rate mb=$megabytes"
done
