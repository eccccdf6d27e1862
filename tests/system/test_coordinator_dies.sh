#!/bin/bash
# The coordinator is killed again and again in a job with evaluations and checkpoints: it is started
# again, takes the job over from its journal, and the job ends with every batch once. Servers and
# workers are the same processes from beginning to end, and training hardly pauses.
. "$(dirname "$0")/lib.sh"
RANDOM=${SEED:-$$}
seed=$RANDOM
echo "SEED=$seed"
RANDOM=$seed
epochs=16
shapes=(--servers 2 --workers 2 --eval "$dir/eval" --set net.give_up_ms=10000 --trace)
plan=(--epochs $epochs --batch 64 --set checkpoint.every_impressions=30000)

start() {
    train_start run "${shapes[@]}" "${plan[@]}" "$@"
    find_roles 2 2
    old=("${ps[@]}" "${worker[@]}")
    left_at=0
}
other_coordinator() {
    find_roles 2 2
    [ "$coord" != "$dead" ]
}
trained() {
    cat "$dir"/run/logs/trace-*.tsv 2>/dev/null | wc -l
}
trained_more() {
    [ "$(trained)" -gt "$1" ]
}
kill_coordinator() {
    dead=$coord
    kill -9 "$dead"
    wait_until 15 "a new coordinator" other_coordinator
}
same_processes() {
    equal "processes" "${ps[*]} ${worker[*]}" "${old[*]}"
}
whole() {
    local s=$dir/run/summary.json
    equal "status" "$(text "$s" status)" complete
    equal "steps" "$(number "$s" steps)" "$steps"
    equal "epochs" "$(number "$s" epochs)" $epochs
    equal "impressions" "$(number "$s" impressions)" $((epochs * 24000))
    equal "pushes that were not the first" "$(number "$s" duplicate) $(number "$s" fenced)" "0 0"
    equal "evaluated epochs" \
        "$(grep '"event":"evaluation"' "$dir/run/metrics.jsonl" | grep -o '"epoch":[0-9]*' | sort -u | wc -l)" $epochs
    [ ! -e "$dir/run/journal" ] || die "the journal is still there"
    ! grep -q '"event":"worker_lost"' "$dir/run/metrics.jsonl" || die "a worker was lost"
    grep -vq '^{.*}$' "$dir/run/metrics.jsonl" && die "metrics.jsonl has a torn line"
    ok "$ESMM" inspect "$dir/run"
    says "^step +$steps batches, $((epochs * 24000)) impressions"
    ok "$ESMM" inspect "$dir/run" --verify
}

step "data"
make_data data 24000 3 --shard-impressions 2048
make_data eval 4000 4 --shard-impressions 1024
steps=$((epochs * $("$ESMM" train --data "$dir/data" --out "$dir/one" "${small[@]}" --epochs 1 --batch 64 >/dev/null &&
    number "$dir/one/summary.json" steps)))

step "one death: training pauses for less than two seconds"
start
wait_until 20 "training" trained_more 500
before=$(date +%s%N)
kill_coordinator
at=$(trained)
longest=0 since=$before
while [ $(($(date +%s%N) - before)) -lt 2500000000 ] && kill -0 "$job" 2>/dev/null; do
    now=$(date +%s%N)
    more=$(trained)
    if [ "$more" -gt "$at" ]; then
        at=$more since=$now
    fi
    [ $((now - since)) -le $longest ] || longest=$((now - since))
    sleep 0.01
done
echo "the longest pause: $((longest / 1000000)) ms"
[ $longest -lt 2000000000 ] || die "training paused for $((longest / 1000000)) ms"
ends 0 60
says "coord-0 was killed by signal 9 \(KILL\).*started again"
whole
no_leftovers
rm -rf "$dir/run"

step "three deaths at random moments"
start
for death in 1 2 3; do
    sleep 0.$((RANDOM % 10))
    kill -0 "$job" 2>/dev/null || break
    kill_coordinator
    same_processes
done
ends 0 60
equal "takeovers" "$(grep -c '"event":"coordinator_restarted"' "$dir/run/metrics.jsonl")" 3
whole
no_leftovers

step "a damaged journal is refused, with file and offset"
rm -rf "$dir/run"
start
wait_until 20 "training" trained_more 500
kill -STOP "$coord" # so that no journal takes the place of this one
printf 'x' | dd of="$dir/run/journal" bs=1 seek=100 conv=notrunc 2>/dev/null
kill -9 "$coord"
ends 1 30
says "run/journal: offset 16: a damaged record" "resume the job from its newest checkpoint"
no_leftovers
step "done"
