#!/bin/bash
# A checkpoint that N servers saved is restored by M: the whole state, sorted, is the same, for all N
# and M from 1 to 4; also for a checkpoint from the middle of an asynchronous run, whose parts differ
# by the batches that were in flight.
. "$(dirname "$0")/lib.sh"
small+=(--batch 64 --set table.admit_after=2)

sorted_state() {
    dump "$1" "$1.dump"
    sed -i '/^max_steps/d; /^threads/d; /^epochs/d; /^in_flight/d; /^every_impressions/d' "$dir/$1.dump/config.ini"
}

# reload SERVERS THREADS: the newest checkpoint of $dir/run through so many servers, which train
# nothing and save, becomes $dir/run. (What exists is not saved again, so it is renamed first.)
reload() {
    local step
    step=$(newest_step run)
    mkdir -p "$dir/again/checkpoints"
    cp -r "$(newest run)" "$dir/again/checkpoints/step-000000000001"
    train again --servers "$1" --workers 1 --set "server.threads=$2" --resume --max-steps 0
    equal "step" "$(newest_step again)" "$step"
    equal "batches trained" "$(number "$dir/again/summary.json" batches)" 0
    equal "parts" "$(ls "$(newest again)" | grep -c '^part-')" $(($1 * $2))
    sorted_state again
    same_tree "$dir/first.dump" "$dir/again.dump"
    rm -rf "$dir/run" "$dir/again.dump"
    mv "$dir/again" "$dir/run"
}

step "data, trained on 1 server by 2 workers, asynchronous"
make_data data 20000 9 --shard-impressions 4096
train run --servers 1 --workers 2
sorted_state run
mv "$dir/run.dump" "$dir/first.dump"
cp -r "$dir/run" "$dir/first"

# Each of the 16 pairs once.
from=1
for to in 1 2 1 3 1 4 2 2 3 2 4 3 3 4 4 1; do
    step "saved by $from, restored by $to"
    reload $to 1
    from=$to
done
ok "$ESMM" inspect "$dir/first" --diff "$dir/run"
says "^equal"
rm -rf "$dir/run" "$dir/first.dump"

step "from the middle of a run: 3 servers of 2 threads, 3 workers of 2 threads, 4 batches in flight"
train_start run --servers 3 --workers 3 --threads 2 --set server.threads=2 --epochs 20 \
    --set train.in_flight=4 --set checkpoint.every_impressions=5000
find_roles 3
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "$job" "$coord" "${ps[@]}" "${worker[@]}"
ends 137 5
sorted_state run
sed 's/^/        /' "$dir/run.dump/applied.tsv"
mv "$dir/run.dump" "$dir/first.dump"
step "restored by 1, then by 4 of 2 threads"
reload 1 1
reload 4 2
step "done"
