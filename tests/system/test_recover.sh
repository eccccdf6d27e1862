#!/bin/bash
# A server dies, and the job goes on by itself: once, twice, during the recovery, before there is a
# checkpoint, together with a worker. Every batch is trained once, and a deterministic job ends with
# the bytes of one that nobody disturbed.
. "$(dirname "$0")/lib.sh"
plan=(--batch 64 --set checkpoint.every_impressions=5000)
log=$dir/run/logs/coord-0.log

start() {
    train_start run --servers 2 --workers 2 "${plan[@]}" "$@"
    find_roles 2 2
}
backs() { # so many times the job went back
    [ "$(grep -c 'all roles go back to' "$log" 2>/dev/null)" -ge "$1" ]
}
goes_on() { # and so many times training went on
    [ "$(grep -c 'training goes on after' "$log" 2>/dev/null)" -ge "$1" ]
}
# The job ends well, with every batch once; it went back so often, at least.
whole() {
    local s=$dir/run/summary.json
    ends 0 60
    equal "status" "$(text "$s" status)" complete
    equal "steps" "$(number "$s" steps)" "$1"
    equal "restored" "$(number "$s" steps_restored)" 0
    [ "$(number "$s" rollbacks)" -ge "$2" ] || die "$(number "$s" rollbacks) rollbacks, expected $2"
    ok "$ESMM" inspect "$dir/run" --verify
    no_leftovers
}
forget() {
    rm -rf "$dir/run" "$dir/run.dump"
}

step "data, and a deterministic job that nobody disturbs"
make_data data 24000 3 --shard-impressions 2048
train first --servers 2 --workers 2 "${plan[@]}" --epochs 2 --deterministic
dump first first.dump
steps=$(number "$dir/first/summary.json" steps)

step "deterministic: a server dies, another while it is restored, then a worker"
start --epochs 2 --deterministic
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${ps[1]}"
wait_until 20 "the rollback" backs 1
kill -9 "${ps[0]}"
wait_until 20 "training" goes_on 1
find_roles 2 2
kill -9 "${worker[0]}" "${worker[1]}"
whole "$steps" 2
dump run run.dump
same_tree "$dir/first.dump" "$dir/run.dump"
grep -q '"event":"server_lost"' "$dir/run/metrics.jsonl" || die "metrics.jsonl has no server_lost"
grep -q '"event":"rollback"' "$dir/run/metrics.jsonl" || die "metrics.jsonl has no rollback"
grep -Eq 'error coord lost: server 1 \(host .*, pid [0-9]+\) is gone: a new process \(host .*, pid [0-9]+\) takes its place' "$log" ||
    die "the coordinator did not say who was lost"
grep -Eq 'warn worker-1 the job goes back to its newest checkpoint: server [01] ' "$dir/run/logs/worker-1.log" ||
    die "a worker did not say why"
forget

step "before there is a checkpoint, twice; the default would make one after ten minutes"
plan=(--batch 64)
start --epochs 4
wait_until 20 "training" grep -q 'all roles are there' "$log"
sleep 0.1
kill -9 "${ps[1]}"
wait_until 20 "training" goes_on 1
find_roles 2 2
kill -9 "${ps[0]}" "${ps[1]}"
whole $((2 * steps)) 2
grep -q 'all roles go back to the start, there is no checkpoint' "$log" || die "there was no checkpoint"
forget

step "a server hangs (SIGSTOP), and comes back as it was"
plan=(--batch 64 --set checkpoint.every_impressions=5000 --set net.give_up_ms=1000)
start --epochs 4
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "${ps[1]}"
wait_until 20 "the rollback" backs 1
kill -CONT "${ps[1]}"
whole $((2 * steps)) 1
grep -Eq 'lost: server 1 .* has been silent for' "$log" || die "the coordinator did not say why"
forget

step "a part of the newest checkpoint is damaged when a server dies: back to the one before"
start --epochs 4 --set checkpoint.every_impressions=20000 # so that none is under way
two() { [ "$(ls -d "$dir"/run/checkpoints/step-*[0-9] | wc -l)" -ge 2 ]; }
wait_until 20 "two checkpoints" two
kill -STOP "$coord" # so that no other comes
bad=$(newest run)
printf 'x' | dd of="$(ls "$bad"/part-00000-*)" bs=1 seek=3000 conv=notrunc 2>/dev/null
kill -9 "${ps[1]}"
sleep 0.3
kill -CONT "$coord"
whole $((2 * steps)) 2
grep -q "cannot restore: .*part-00000-.*renamed to $bad.damaged" "$log" || die "the coordinator did not say which file"
grep -q '"event":"checkpoint_damaged"' "$dir/run/metrics.jsonl" || die "metrics.jsonl has no checkpoint_damaged"
forget

step "stopped while a server is away: it ends with the newest checkpoint, and is resumed"
start --epochs 4
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "${ps[1]}"
wait_until 20 "the rollback" backs 1
kill -INT "$job"
ends 130 20
equal "status" "$(text "$dir/run/summary.json" status)" stopped
equal "step saved" "$(newest_step run)" "$(number "$dir/run/summary.json" steps)"
no_leftovers
train run --servers 2 --workers 2 "${plan[@]}" --epochs 4 --resume
equal "steps" "$(number "$dir/run/summary.json" steps)" $((2 * steps))
forget

step "roles started by hand: the new server listens elsewhere"
small_role=(--coord "ipc://$dir/coord" --log)
mkdir -p "$dir/run/logs"
ps_here() {
    "$ESMM" ps "${small_role[@]}" "$dir/run/logs/ps-$1.log" --index "$1" --listen "tcp://127.0.0.1:0" &
    ps_pid=$!
}
"$ESMM" coord --listen "ipc://$dir/coord" --log "$log" "${train_on[@]}" --out "$dir/run" --servers 2 --workers 1 \
    "${small[@]}" "${prompt[@]}" "${plan[@]}" --epochs 4 >"$dir/out" 2>&1 &
job=$!
ps_here 0
ps_here 1
"$ESMM" worker "${small_role[@]}" "$dir/run/logs/worker-0.log" --index 0 &
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "$ps_pid"
ps_here 1
whole $((2 * steps)) 1
step "done"
