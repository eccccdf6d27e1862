#!/bin/bash
# Roles that are killed or hang, and stop signals: the job ends soon with a message that names role, log
# and checkpoint, or goes on where that is possible; nothing is left over; --resume applies every
# batch exactly once.
. "$(dirname "$0")/lib.sh"
plan=(--batch 64 --set checkpoint.every_impressions=5000)
shapes=(--servers 2 --workers 2 --set net.give_up_ms=3000)

# The run in $dir/run, ended too early, is completed and then has every batch once.
resume() {
    train run "${shapes[@]}" "${plan[@]}" --epochs 10 --resume
    whole
    equal "status" "$(text "$dir/run/summary.json" status)" complete
    rm -rf "$dir/run"
}
whole() {
    local s=$dir/run/summary.json
    equal "steps" "$(number "$s" steps)" "$steps"
    equal "epochs" "$(number "$s" epochs)" 10
    ok "$ESMM" inspect "$dir/run"
    says "^step +$steps batches, $((10 * 24000)) impressions" "^cursor +10 epochs complete, then 0 of"
    ok "$ESMM" inspect "$dir/run" --verify
}
# Everything that was trained before the job was stopped is in the newest checkpoint.
all_saved() {
    equal "status" "$(text "$dir/run/summary.json" status)" stopped
    equal "step saved" "$(newest_step run)" "$(number "$dir/run/summary.json" steps)"
}
start() {
    case " $* " in
    *" --epochs "*) ;;
    *) set -- --epochs 10 "$@" ;;
    esac
    train_start run "${shapes[@]}" "${plan[@]}" "$@"
    find_roles 2 2
}
# The command said who it was, where its log is, and what to resume from.
names() {
    equal "status" "$(text "$dir/run/summary.json" status)" failed
    says "$1" "$dir/run/logs/$2\.log" "newest checkpoint: $dir/run/checkpoints/step-[0-9]+" "--resume"
}

step "data, and a job that nobody disturbs"
make_data data 24000 3 --shard-impressions 2048
train run "${shapes[@]}" "${plan[@]}" --epochs 10
steps=$(number "$dir/run/summary.json" steps)
whole
equal "pushes" "$(number "$dir/run/summary.json" batches)" "$steps"
rm -rf "$dir/run"
no_leftovers

step "kill -9 of a server that is not to be started again"
start --restarts 0
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${ps[1]}"
ends 1 30
names "ps-1 was killed by signal 9" ps-1
no_leftovers
resume

step "kill -9 of a server: it is started again, and the job goes on (more in test_recover.sh)"
start
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${ps[1]}"
ends 0 60
says "^ps-1 was killed by signal 9 \(KILL\); started again \(restart 1\)$"
equal "rollbacks" "$(number "$dir/run/summary.json" rollbacks)" 1
whole
rm -rf "$dir/run"
no_leftovers

step "kill -9 of the coordinator, which is not to be started again (else: test_coordinator_dies.sh)"
start --restarts 0
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "$coord"
ends 1 30
names "coord-0 was killed by signal 9" coord-0
no_leftovers
resume

for consistency in async sync hybrid; do # of the last two the others wait for the dead one at the barrier
    step "kill -9 of a worker, $consistency: another takes its place"
    start --set train.consistency=$consistency
    wait_until 20 "a checkpoint" has_checkpoint run
    kill -9 "${worker[1]}"
    ends 0 60
    says "^worker-1 was killed by signal 9 \(KILL\); started again \(restart 1\)$"
    whole
    rm -rf "$dir/run"
    no_leftovers
done

step "kill -9 of both workers, twice"
start
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${worker[@]}"
old="${worker[*]}"
fresh_workers() {
    find_roles 2
    [ "${worker[0]}" -gt "${old##* }" ] && [ "${worker[1]}" -gt "${old##* }" ]
}
wait_until 20 "new workers" fresh_workers
kill -9 "${worker[@]}"
ends 0 60
whole
rm -rf "$dir/run"
no_leftovers

step "kill -9 of one worker, more often than it is started again: the job goes on without it"
start --epochs 100000 --restarts 2
wait_until 20 "a checkpoint" has_checkpoint run
for death in 1 2; do
    kill -9 "${worker[1]}"
    wait_until 20 "restart $death" grep -q "worker-1 .*started again.* ($death of 2)" "$dir/out"
    find_roles 2
done
kill -9 "${worker[1]}"
wait_until 5 "its third death" grep -q "^worker-1 was killed by signal 9 (KILL); the job goes on without it$" "$dir/out"
at=$(newest_step run)
gets_on() { [ "$(newest_step run)" -gt "$at" ]; }
wait_until 20 "a checkpoint without it" gets_on
kill -INT "$job"
ends 130 20
all_saved
rm -rf "$dir/run"
no_leftovers

step "kill -9 of the only worker, twice: its death is the cause, and the rest is saved"
train_start run --servers 2 --workers 1 --set net.give_up_ms=3000 --batch 64 \
    --set checkpoint.every_impressions=5000 --epochs 1000 --restarts 1
find_roles 1
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${worker[0]}"
wait_until 20 "the restart" grep -q "^worker-0 .*started again (1 of 1)" "$dir/out"
find_roles 1
kill -9 "${worker[0]}"
ends 1 30
says "^esmm train: worker-0 was killed by signal 9 \(KILL\); its log: .*/worker-0.log; newest checkpoint: "
all_saved
rm -rf "$dir/run"
no_leftovers

step "a worker fails: what was trained is saved"
start
wait_until 20 "a checkpoint" has_checkpoint run
mv "$dir/data" "$dir/data.away"
ends 1 20
mv "$dir/data.away" "$dir/data"
says "worker-[01] ended with exit code 3: .*cannot open" "mend that first, then continue with --resume"
all_saved
no_leftovers
rm -rf "$dir/run"

step "a server hangs (SIGSTOP) for longer than it is awaited"
start --set recovery.wait_seconds=2 --timeout 2000
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "${ps[1]}"
ends 1 20
says "server 1 \(.*\) has been silent for .*; after 2[0-9]{3} ms still missing: .*server 1 \(lost\)" "resume"
equal "status" "$(text "$dir/run/summary.json" status)" failed
no_leftovers
rm -rf "$dir/run"

step "a worker hangs: the others get its leases"
start --set net.heartbeat_ms=100 --set net.lease_ms=500 # well below what the others need for the rest
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "${worker[1]}"
ends 0 60
whole
grep -q '"event":"worker_lost"' "$dir/run/metrics.jsonl" || die "metrics.jsonl has no worker_lost"
rm -rf "$dir/run"
no_leftovers

step "the coordinator hangs"
start
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "$coord"
ends 1 20
says "(ps|worker)-[01] ended with exit code 1: the coordinator at .* has been silent" "--resume"
no_leftovers
rm -rf "$dir/run"

step "SIGINT saves and ends"
start
wait_until 20 "a checkpoint" has_checkpoint run
kill -INT "$job"
ends 130 20
all_saved
no_leftovers
resume

step "SIGTERM before anything is there"
start
kill -TERM "$job"
ends 143 20
no_leftovers
rm -rf "$dir/run"

step "kill -9 of esmm train itself: no orphans, and what was trained is saved"
start
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "$job"
ends 137 5
no_leftovers 20
all_saved
step "done"
