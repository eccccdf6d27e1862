#!/bin/bash
# Roles that are told to end (SIGTERM, as schedulers do): a worker finishes or gives back what it holds and
# leaves, and the job goes on with the others; with the last one it is saved. Every batch counts once.
. "$(dirname "$0")/lib.sh"
plan=(--batch 64 --set checkpoint.every_impressions=5000)
event() { grep -c "\"event\":\"$2\"" "$dir/$1/metrics.jsonl"; }
leaves() { grep -q "^worker-$1 was told to end; the job goes on without it$" "$dir/out"; }

step "data, and jobs that nobody disturbs"
make_data data 16000 3 --shard-impressions 2048
train plain "${plan[@]}" --epochs 3 --deterministic
dump plain plain.dump
steps=$(number "$dir/plain/summary.json" steps)

step "a worker of an asynchronous job"
train_start run "${plan[@]}" --epochs 3
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -TERM "${worker[1]}"
wait_until 4 "it to leave" leaves 1
ends 0 60
equal "steps" "$(number "$dir/run/summary.json" steps)" "$steps"
equal "epochs" "$(number "$dir/run/summary.json" epochs)" 3
equal "workers that left" "$(event run worker_left)" 1
equal "workers that were lost" "$(event run worker_lost)" 0
grep -q "left: stop signal 15" "$dir/run/logs/coord-0.log" || die "the coordinator does not say it"
rm -rf "$dir/run"
no_leftovers

step "a worker of a deterministic job: the same bytes"
train_start run "${plan[@]}" --epochs 3 --deterministic
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -TERM "${worker[0]}"
wait_until 10 "it to leave" leaves 0
ends 0 60
dump run run.dump
same_tree "$dir/plain.dump" "$dir/run.dump"
rm -rf "$dir/run"
no_leftovers

step "a server: a checkpoint is made for it, and another takes its place"
train_start run "${plan[@]}" --epochs 30 --set checkpoint.every_impressions=0
find_roles 2 2
wait_until 20 "training" grep -q '"step":[1-9]' "$dir/run/metrics.jsonl"
kill -TERM "${ps[1]}"
wait_until 10 "it to leave" grep -q "^ps-1 was told to end, and all was saved; started again (restart 1)$" "$dir/out"
ends 0 60
grep -q "left: stop signal 15" "$dir/run/logs/coord-0.log" || die "the coordinator does not say it"
equal "steps" "$(number "$dir/run/summary.json" steps)" $((10 * steps))
has_checkpoint run || die "there is no checkpoint"
rm -rf "$dir/run"
no_leftovers

step "one worker after the other: the job is saved"
train_start run "${plan[@]}" --epochs 100000
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -TERM "${worker[0]}"
wait_until 4 "the first to leave" leaves 0
kill -TERM "${worker[1]}"
ends 143 20
says "^worker-1 was told to end; none is left: if none joins, the job is saved and ends$"
equal "status" "$(text "$dir/run/summary.json" status)" stopped
equal "step saved" "$(newest_step run)" "$(number "$dir/run/summary.json" steps)"
rm -rf "$dir/run"
no_leftovers

step "workers that are killed for good: what was trained is saved, then the job fails"
train_start run "${plan[@]}" --epochs 100000 --set net.give_up_ms=1000 --workers 1
find_roles 1 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "${worker[0]}"
ends 1 20
says "no worker is left: worker 0 \(host .*\) has been silent for [0-9]+ ms; what was trained is saved"
equal "step saved" "$(newest_step run)" "$(number "$dir/run/summary.json" steps)"
rm -rf "$dir/run"
no_leftovers

step "a role that cannot save does not outlast --grace, whoever is left to see it"
train_start run "${plan[@]}" --epochs 100000 --grace 2 --set net.give_up_ms=60000
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "${ps[0]}" # the last checkpoint waits for it
kill -9 "$job"
ends 137 5
wait_until 10 "the coordinator to be gone" test ! -e "/proc/$coord/fd/0"
grep -q "did not end within its grace time (--grace) after a stop signal" "$dir/run/logs/coord-0.log" ||
    die "the coordinator does not say why it ended"
kill -CONT "${ps[0]}" # its own time begins when it can see the signal
wait_until 10 "all to be gone" no_process
rm -rf "$TMPDIR"/* # nobody was left to remove the sockets
rm -rf "$dir/run"
step "workers that join a job that runs: by its directory, and by its coordinator's address"
join() { # RUN-or-address LOG: its pid in $joined
    "$ESMM" worker --join "$1" --timeout 5000 --log "$2" 2>"$dir/err" &
    joined=$!
}
joins() { grep -q "worker $1: host .*, pid $2, 1 threads" "$dir/run/logs/coord-0.log"; }
works() { grep -q "coord worker $1: host" "$dir/run/logs/coord-0.log" && tail -n 1 "$dir/run/metrics.jsonl" | grep -q "\"workers\":$2,"; }
train_start run "${plan[@]}" --epochs 100000 --workers 1 --workers-max 3
find_roles 1 2
wait_until 20 "a checkpoint" has_checkpoint run
join "$dir/run" "$dir/joined.log"
first=$joined
wait_until 5 "it to be taken in" joins 1 "$first"
join "$(sed -n 's/^coordinator //p' "$dir/run/launcher")" "$dir/joined-2.log"
second=$joined
wait_until 5 "the second to be taken in" joins 2 "$second"
wait_until 10 "both to work" works 2 3
expect 3 "$ESMM" worker --join "$dir/run" --timeout 5000
says "all 3 places for workers are taken \(--workers-max\)"
kill -TERM "$first" "${worker[0]}" # the job goes on with the second alone
code=0
wait "$first" || code=$?
equal "exit code" "$code" 143
wait_until 5 "the job's own to leave" grep -q "worker-0 was told to end" "$dir/out"
join "$dir/run" "$dir/joined-3.log" # in the place of one that left
wait_until 5 "it to be taken in" grep -q "pid $joined, 1 threads" "$dir/run/logs/coord-0.log"
at=$(newest_step run)
gets_on() { [ "$(newest_step run)" -gt "$at" ]; }
wait_until 20 "a checkpoint with these two" gets_on
kill -INT "$job"
ends 130 20
equal "step saved" "$(newest_step run)" "$(number "$dir/run/summary.json" steps)"
no_leftovers 5
expect 3 "$ESMM" worker --join "$dir/run"
says "no job runs in $dir/run"
step "done"
