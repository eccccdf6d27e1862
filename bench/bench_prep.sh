#!/bin/bash
# esmm prep on text of Ali-CCP's shape: megabytes of raw text a second, processor time (which tells a
# slow program from a busy machine), peak memory.
#
#     bench/bench_prep.sh [impressions = 1000000] [threads = 2] [runs = 5]
#
# Builds the release preset if need be. Text and shards go to a temporary directory (TMPDIR).
set -euo pipefail
cd "$(dirname "$0")/.."
impressions=${1:-1000000} threads=${2:-2} runs=${3:-5}
build=build/release
[ -f $build/build.ninja ] || cmake --preset release >/dev/null
ninja -C $build esmm bench_prep >/dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
echo "machine: $model, $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f", $2 / 1e6}' /proc/meminfo) GB"
$build/bench_prep "$dir" "$impressions"
bytes=$(($(stat -c %s "$dir/skeleton.csv") + $(stat -c %s "$dir/common.csv")))
echo "text: $impressions impressions, $(wc -l <"$dir/common.csv") common rows, $bytes bytes; $threads threads"

figures=()
for ((run = 1; run <= runs; run++)); do
    rm -rf "$dir/out"
    $build/esmm prep --format aliccp --skeleton "$dir/skeleton.csv" --common "$dir/common.csv" \
        --out "$dir/out" --threads "$threads" >"$dir/summary" 2>"$dir/errors" &
    prep=$!
    peak=0 ticks=0
    while kill -0 $prep 2>/dev/null; do
        now=$(awk '/VmHWM/ {print $2}' /proc/$prep/status 2>/dev/null || true)
        peak=$((${now:-0} > peak ? ${now:-0} : peak))
        now=$(awk '{print $14 + $15}' /proc/$prep/stat 2>/dev/null || true)
        ticks=$((${now:-0} > ticks ? ${now:-0} : ticks))
        sleep 0.05
    done
    wait $prep || { cat "$dir/errors"; exit 1; }
    figure=$(tail -1 "$dir/summary" | sed 's/.*: \([0-9.]*\) MB\/s.*/\1/')
    figures+=("$figure")
    cpu=$(awk -v t=$ticks -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.1f", t / hz}')
    echo "run $run: $figure MB/s, $cpu CPU seconds, peak RSS $((peak / 1000)) MB"
done
printf '%s\n' "${figures[@]}" | sort -n | awk '{v[NR] = $1} END {print "median: " v[int((NR + 1) / 2)] " MB/s"}'
