#!/bin/bash
# What is too large for a message does not stop a job: scores of a shard that would not fit go in
# pieces; what cannot be sent in any way is refused at the start. (Phases that get nowhere are driven
# there by unit tests: test_stall, test_coord, test_link, test_client.)
. "$(dirname "$0")/lib.sh"

step "data: an evaluation shard of more than one piece"
make_data data 6000 7 --shard-impressions 2000
make_data eval 40000 8 --shard-impressions 100000
tight=(--set net.message_bytes_max=65536 --batch 64 --set net.stall_ms=30000)

step "scores larger than a message"
train run --servers 1 --workers 1 --eval "$dir/eval" "${tight[@]}" --set log.level=debug
equal "status" "$(text "$dir/run/summary.json" status)" complete
trained=$(number "$dir/run/summary.json" auc_ctr)
ok "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --json --bootstrap 0
equal "auc_ctr, as computed from the checkpoint" "$trained" "$(number "$dir/out" auc_ctr)"

step "log.level reaches every role"
grep -q ' debug coord epoch 0 range 0 (training' "$dir/run/logs/coord-0.log" || die "coordinator"
grep -q ' debug worker-0 epoch 0 shard 0 (evaluation' "$dir/run/logs/worker-0.log" || die "worker"
grep -q ' debug ps-0 cut 1 to partition 0: ' "$dir/run/logs/ps-0.log" || die "server"
train terse --servers 1 --workers 1 --set log.level=warn
[ ! -s "$dir/terse/logs/coord-0.log" ] || die "the coordinator says: $(head -n 1 "$dir/terse/logs/coord-0.log")"

step "a worker that was away for longer than its lease"
make_data long 40000 9 --shard-impressions 2000
train_on=(--data "$dir/long")
train_start away --servers 1 --workers 2 --set net.lease_ms=500 --epochs 4000 --batch 64
find_roles 2
told() { grep -q "is another worker's now: what is left of it is dropped" "$dir/away/logs/worker-1.log"; }
wait_until 30 "training" grep -q 'trainer threads' "$dir/away/logs/worker-1.log"
for try in 1 2 3 4 5 6 7 8; do # it may have had no lease just then, at the end of an epoch
    sleep 0.3
    kill -STOP "${worker[1]}"
    sleep 1.2
    kill -CONT "${worker[1]}"
    sleep 0.5
    told && break
done
told || die "worker 1 was never refused"
kill -TERM "$job"
ends 143 20
fenced=$(number "$dir/away/summary.json" fenced)
[ "${fenced:-0}" -ge 1 ] || die "no batch was fenced: $fenced"
[ "$fenced" -lt 20 ] || die "$fenced batches of a lost lease were computed"
train_on=(--data "$dir/data")

step "dense parameters that no message holds"
expect 1 timeout 60 "$ESMM" train "${train_on[@]}" --out "$dir/wide" "${small[@]}" "${prompt[@]}" \
    --servers 1 --workers 1 "${tight[@]}" --set model.tower=4096,64
says 'bytes of dense parameters lie on partition 0 of 1 .* net\.message_bytes_max is 65536: raise it'

step "a deadline below those it has to outlast"
expect 1 "$ESMM" train "${train_on[@]}" --out "$dir/never" "${small[@]}" "${prompt[@]}" \
    --set net.stall_ms=4000
says 'net\.stall_ms \(4000\) must be larger than net\.give_up_ms \(4000\)'
