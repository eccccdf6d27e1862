#!/bin/bash
# eval.every_impressions: evaluations within epochs say what was trained and for how long, and change
# nothing of what is trained.
. "$(dirname "$0")/lib.sh"

step "data: a dozen shards, and some to evaluate on"
make_data data 24000 3 --shard-impressions 2048
make_data eval 12000 8 --shard-impressions 4096
train_on=(--data "$dir/data" --eval "$dir/eval")
plan=(--epochs 2 --set eval.every_impressions=8000)
evaluations() { grep '"event":"evaluation"' "$dir/$1/metrics.jsonl"; }
rising() { # RUN KEY: from line to line
    local k last=0 value
    for k in 1 2 3 4 5 6; do
        value=$(number <(evaluations "$1") "$2" "$k")
        awk -v a="$last" -v b="$value" 'BEGIN { exit !(b > a) }' || die "$1: $2 is $value after $last"
        last=$value
    done
    REPLY=$last
}
# Six evaluations in two epochs: after a third, two thirds and all of their 24000 impressions.
check() {
    equal "evaluations of $1" "$(evaluations "$1" | wc -l)" 6
    equal "of these within an epoch" "$(evaluations "$1" | grep -c '"within_epoch":true')" 4
    rising "$1" trained_impressions
    equal "impressions trained at last" "$REPLY" 48000
    rising "$1" train_seconds
    awk -v t="$(number "$dir/$1/summary.json" train_seconds)" -v s="$(number "$dir/$1/summary.json" seconds)" \
        -v e="$(number "$dir/$1/summary.json" evaluation_seconds)" -v last="$REPLY" \
        'BEGIN { exit !(t == last && t < s && e > 0) }' || die "$1: the seconds of its summary make no sense"
    equal "the last AUC of $1" "$(number "$dir/$1/summary.json" auc_ctr)" "$(number <(evaluations "$1" | tail -n 1) auc_ctr)"
    equal "pushes of $1" "$(number "$dir/$1/summary.json" batches)" "$(number "$dir/$1/summary.json" steps)"
}

step "a deterministic job is the same with and without"
train first --servers 1 --workers 1 --deterministic "${plan[@]}"
check first
train plain --servers 2 --workers 1 --deterministic --epochs 2
equal "evaluations without" "$(evaluations plain | wc -l)" 2
equal "within an epoch" "$(evaluations plain | grep -c '"within_epoch":true' || true)" 0
for run in first plain; do
    npy $run $run.npy
    sed -i '/"config"/d' "$dir/$run.npy/manifest.json"
done
same_tree "$dir/first.npy" "$dir/plain.npy"
equal "the last AUC" "$(number "$dir/first/summary.json" auc_ctr)" "$(number "$dir/plain/summary.json" auc_ctr)"

step "so it is with windows of many shards"
mixed=(--set train.window=5000 --set train.run=2)
train first-mixed --servers 1 --workers 1 --deterministic "${plan[@]}" "${mixed[@]}"
check first-mixed
train plain-mixed --servers 1 --workers 1 --deterministic --epochs 2 "${mixed[@]}"
equal "the last AUC" "$(number "$dir/first-mixed/summary.json" auc_ctr)" "$(number "$dir/plain-mixed/summary.json" auc_ctr)"
train free-mixed --servers 2 --workers 2 "${plan[@]}" "${mixed[@]}"
check free-mixed

for way in async sync hybrid; do
    step "$way, 2 workers"
    train $way --servers 2 --workers 2 --set train.consistency=$way "${plan[@]}"
    check $way
done

step "killed within an epoch and resumed"
more=(--epochs 6 --set eval.every_impressions=8000)
train_start cut --servers 1 --workers 2 "${more[@]}" --set checkpoint.every_impressions=4000
find_roles 2
until [ "$(evaluations cut 2>/dev/null | wc -l)" -gt 1 ] && [ -e "$dir/cut/checkpoints/latest" ]; do
    kill -0 "$job" || die "the job has ended already"
    sleep 0.02
done
kill -9 "$job" "$coord" "${ps[@]}" "${worker[@]}"
ends 137 30
rm -rf "${TMPDIR:?}"/* # nobody was left to remove it
no_leftovers 5
train cut --servers 1 --workers 1 "${more[@]}" --resume
equal "steps of the resumed job" "$(number "$dir/cut/summary.json" steps)" "$((3 * $(number "$dir/plain/summary.json" steps)))"
awk -v n="$(evaluations cut | wc -l)" 'BEGIN { exit !(n >= 16) }' || die "a resumed job evaluates less"

step "refused: nothing to evaluate on"
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/no" --set eval.every_impressions=8000
says 'eval.every_impressions is 8000, but there is nothing to evaluate on: give --eval DIR'
step "done"
