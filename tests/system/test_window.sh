#!/usr/bin/env bash
# train.window and train.run: the impressions of many shards are mixed, each is trained on once an epoch
# whoever trains it, a job has one result, and a worker that dies in the middle of a window costs nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
mixed=(--batch 64 --set train.window=5000 --set train.run=2 --trace)

# The traces of a run have each impression of the data once in each epoch, and mix shards: no batch of
# them has the impressions of one shard only.
once() { # RUN
    cat "$dir/$1"/logs/trace-*.tsv >"$dir/trace"
    local epoch
    for epoch in 0 1; do
        awk -F '\t' -v e=$epoch '$1 == e { print $8 }' "$dir/trace" | tr ',' '\n' | sort -n >"$dir/ids-$epoch"
        equal "impressions of epoch $epoch" "$(wc -l <"$dir/ids-$epoch")" 24000
        equal "of them different ones" "$(uniq "$dir/ids-$epoch" | wc -l)" 24000
    done
    cmp -s "$dir/ids-0" "$dir/ids-1" || die "the epochs have different impressions"
    equal "batches" "$(cut -f 1-3 "$dir/trace" | sort -u | wc -l)" "$(number "$dir/$1/summary.json" steps)"
    equal "pushes" "$(number "$dir/$1/summary.json" batches)" "$(number "$dir/$1/summary.json" steps)"
}

step "data: a dozen shards"
make_data data 24000 3 --shard-impressions 2048

for shape in "1 1" "2 2"; do
    set -- $shape
    step "$1 servers, $2 workers"
    train run --servers "$1" --workers "$2" "${mixed[@]}" --epochs 2
    once run
    cut -f 1-3,8 "$dir/trace" | sort >"$dir/batches-$1"
    rm -rf "$dir/run"
done
step "a batch has the same impressions, whoever trains it"
cmp -s "$dir/batches-1" "$dir/batches-2" || die "one worker's batches are not those of two"

step "one result: on one server and one worker, and on two and two"
for shape in "1 1" "2 2"; do
    set -- $shape
    train "same-$1" --servers "$1" --workers "$2" "${mixed[@]}" --epochs 2 --deterministic
    once "same-$1"
    npy "same-$1" "same-$1.npy"
done
same_tree "$dir/same-1.npy" "$dir/same-2.npy"
cut -f 1-3,8 "$dir/same-1"/logs/trace-*.tsv | sort | cmp -s - "$dir/batches-1" || die "the batches are not those of the other runs"
rm -rf "$dir"/same-*

step "kill -9 of a worker in the middle of a window: another takes its place"
long=(--servers 2 --workers 2 "${mixed[@]}" --epochs 10 --set checkpoint.every_impressions=5000)
train_start run "${long[@]}"
find_roles 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${worker[1]}"
ends 0 40
says "worker-1 was killed by signal 9" "started again"
steps=$(number "$dir/run/summary.json" steps)
ok "$ESMM" inspect "$dir/run"
says "^step +$steps batches, 240000 impressions" "^cursor +10 epochs complete, then 0 of"
rm -rf "$dir/run"

step "kill -9 of a server: each batch is applied once"
train_start run "${long[@]}"
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${ps[1]}"
ends 0 60
equal "rollbacks" "$(number "$dir/run/summary.json" rollbacks)" 1
equal "steps" "$(number "$dir/run/summary.json" steps)" "$steps"
ok "$ESMM" inspect "$dir/run"
says "^step +$steps batches, 240000 impressions"
no_leftovers
