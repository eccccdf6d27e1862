#!/usr/bin/env bash
# How fast, next to what, and what bounds it:
#
#     scripts/bench.sh [--quick] [--out DIR] [--parts system,server,parts,growth,tools] [--runs N]
#                      [--peer torch_esmm.py --python PYTHON-WITH-TORCH] [--tmp DIR]
#
# Builds in Release, measures every figure five times (bench/run.py), leaves results.jsonl, report.md
# and roofline.svg in DIR (runs/bench). --quick takes small sizes once: it shows that the bench works
# and measures nothing. The peer is skipped, with a message, where it or PyTorch is absent.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

out=runs/bench
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --out) out=$2; shift 2 ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$1"); shift ;;
    esac
done

install_packages "${BUILD_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
build_preset release esmm >/dev/null
cmake --build --preset release --target benches >/dev/null
mkdir -p "$out"
python3 bench/run.py --out "$out" "${arguments[@]}"
python3 bench/report.py "$out/results.jsonl" --svg "$out/roofline.svg" >"$out/report.md"
cat "$out/report.md"
echo
echo "raw numbers: $out/results.jsonl; picture: $out/roofline.svg"
