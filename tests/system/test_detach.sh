#!/bin/bash
# esmm train --detach and esmm attach: a job in the background is found again, shown, stopped, and
# its exit code is told, also when another process has its number by then.
. "$(dirname "$0")/lib.sh"
detach() { # OUT options...
    "$ESMM" train --detach "${train_on[@]}" --out "$dir/$1" "${small[@]}" "${prompt[@]}" "${@:2}"
}
pid_of() { sed -n 's/^process //p' "$dir/$1/launcher"; }

step "data"
make_data data 8000 5 --shard-impressions 1000

step "it returns once the job trains, which goes on"
ok detach run --epochs 100000 --set checkpoint.every_impressions=5000
says "^training on 8000 impressions|^the job trains in the background: process $(pid_of run) on " "esmm attach $dir/run shows it"
grep -q '"step":[1-9]' "$dir/run/metrics.jsonl" || wait_until 3 "training" grep -q '"step":[1-9]' "$dir/run/metrics.jsonl"
kill -0 "$(pid_of run)" || die "it does not go on"
grep -q "^state training$" "$dir/run/launcher" || die "the note: $(cat "$dir/run/launcher")"

step "a second job in its place is refused, and leaves note and log alone"
cp "$dir/run/launcher" "$dir/note"
expect 1 detach run --epochs 1
says "$dir/run .*process"
cmp "$dir/note" "$dir/run/launcher" || die "the note has changed"
grep -q "is being written by" "$dir/run/logs/train.log" && die "the refusal is in the job's log"

step "Ctrl-C in attach leaves the job alone"
"$ESMM" attach "$dir/run" >"$dir/out" 2>&1 </dev/null &
job=$!
wait_until 10 "its progress" grep -Eq "^epoch [0-9]+/100000 .* impressions" "$dir/out"
kill -INT "$job"
ends 130 5
says "^job in $dir/run: process $(pid_of run) on " "the job goes on; esmm attach $dir/run --stop ends it"
kill -0 "$(pid_of run)" || die "the job has ended, too"

step "--stop saves and ends it, with the job's exit code"
expect 143 "$ESMM" attach "$dir/run" --stop
says "^stopping: saving a checkpoint first" "^checkpoint: $dir/run/checkpoints/step-[0-9]+"
equal "status" "$(text "$dir/run/summary.json" status)" stopped
no_leftovers

step "attach after the end: the same exit code; its number is another's by now"
expect 143 "$ESMM" attach "$dir/run"
sed -i "s/^process .*/process $$/" "$dir/run/launcher"
expect 143 "$ESMM" attach "$dir/run" --stop
sed -i "s/^state ended/state training/" "$dir/run/launcher"
expect 1 "$ESMM" attach "$dir/run" --stop # nobody is signalled: this test goes on
says "process $$, which ran the job, is gone without a word: it was killed" "newest checkpoint so far: $dir/run/checkpoints/step-" \
    "continue with --resume"

step "a job that ends while somebody watches"
ok detach short --epochs 20
expect 0 "$ESMM" attach "$dir/short"
says "^trained 160000 impressions in " "^summary: "
no_leftovers

step "kill -9 of the process in the background: said, saved, nobody left"
ok detach killed --epochs 100000 --set checkpoint.every_impressions=5000
wait_until 20 "a checkpoint" has_checkpoint killed
at=$(newest_step killed)
"$ESMM" attach "$dir/killed" >"$dir/out" 2>&1 </dev/null &
job=$!
wait_until 10 "its beginning" grep -q "^job in " "$dir/out"
kill -9 "$(pid_of killed)"
ends 1 5
says "is gone without a word"
no_leftovers 20
[ "$(newest_step killed)" -gt "$at" ] || die "nothing was saved"

step "what is wrong is told where the job was started"
expect 2 detach wrong --servers x
expect 1 detach wrong --set train.batsh=1
expect 1 "$ESMM" train --detach --data "$dir/none" --out "$dir/wrong"
says "$dir/none"
expect 1 "$ESMM" attach "$dir/wrong"
says "has no job that runs, and none that ran in the background"

step "across machines, too"
hosts_here
ok "$ESMM" train "${here[@]}" --detach "${train_on[@]}" --out "$dir/far" "${small[@]}" "${prompt[@]}" --epochs 100000
says "^the job trains in the background: process $(pid_of far) on "
expect 143 "$ESMM" attach "$dir/far" --stop
says "\[localhost coord-0\]" "^esmm train: stopped; continue with --resume$"
no_leftovers 5
step "done"
