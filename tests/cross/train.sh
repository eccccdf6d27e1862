#!/bin/bash
# A small job of a program that was built for another CPU: its roles are started one by one, each under the
# emulator, since an emulated process cannot start another. $ESMM: emulator and program.
set -euo pipefail
read -ra esmm <<<"$ESMM"
dir=$(mktemp -d)
pids=()
end() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$dir"
}
trap end EXIT
die() {
    echo "FAILED: $*"
    tail -n 20 "$dir"/*.log 2>/dev/null
    exit 1
}

"${esmm[@]}" --version
"${esmm[@]}" synth --out "$dir/raw" --impressions 20000 --users 400 --items 400 --ctr 0.3 --seed 7 >"$dir/synth.log"
"${esmm[@]}" prep --format aliccp --skeleton "$dir/raw/train/sample_skeleton.csv" \
    --common "$dir/raw/train/common_features.csv" --out "$dir/data" --shard-impressions 5000 >"$dir/prep.log"
"${esmm[@]}" coord --listen "ipc://$dir/coord" --data "$dir/data" --eval "$dir/data" --out "$dir/run" \
    --servers 2 --workers 1 --timeout 300000 --set model.tower=32,16 --set table.dim=8 \
    --set train.batch=512 --set train.epochs=2 --set table.lr=0.01 --set dense.lr=0.005 --log "$dir/coord.log" &
coord=$!
for role in "ps --index 0 --listen ipc://$dir/ps-0" "ps --index 1 --listen ipc://$dir/ps-1" "worker --index 0"; do
    name=${role%% --listen*}
    name=${name// --index /-}
    # shellcheck disable=SC2086
    "${esmm[@]}" $role --coord "ipc://$dir/coord" --timeout 300000 --log "$dir/$name.log" &
    pids+=($!)
done
wait "$coord" || die "the coordinator ended with $?"
for pid in "${pids[@]}"; do
    wait "$pid" || die "a role ended with $?"
done
pids=()
"${esmm[@]}" eval --checkpoint "$dir/run" --data "$dir/data" --bootstrap 0 --json >"$dir/eval.json" || die "no evaluation"
auc=$(sed -n 's/.*"auc_ctr":\(0\.[0-9]*\).*/\1/p' "$dir/eval.json")
echo "AUC ctr: ${auc:-none}"
grep -h 'CPU:\|matrix products' "$dir"/*.log
awk -v auc="${auc:-0}" 'BEGIN {exit !(auc > 0.6)}' || die "an AUC of more than 0.6 was expected"
