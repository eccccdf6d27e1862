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
grep -q ' debug coord epoch 0 shard 0 (training' "$dir/run/logs/coord-0.log" || die "coordinator"
grep -q ' debug worker-0 epoch 0 shard 0 (evaluation' "$dir/run/logs/worker-0.log" || die "worker"
grep -q ' debug ps-0 cut 1 to partition 0: ' "$dir/run/logs/ps-0.log" || die "server"
train terse --servers 1 --workers 1 --set log.level=warn
[ ! -s "$dir/terse/logs/coord-0.log" ] || die "the coordinator says: $(head -n 1 "$dir/terse/logs/coord-0.log")"

step "dense parameters that no message holds"
expect 1 timeout 60 "$ESMM" train "${train_on[@]}" --out "$dir/wide" "${small[@]}" "${prompt[@]}" \
    --servers 1 --workers 1 "${tight[@]}" --set model.tower=4096,64
says 'bytes of dense parameters lie on partition 0 of 1 .* net\.message_bytes_max is 65536: raise it'

step "a deadline below those it has to outlast"
expect 1 "$ESMM" train "${train_on[@]}" --out "$dir/never" "${small[@]}" "${prompt[@]}" \
    --set net.stall_ms=4000
says 'net\.stall_ms \(4000\) must be larger than net\.give_up_ms \(4000\)'
