#!/bin/bash
# The checkpoints of a run: which stay, `esmm checkpoint list | rm | keep`, the best by a held-out
# metric with early stopping, and `esmm reshard`, whose result is the same state.
. "$(dirname "$0")/lib.sh"
small+=(--set table.admit_after=2)

steps_of() {
    (cd "$dir/$1/checkpoints" && for s in step-*; do s=${s#step-}; echo -n "$((10#${s%%.*})) "; done)
}

step "the newest, and what is pinned"
make_data data 12000 4 --shard-impressions 4096
train run --servers 2 --workers 1 --max-steps 10 --set checkpoint.keep=2
ok "$ESMM" checkpoint keep "$dir/run" 10
for n in 20 30 40; do
    train run --servers 2 --workers 1 --max-steps $n --resume --set checkpoint.keep=2
done
equal "steps" "$(steps_of run)" "10 30 40 "
ok "$ESMM" checkpoint list "$dir/run"
says "^ +10 .* full .* pinned$" "^ +30 .* newest$" "^ +40 .* newest <- latest$"
ok "$ESMM" checkpoint list "$dir/run/checkpoints" --json
equal "latest" "$(number "$dir/out" latest)" 40

step "rm"
expect 1 "$ESMM" checkpoint rm "$dir/run" 40
says "newest checkpoint"
expect 1 "$ESMM" checkpoint rm "$dir/run" 30 40 # nothing goes if one may not
expect 1 "$ESMM" checkpoint rm "$dir/run" 31
says "no checkpoint of step 31"
expect 2 "$ESMM" checkpoint rm "$dir/run"
expect 2 "$ESMM" checkpoint list "$dir/run" 10
expect 2 "$ESMM" checkpoint rm "$dir/run" 10 --force
equal "steps" "$(steps_of run)" "10 30 40 "
ok "$ESMM" checkpoint rm "$dir/run" step-000000000010
equal "steps" "$(steps_of run)" "30 40 "
ok "$ESMM" checkpoint rm "$dir/run" --force 40
ok "$ESMM" inspect "$dir/run"
says "step-000000000030"
ok "$ESMM" checkpoint keep "$dir/run" 30
ok "$ESMM" checkpoint keep "$dir/run" --off 30
expect 1 "$ESMM" checkpoint list "$dir/data"

step "a running job's newest ones are its own"
cp -r "$dir/run" "$dir/busy"
train_start busy --servers 1 --workers 1 --resume --epochs 5000 --max-steps 1000000 \
    --set checkpoint.every_impressions=20000
two_of_its_own() {
    [ "$(ls "$dir/busy/checkpoints" | grep -cE '^step-[0-9]+$')" -ge 2 ] &&
        [ "$(newest_step busy)" -gt 30 ]
}
wait_until 20 "checkpoints of its own" two_of_its_own
find_roles 1 1
kill -STOP "$coord"
ok "$ESMM" checkpoint list "$dir/busy"
victim=$(cd "$dir/busy/checkpoints" && ls -d step-* | grep -v tmp | tail -n 2 | head -n 1)
expect 1 "$ESMM" checkpoint rm "$dir/busy" "$victim"
says "a job is running"
kill -CONT "$coord"
kill -TERM "$job"
ends 143 30

step "reshard: the same state in other parts"
for n in 1 3 5; do
    ok "$ESMM" reshard "$dir/run" --partitions $n --out "$dir/parts-$n"
    equal "parts" "$(ls "$dir/parts-$n" | grep -c '^part-')" $n
    ok "$ESMM" inspect "$dir/parts-$n" --verify
    ok "$ESMM" inspect "$dir/run" --diff "$dir/parts-$n"
    says "^equal"
done
ok "$ESMM" reshard "$dir/run" --partitions 3 --out "$dir/again-3"
same_tree "$dir/parts-3" "$dir/again-3"
dump run run.dump
dump parts-5 parts.dump
same_tree "$dir/run.dump" "$dir/parts.dump"
expect 1 "$ESMM" reshard "$dir/run" --partitions 3 --out "$dir/parts-3"
expect 2 "$ESMM" reshard "$dir/run" --out "$dir/parts-4"

step "the best stays, and patience ends the job"
make_data held 4000 5
train best --servers 1 --workers 1 --eval "$dir/held" --epochs 40 --set checkpoint.keep=1 \
    --set checkpoint.keep_best=ctcvr --set train.patience=2 --set table.lr=0.05 --set dense.lr=0.05
equal "status" "$(text "$dir/best/summary.json" status)" stopped_early
best=$(sed -n '/"best": {/,/}/p' "$dir/best/summary.json" | grep -oE '"step": [0-9]+' | grep -oE '[0-9]+')
equal "since" "$(number "$dir/best/summary.json" evaluations_since)" 2
last=$(number "$dir/best/summary.json" steps)
equal "steps" "$(steps_of best)" "$best $last "
ok "$ESMM" checkpoint list "$dir/best"
says "^ +$best .* best ctcvr$" "<- latest$"
ok "$ESMM" eval --checkpoint "$(printf '%s/best/checkpoints/step-%012d' "$dir" "$best")" --data "$dir/held" --json
figure=$(sed -n '/"best": {/,/}/p' "$dir/best/summary.json" | grep -oE '"figure": [0-9.]+' | grep -oE '[0-9.]+$')
equal "the figure of what is kept" "$(number "$dir/out" auc_ctcvr)" "$figure"
step "done"
