#!/bin/bash
# 50 steps of one worker, deterministic, against the same steps in PyTorch: the losses to 1e-4, the rows and
# towers they end in. Every update rule, both kinds of input.
set -eu
python=
for candidate in ${PYTHON:-} python3; do
    if "$candidate" -c 'import numpy, torch' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "skipped: needs a python with torch and numpy (set PYTHON)"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset OPENBLAS_CORETYPE # what suits the program's BLAS may not suit torch's

"$ESMM" synth --impressions 8000 --seed 3 --users 300 --items 1000 --ctr 0.3 --cvr 0.3 \
    --anomalies 0.02 --out "$dir/raw"
log=("$dir/raw/train/sample_skeleton.csv" "$dir/raw/train/common_features.csv")
"$ESMM" prep --format aliccp --skeleton "${log[0]}" --common "${log[1]}" --shard-impressions 3000 \
    --out "$dir/data"

# compare NAME SERVERS [SECTION.KEY=VALUE ...]
compare() {
    local name=$1 servers=$2 settings=()
    shift 2
    for setting in model.tower=24,12 table.dim=6 table.init_scale=0.1 "$@"; do
        settings+=(--set "$setting")
    done
    local job=(--data "$dir/data" --servers "$servers" --workers 1 --batch 128 "${settings[@]}")
    "$ESMM" train "${job[@]}" --out "$dir/$name.0" --max-steps 0 >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
    "$ESMM" train "${job[@]}" --out "$dir/$name" --max-steps 50 --deterministic --trace >"$dir/log" 2>&1 ||
        { cat "$dir/log"; exit 1; }
    "$ESMM" export "$dir/$name.0" --format npy --out "$dir/$name.0.npy" >/dev/null
    "$ESMM" export "$dir/$name" --format npy --out "$dir/$name.npy" >/dev/null
    echo "$name:"
    "$python" "$REPO/tests/golden/train_reference.py" "$dir/$name.0.npy" "$dir/$name.npy" \
        "$dir/$name/logs/trace-0.tsv" "${log[@]}" --steps 50
}

compare adam-concat 1 model.input=concat table.lr=0.01 dense.lr=0.003
compare adam-by-row 1 model.input=concat table.lr=0.01 dense.lr=0.003 table.bias_correction=row
compare adam-sides 2 model.input=sides table.lr=0.01 dense.lr=0.003
compare adamw 1 model.input=concat table.lr=0.01 dense.lr=0.003 table.decay=3 dense.decay=1 train.warmup_steps=20
# adagrad_init: small, or the gradients vanish beside it and the accumulator could be anything.
compare adagrad-concat 2 model.input=concat table.optimizer=adagrad table.adagrad_init=1e-6 table.lr=0.01
compare adagrad-sides 1 model.input=sides table.optimizer=adagrad table.lr=0.05 table.l2=0.01
compare rowwise-concat 1 table.optimizer=rowwise_adagrad table.adagrad_init=1e-7 table.lr=0.008 \
    train.warmup_steps=20
compare rmsprop 2 model.input=concat table.optimizer=rmsprop table.lr=0.003
compare rmsprop-by-row 1 table.optimizer=rmsprop table.bias_correction=row table.lr=0.003 table.l2=0.001
compare rowwise-rmsprop 2 model.input=concat table.optimizer=rowwise_rmsprop table.lr=0.003
compare ftrl-sides 2 model.input=sides table.optimizer=ftrl table.lr=0.1 table.ftrl_l1=0.0001 \
    dense.optimizer=sgd dense.lr=0.1
compare sgd-concat 1 table.optimizer=sgd table.lr=1 model.ctcvr_weight=0.5 dense.l2=0.001
