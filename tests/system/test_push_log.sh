#!/bin/bash
# Jobs with push logs whose servers are killed: nobody goes back, no batch is repeated, and a deterministic
# job has the bytes of one that nobody disturbed. A log that gets too long makes a checkpoint; a disk that
# is full costs the log, not the job.
. "$(dirname "$0")/lib.sh"
shapes=(--servers 2 --workers 2 --set recovery.push_log=on --set server.threads=2 --batch 64)

# kill_server I: kills it, and waits until another process serves in its place.
kill_server() {
    local before serving
    serving=$(grep -c "serving 2 partitions" "$dir/run/logs/ps-$1.log")
    find_roles 2 2
    before=${ps[$1]}
    kill -9 "$before"
    serves_again() { [ "$(grep -c "serving 2 partitions" "$dir/run/logs/ps-$1.log")" -gt "$serving" ]; }
    wait_until 20 "server $1 to serve again" serves_again "$1"
}
nobody_went_back() {
    local s=$dir/run/summary.json m=$dir/run/metrics.jsonl
    equal "status" "$(text "$s" status)" complete
    equal "steps" "$(number "$s" steps)" "$steps"
    if [ "$(number "$s" second_leases)" = 0 ]; then # two workers may train the last ranges of an epoch
        equal "batches pushed" "$(number "$s" batches)" "$steps"
    fi
    equal "rollbacks" "$(number "$s" rollbacks)" 0
    equal "servers that came back" "$(number "$s" servers_back)" "$1"
    equal "events" "$(grep -c '"event":"server_back"' "$m")" "$1"
    ! grep -q '"event":"rollback"' "$m" || die "metrics.jsonl has a rollback"
    [ ! -e "$dir/run/pushlog" ] || die "the push logs are still there"
    ok "$ESMM" inspect "$dir/run" --verify
}

step "data, and a deterministic job that nobody disturbs"
make_data data 24000 3 --shard-impressions 2048
plan=(--deterministic --epochs 4 --set checkpoint.every_impressions=20000 --set table.evict_age=700)
train first "${shapes[@]}" "${plan[@]}"
steps=$(number "$dir/first/summary.json" steps)
dump first first.dump

step "its servers are killed, one before and two after a checkpoint: the same bytes"
train_start run "${shapes[@]}" "${plan[@]}"
find_roles 2 2
wait_until 20 "the push logs" ls "$dir/run/pushlog/server-1-1-00000001.log"
kill_server 1
wait_until 30 "a checkpoint" has_checkpoint run
kill_server 0
kill_server 1
ends 0 90
nobody_went_back 3
dump run run.dump
same_tree "$dir/first.dump" "$dir/run.dump"
grep -q "pushes of .* applied from its push log" "$dir/run/logs/ps-1.log" || die "ps-1 applied no log"
rm -rf "$dir/run" "$dir/run.dump"
no_leftovers

step "an asynchronous job: every batch once"
train_start run "${shapes[@]}" --epochs 4 --set checkpoint.every_impressions=30000
find_roles 2 2
wait_until 30 "a checkpoint" has_checkpoint run
kill_server 0
kill_server 1
ends 0 90
nobody_went_back 2
rm -rf "$dir/run"
no_leftovers

step "logs that get too long make checkpoints"
train run "${shapes[@]}" --epochs 4 --set recovery.log_bytes=4M --set net.heartbeat_ms=20
nobody_went_back 0
grep -q "push logs of .* a checkpoint is made" "$dir"/run/logs/coord-0.log || die "no word of the push logs"
[ "$(grep -c '"event":"checkpoint"' "$dir/run/metrics.jsonl")" -ge 2 ] || die "no checkpoint but the final one"
rm -rf "$dir/run"

step "a log that cannot be written: said once, training goes on"
mkdir -p "$dir/run"
echo "in the way" >"$dir/run/pushlog"
train run "${shapes[@]}" --epochs 1
for log in "$dir"/run/logs/ps-*.log; do
    equal "lines about the push log in $log" "$(grep -c "no push log" "$log")" 2 # one a partition
done
rm -rf "$dir/run"
if [ "$(id -u)" = 0 ] && mkdir -p "$dir/run/pushlog" && mount -t tmpfs -o size=200k none "$dir/run/pushlog" 2>/dev/null; then
    step "a disk that is full: the same"
    train run "${shapes[@]}" --epochs 1
    umount "$dir/run/pushlog"
    grep -q "no push log until the next checkpoint.*No space left" "$dir"/run/logs/ps-*.log || die "no word of the full disk"
fi
step "done"
