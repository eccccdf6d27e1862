#!/usr/bin/env bash
# train.share_bags: user fields of many values are pulled, pooled and pushed once per group and range of
# batches. Every row has exactly the updates that it has in an undisturbed job, whatever dies in the middle
# of a range; a deterministic job has one result.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
shared=(--batch 64 --epochs 6 --set train.window=8000 --set train.run=2 --set train.share_bags=always)

# What was updated how often: table, rows, updates.
updates() { # RUN
    ok "$ESMM" inspect "$dir/$1"
    awk '$2 == "user" || $2 == "item" { print $1, $5, $7 }' "$dir/out"
}
# The run in $dir/run has every batch once, and the updates of the undisturbed one.
whole() {
    equal "steps" "$(number "$dir/run/summary.json" steps)" "$steps"
    ok "$ESMM" inspect "$dir/run"
    says "^step +$steps batches, 144000 impressions" "^cursor +6 epochs complete, then 0 of"
    updates run >"$dir/updates"
    cmp -s "$dir/want" "$dir/updates" || die "updates differ: $(diff "$dir/want" "$dir/updates" | head -n 4)"
    rm -rf "$dir/run"
}

step "data: a dozen shards; a job that nobody disturbs"
make_data data 24000 3 --shard-impressions 2048
train run --servers 1 --workers 1 "${shared[@]}" --set train.share_bags=never
plain_steps=$(number "$dir/run/summary.json" steps)
updates run >"$dir/plain"
rm -rf "$dir/run"
train run --servers 1 --workers 1 --threads 2 --set train.in_flight=1 "${shared[@]}" --trace
steps=$(number "$dir/run/summary.json" steps)
equal "steps" "$steps" "$plain_steps"
updates run >"$dir/want"
fields=$(sed -n 's/.*train.share_bags: field \([^ ]*\) is .*/\1/p' "$dir/run/logs/coord-0.log")
[ -n "$fields" ] || die "no field is shared"
equal "rows corrected by their own updates" "$(grep -c '^bias_correction = row' "$dir/run/config.ini")" "$(wc -w <<<$fields)"

step "shared fields have fewer updates, all others as many as without"
while read -r table rows count; do
    read -r _ plain_rows plain_count < <(grep "^$table " "$dir/plain")
    equal "rows of $table" "$rows" "$plain_rows"
    if grep -qx "$table" <<<"$fields"; then
        [ $((2 * count)) -lt "$plain_count" ] || die "$table: $count updates, without sharing $plain_count"
    fi
done <"$dir/want"

step "the trace has each impression once an epoch, and the batches of a range in order"
cat "$dir/run"/logs/trace-*.tsv >"$dir/trace"
for epoch in 0 1 2 3 4 5; do
    awk -F '\t' -v e=$epoch '$1 == e { print $8 }' "$dir/trace" | tr ',' '\n' | sort -n | uniq >"$dir/ids"
    equal "impressions of epoch $epoch" "$(wc -l <"$dir/ids")" 24000
done
awk -F '\t' '{ k = $1 " " $2; if ($3 != n[k] + 0) { exit 1 } n[k] = $3 + 1 }' "$dir/trace" ||
    die "batches of a range are not in order"

step "a shared field's rows have one update for each range whose groups hold them, by the raw log"
for field in $fields; do
    log=$dir/data.raw/train
    count=$(awk -v field="$field" '
        FILENAME ~ /common/ { n = split($3, f, "\001")
            for (i = 1; i <= n; i++) { split(f[i], x, "[\002\003]"); if (x[1] == field) { values[$1] = values[$1] " " x[2] } } }
        FILENAME ~ /skeleton/ { group[$1] = $4 }
        FILENAME ~ /trace/ { split($0, t, "\t"); n = split(t[8], id, ",")
            for (i = 1; i <= n; i++) {
                g = group[id[i]]
                if (!((t[1], t[2], g) in seen)) {
                    seen[t[1], t[2], g]
                    m = split(values[g], v, " ")
                    for (j = 1; j <= m; j++) { if (!((t[1], t[2], v[j]) in row)) { row[t[1], t[2], v[j]]; count++ } }
                }
            } }
        END { print count + 0 }' FS=, "$log/common_features.csv" "$log/sample_skeleton.csv" "$dir/trace")
    equal "updates of $field" "$(awk -v f="$field" '$1 == f { print $3 }' "$dir/want")" "$count"
done
rm -rf "$dir/run"

for way in "--workers 2" "--workers 1 --threads 3" "--workers 2 --threads 2 --set train.in_flight=3" \
    "--workers 2 --set train.consistency=sync" "--workers 2 --threads 2 --set train.consistency=hybrid"; do
    step "2 servers, $way"
    # shellcheck disable=SC2086  # several words
    train run --servers 2 $way "${shared[@]}"
    whole
done

long=(--servers 2 --workers 2 --threads 2 "${shared[@]}" --set checkpoint.every_impressions=3000)
step "kill -9 of a worker in the middle of a range: another takes its place"
train_start run "${long[@]}"
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${worker[1]}"
ends 0 60
says "worker-1 was killed by signal 9" "started again"
whole
no_leftovers

step "a worker hangs in the middle of a range: the other gets its leases"
train_start run "${long[@]}" --set net.lease_ms=500
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -STOP "${worker[1]}"
ends 0 60
whole
no_leftovers

step "kill -9 of everything; resumed in the middle of ranges, which are repeated"
mid_epoch() { [ $(($(newest_step run) % (steps / 6))) -gt 0 ]; } # at an epoch's end no range is open
for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
    train_start run "${long[@]}"
    find_roles 2 2
    wait_until 20 "a checkpoint" has_checkpoint run
    for ((poll = 0; poll < 20; poll++)); do
        mid_epoch && break
        sleep 0.01
    done
    kill -9 "$job" "$coord" "${ps[@]}" "${worker[@]}"
    ends 137 30
    rm -rf "${TMPDIR:?}"/* # nobody was left to remove it
    at=$(newest_step run)
    mid_epoch && break
    rm -rf "$dir/run"
done
[ -d "$dir/run" ] || die "no checkpoint in the midst of an epoch in $try jobs"
train run "${long[@]}" --resume
pushes=$(number "$dir/run/summary.json" batches)
[ "$pushes" -gt $((steps - at)) ] || die "$pushes batches after step $at of $steps: none was repeated"
whole
no_leftovers

step "--max-steps ends with a range; the rest can follow"
train run --servers 1 --workers 1 "${shared[@]}" --max-steps 30
at=$(number "$dir/run/summary.json" steps)
[ "$at" -gt 30 ] && [ "$at" -lt 62 ] || die "--max-steps 30 trained $at batches"
grep -q "train.max_steps=30: $at batches" "$dir/run/logs/coord-0.log" || die "the log does not say so"
expect 1 "$ESMM" train "${train_on[@]}" --out "$dir/run" "${small[@]}" "${prompt[@]}" --servers 1 \
    --workers 1 "${shared[@]}" --set train.share_bags=never --resume
says "train.share_bags was always, now never"
train run --servers 1 --workers 1 "${shared[@]}" --resume
whole

step "deterministic: one result, also on other servers, and if one is killed"
same=("${shared[@]}" --deterministic --set checkpoint.every_impressions=4000 --set model.dropout=0.25)
train first --servers 1 --workers 1 "${same[@]}"
updates first >"$dir/updates"
cmp -s "$dir/want" "$dir/updates" || die "updates differ: $(diff "$dir/want" "$dir/updates" | head -n 4)"
npy first first.npy
dump first first.dump
train run --servers 2 --workers 2 "${same[@]}"
npy run run.npy
dump run run.dump
same_tree "$dir/first.npy" "$dir/run.npy"
same_tree "$dir/first.dump" "$dir/run.dump"
rm -rf "$dir"/run*
train_start run --servers 2 --workers 2 "${same[@]}"
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint run
kill -9 "${ps[1]}"
ends 0 60
equal "rollbacks" "$(number "$dir/run/summary.json" rollbacks)" 1
dump run run.dump
same_tree "$dir/first.dump" "$dir/run.dump"
no_leftovers

step "a stream is read in order: nothing is shared"
cp -r "$dir/data" "$dir/stream"
touch "$dir/stream/end"
train_on=(--stream "$dir/stream")
train followed --servers 1 --workers 1 "${shared[@]:0:2}" "${shared[@]:4}" # without --epochs
grep -q "train.share_bags=always: nothing is shared" "$dir/followed/logs/coord-0.log" || die "the log does not say so"
grep -q "bias_correction = row" "$dir/followed/config.ini" && die "rows are corrected as if they were shared"
step "done"
