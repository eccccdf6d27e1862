#!/usr/bin/env bash
# A log sorted by its label: prep and train say so, and --shuffle all makes of it what a mixed log gives.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "a log, its rows in a random order, and sorted by click"
ok "$ESMM" synth --impressions 60000 --holdout 20000 --ctr 0.1 --cvr 0.1 --days 3 --users 2000 --items 500 --sc 1 --mc 0.5 --out "$dir/log"
log=$dir/log/train/log.csv
click=$(head -n 1 "$log" | tr ',' '\n' | grep -n '^click$' | cut -d: -f1)
{
    head -n 1 "$log"
    tail -n +2 "$log" | shuf --random-source="$log"
} >"$dir/mixed.csv"
{
    head -n 1 "$log"
    tail -n +2 "$dir/mixed.csv" | sort -s -t, -k"$click,$click"
} >"$dir/sorted.csv"
prep() { # NAME LOG OPTION...
    local name=$1 input=$2
    shift 2
    ok "$ESMM" prep --format csv --schema "$dir/log/train/log.schema" --input "$input" --shard-impressions 2048 --out "$dir/$name" "$@"
}
prep timed "$log"
grep -q 'looks sorted' "$dir/out" && die "a log in order of time is said to be sorted"
prep mixed "$dir/mixed.csv"
grep -q 'looks sorted' "$dir/out" && die "a log that is mixed is said to be sorted"
prep sorted "$dir/sorted.csv"
says 'warn.*the log looks sorted by click: tenth [19]0? has a share of .* of clicks, all of it 0\.[01]'
prep shuffled "$dir/sorted.csv" --shuffle all
grep -q 'looks sorted' "$dir/out" && die "a log that was shuffled is said to be sorted"
prep eval "$dir/log/eval/log.csv"

step "training on them"
auc() { # NAME: in the order of the shards; sets REPLY
    local train_on=(--data "$dir/$1" --eval "$dir/eval")
    train "run-$1" --servers 1 --workers 1 --set model.name=esmm --set table.lr=0.01 --epochs 1 --set train.window=0
    REPLY=$(number "$dir/run-$1/summary.json" auc_ctr)
    echo "        $1: AUC of CTR $REPLY"
}
auc mixed
mixed=$REPLY
grep -q 'look sorted' "$dir/out" && die "shards that are mixed are said to be sorted"
auc sorted
says '^warning: the data look sorted by click: .*/sorted/shard-000[0-9]+.bin has a share of .* of clicks'
sorted=$REPLY
auc shuffled
grep -q 'look sorted' "$dir/out" && die "shards that were shuffled are said to be sorted"
train_on=(--data "$dir/sorted" --eval "$dir/eval")
train run-window --servers 1 --workers 1 --max-steps 0 --set train.window=100000 --set train.run=0
grep -q 'look sorted' "$dir/out" && die "a job that mixes shards warns of their order"
awk -v m="$mixed" -v s="$sorted" -v h="$REPLY" 'BEGIN { exit !(m - h < 0.02 && h - m < 0.02 && s < m - 0.03) }' ||
    die "mixed $mixed, sorted $sorted, shuffled $REPLY: expected the first and the last alike, the sorted one worse"

step "a window over all shards: sorted is as good as shuffled"
auc_window() { # NAME: sets REPLY
    local train_on=(--data "$dir/$1" --eval "$dir/eval")
    train "window-$1" --servers 1 --workers 1 --set model.name=esmm --set table.lr=0.01 --epochs 1 --deterministic \
        --set train.window=100000 --set train.run=2
    REPLY=$(number "$dir/window-$1/summary.json" auc_ctr)
    echo "        $1, in a window: AUC of CTR $REPLY"
}
auc_window shuffled
shuffled=$REPLY
auc_window sorted
awk -v h="$shuffled" -v s="$REPLY" 'BEGIN { exit !(h - s < 0.005 && s - h < 0.005) }' ||
    die "in a window: shuffled $shuffled, sorted $REPLY: expected within 0.005"

step "a resumed job keeps the order that it was begun with"
expect 0 "$ESMM" coord --listen ipc:///nowhere --data "$dir/sorted" --out "$dir/run-window" --resume --print-config
says '^window = 100000$' '^run = 0$'
expect 0 "$ESMM" coord --listen ipc:///nowhere --data "$dir/sorted" --out "$dir/run-sorted" --resume --print-config
says '^window = 0$'
expect 1 "$ESMM" train --servers 1 --workers 1 "${train_on[@]}" --out "$dir/run-window" --resume --set train.window=5000
says 'train.window was 100000 and is 5000 now: resume with --set train.window=100000 --set train.run=0'
train run-window --servers 1 --workers 1 --max-steps 0 --resume

step "train and held-out from standard input in one run"
"$ESMM" prep --format csv --schema "$dir/log/train/log.schema" --input - --split 80% --shuffle all --out "$dir/both" <"$log" >"$dir/out" 2>&1 ||
    die "prep failed"
says '^train +[0-9]+ impressions in' '^eval +[0-9]+ impressions in'
total=0
for side in train eval; do
    ok "$ESMM" inspect "$dir/both/$side" --verify --json
    total=$((total + $(number "$dir/out" impressions)))
done
equal "impressions of both" "$total" 60000
expect 1 "$ESMM" train --data "$dir/both" --out "$dir/no"
says "holds train and eval"
