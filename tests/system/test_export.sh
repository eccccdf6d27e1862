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
for input in concat sides; do
    "$ESMM" train --data "$dir/data" --out "$dir/$input" --servers 2 --workers 1 --batch 256 \
        --max-steps 8 --set "model.input=$input" --set model.tower=24,12 --set table.dim=7
    "$ESMM" predict --checkpoint "$dir/$input" --data "$dir/data" --out "$dir/$input.csv"
    "$ESMM" export "$dir/$input" --format npy --out "$dir/$input.npy"
    "$python" "$here/export_reference.py" "$dir/$input.npy" "$dir/$input.csv" "$skeleton" "$common" 300
    "$ESMM" inspect "$dir/$input" --verify
done
