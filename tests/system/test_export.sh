#!/bin/bash
# What esmm export writes is enough to compute what esmm predict says, by a program that shares no code.
set -eu
python=
for candidate in ${PYTHON:-} python3; do
    if "$candidate" -c 'import numpy' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "skipped: needs a python with numpy (set PYTHON)"
    exit 77
fi
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$ESMM" synth --impressions 4000 --seed 5 --out "$dir/raw"
skeleton=$dir/raw/train/sample_skeleton.csv
common=$dir/raw/train/common_features.csv
"$ESMM" prep --format aliccp --skeleton "$skeleton" --common "$common" --out "$dir/data"
compare() { # NAME, settings...
    local name=$1 setting settings=()
    shift
    for setting in "$@"; do
        settings+=(--set "$setting")
    done
    "$ESMM" train --data "$dir/data" --out "$dir/$name" --servers 2 --workers 1 --batch 256 \
        --max-steps 8 --set model.tower=24,12 --set table.dim=7 "${settings[@]}"
    "$ESMM" predict --checkpoint "$dir/$name" --data "$dir/data" --out "$dir/$name.csv"
    "$ESMM" export "$dir/$name" --format npy --out "$dir/$name.npy"
    "$python" "$here/export_reference.py" "$dir/$name.npy" "$dir/$name.csv" "$skeleton" "$common" 300
    "$ESMM" inspect "$dir/$name" --verify
}
compare concat model.input=concat
compare sides model.input=sides
compare mmoe model.name=mmoe
compare ple model.name=ple model.experts=2 model.input=sides
compare ple3 model.name=ple model.experts=2 model.levels=3
compare aitm model.name=aitm
compare esm2 model.name=esm2
compare chain model.name=chain model.behaviours=2
