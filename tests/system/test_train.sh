#!/bin/bash
# The contract of `esmm train` and of what reads its results: the run directory, checkpoints by count
# and time, memory limits, admission, eviction, evaluation that leaves no trace, every optimizer,
# command lines.
. "$(dirname "$0")/lib.sh"
summary() { number "$dir/$1/summary.json" "$2"; }
less() { awk "BEGIN { exit !($1 < $2) }" || die "$3: $1 is not below $2"; }
rows_of() { # of a checkpoint, by inspect
    ok "$ESMM" inspect "$dir/$1" --json
    number "$dir/out" rows | head -n 1
}

step "data"
make_data data 24000 7 --shard-impressions 4096
make_data eval 6000 8

step "the run directory"
train run --servers 2 --workers 2 --eval "$dir/eval" --epochs 2 --trace
for file in config.ini summary.json metrics.jsonl checkpoints/latest/manifest logs/coord-0.log \
    logs/ps-0.log logs/ps-1.log logs/worker-0.log logs/worker-1.log logs/trace-0.tsv; do
    [ -s "$dir/run/$file" ] || die "no $file"
done
equal "status" "$(text "$dir/run/summary.json" status)" complete
equal "impressions" "$(summary run impressions)" 48000
equal "checkpoint" "$(text "$dir/run/summary.json" checkpoint)" "$(newest run)"
equal "steps" "$(summary run steps)" "$(newest_step run)"
equal "lines of the traces" "$(cat "$dir"/run/logs/trace-*.tsv | wc -l)" "$(summary run steps)"
equal "lines with an end" "$(grep -c '"event":"end"' "$dir/run/metrics.jsonl")" 1
equal "evaluations" "$(grep -c '"event":"evaluation"' "$dir/run/metrics.jsonl")" 2
equal "batch" "$(sed -n 's/^batch = //p' "$dir/run/config.ini")" 256

step "the same without evaluation has the same rows"
train plain --servers 1 --workers 1 --epochs 2
equal "rows" "$(number "$dir/plain/summary.json" rows)" "$(number "$dir/run/summary.json" rows)"
rm -rf "$dir/plain"

step "eval and predict create no rows"
rows=$(number "$dir/run/summary.json" rows)
ok "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --json
for key in auc_ctr auc_cvr_clicked auc_ctcvr logloss_ctr pcoc_ctcvr; do
    [ -n "$(number "$dir/out" $key)" ] || die "eval --json has no $key"
done
# The coordinator's evaluation and the program's are of one model.
equal "auc_ctr" "$(number "$dir/out" auc_ctr)" "$(summary run auc_ctr)"
ok "$ESMM" predict --checkpoint "$dir/run" --data "$dir/eval" --out "$dir/p.csv"
equal "lines" "$(wc -l <"$dir/p.csv")" 6001
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { d = $at["p_ctcvr"] - $at["p_ctr"] * $at["p_cvr"]; d = d < 0 ? -d : d
      if (d > 1e-6 * $at["p_ctcvr"] + 1e-12 || $at["p_ctr"] <= 0 || $at["p_ctr"] >= 1) exit 1 }
    ' "$dir/p.csv" || die "p_ctcvr is not p_ctr * p_cvr: $(head -n 3 "$dir/p.csv")"
ok "$ESMM" inspect "$dir/run"
says "^all +$rows "

step "a run directory is used once"
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/run" "${small[@]}"
says "already holds a run" "--resume"

step "nor is a directory of shards or a checkpoint a run directory"
ls -R "$dir/data" "$dir/run/checkpoints/latest/" >"$dir/before"
for out in data run/checkpoints/latest; do
    for resume in "" --resume; do
        expect 1 "$ESMM" train --data "$dir/data" --out "$dir/$out" "${small[@]}" $resume
        says "$dir/$out has a manifest: it holds shards or is a checkpoint"
    done
done
expect 1 "$ESMM" compare --data "$dir/data" --eval "$dir/data" --out "$dir/data" --methods esmm
says "has a manifest"
ls -R "$dir/data" "$dir/run/checkpoints/latest/" | cmp - "$dir/before" || die "something was left there"

step "--max-steps 0 saves the initial state"
train initial --servers 2 --workers 1 --max-steps 0
equal "step" "$(newest_step initial)" 0
ok "$ESMM" eval --checkpoint "$dir/initial" --data "$dir/eval" --json
train initial --servers 1 --workers 1 --max-steps 10 --resume
equal "step" "$(newest_step initial)" 10

step "checkpoints by impressions, the last two kept; none below"
train often --servers 1 --workers 1 --epochs 16 --set checkpoint.every_impressions=8000 \
    --set checkpoint.keep=2
equal "kept" "$(ls -d "$dir"/often/checkpoints/step-* | wc -l)" 2
less 2 "$(summary often checkpoints)" "checkpoints"
step "checkpoints by seconds"
train timed --servers 1 --workers 1 --epochs 60 --checkpoint-every 1s
less 1 "$(summary timed checkpoints)" "checkpoints"

step "memory: refuse, evict"
train memory --servers 1 --workers 1 --memory 300K
less 0 "$(summary memory rows_refused)" "rows_refused"
equal "rows_evicted" "$(summary memory rows_evicted)" 0
equal "impressions" "$(summary memory impressions)" 24000
train evict --servers 1 --workers 1 --memory 300K --set server.memory_policy=evict
less 0 "$(summary evict rows_evicted)" "rows_evicted"
less "$(number "$dir/evict/summary.json" rows)" "$rows" "rows"

step "admission, eviction by age"
train admit --servers 2 --workers 1 --set table.admit_after=3
less "$(number "$dir/admit/summary.json" rows)" "$rows" "rows with admission"
train age --servers 2 --workers 1 --set table.evict_age=20 --epochs 3
less 0 "$(summary age rows_evicted)" "rows_evicted by age"
equal "created less evicted" $(($(summary age rows_created) - $(summary age rows_evicted))) \
    "$(number "$dir/age/summary.json" rows)"

first_loss() { grep -oE '"loss": ?[0-9.]+' "$dir/$1/metrics.jsonl" | head -n 1 | sed 's/.*: *//'; }
trained() { # RUN: the mean loss of its last batches is below that of its first
    awk '{ at = $1 == 0 ? 0 : 1; sum[at] += $5; n[at]++ }
         END { exit !(n[0] > 0 && n[1] > 0 && sum[1] / n[1] < sum[0] / n[0]) }' \
        "$dir/$1"/logs/trace-*.tsv || die "the loss of $1 did not fall"
}
for optimizer in sgd adam adagrad rowwise_adagrad ftrl rmsprop rowwise_rmsprop; do
    step "optimizer $optimizer"
    rate=0.02
    [ $optimizer = sgd ] && rate=0.5
    train opt --servers 1 --workers 1 --epochs 2 --trace --set table.optimizer=$optimizer \
        --set table.lr=$rate
    trained opt
    rm -rf "$dir/opt"
done
step "bf16 on the wire"
train bf16 --servers 2 --workers 2 --epochs 2 --trace --set wire.values=bf16
trained bf16
step "synchronous"
train sync --servers 2 --workers 2 --threads 2 --epochs 2 --trace --set train.consistency=sync
trained sync
equal "steps" "$(summary sync steps)" "$(summary run steps)"
step "dense synchronous, rows pulled ahead"
train hybrid --servers 2 --workers 2 --threads 2 --epochs 2 --trace --set train.consistency=hybrid --set train.in_flight=4
trained hybrid
equal "steps" "$(summary hybrid steps)" "$(summary run steps)"
python3 - "$dir/hybrid/summary.json" <<'END' || die "staleness of the hybrid job"
import json, sys
s = json.load(open(sys.argv[1]))["staleness"]
# 4 trainers: what the others push in the same step is all that a dense vector may be stale by
sys.exit(not (s["dense_max"] <= 3 and s["mean"] > s["dense_mean"]))
END

step "many trainers and few batches"
ok "$ESMM" train --data "$dir/data" --out "$dir/many" "${small[@]}" --workers 2 --threads 4 --max-steps 20
says "in 20 batches of [0-9]+, each is computed with parameters about 7 batches old"
step "levels of experts, and not another number of them on a resume"
ple=(--set model.name=ple --set model.experts=2)
train levels --servers 2 --workers 2 --epochs 2 --trace "${ple[@]}" --set model.levels=2
trained levels
ok "$ESMM" eval --checkpoint "$dir/levels" --data "$dir/eval" --json
less 0.55 "$(number "$dir/out" auc_ctr)" "auc_ctr of ple with two levels"
for levels in 1 3; do
    expect 1 "$ESMM" train --data "$dir/data" --out "$dir/levels" "${small[@]}" --servers 2 \
        --epochs 3 --resume "${ple[@]}" --set model.levels=$levels
    says "cannot resume .* model\.levels was 2 and is $levels now"
done
train levels --servers 1 --workers 1 --epochs 3 --resume "${ple[@]}" --set model.levels=2

step "command lines"
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/x" --set model.levels=2
says "model\.levels \(2\) .* model\.name = ple alone"
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/x" --set table.dmi=4
says "table\.dmi" "table\.dim"
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/x" --set table.dim=0
says "table\.dim is '0'"
printf '[table]\ndim = 4\nlr = fast\n' >"$dir/bad.ini"
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/x" --conf "$dir/bad.ini"
says "bad\.ini:3" "table\.lr is 'fast'"
expect 1 "$ESMM" train --data "$dir/nowhere" --out "$dir/x"
says "$dir/nowhere"
[ ! -e "$dir/x" ] || die "a command line that was refused left $dir/x"
for command in train coord ps worker prep synth eval compare predict inspect export; do
    ok "$ESMM" $command --help
    says "^usage: esmm $command"
    expect 2 "$ESMM" $command --no-such-option
    says "--no-such-option"
done
expect 2 "$ESMM" trian
expect 2 "$ESMM"
ok "$ESMM" config
ok "$ESMM" --version
no_leftovers
step "done"
