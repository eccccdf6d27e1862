#!/bin/bash
# Rows of fewer bits (table.state, table.weights): a deterministic job has the same bytes on any number of
# servers, repeated and resumed; a job goes on with other kinds of cells; checkpoints are looked into,
# compared and exported; and the model ranks as well as that of f32.
. "$(dirname "$0")/lib.sh"
low=(--set table.state=u8 --set table.weights=bf16 --set field.205.state=bf16)
plan=(--deterministic --epochs 2)

# auc OF: of ctr, by an evaluation on the held-out shards.
auc() {
    ok "$ESMM" eval --checkpoint "$dir/$1" --data "$dir/held" --bootstrap 0 --json
    number "$dir/out" auc_ctr
}

step "data"
ok "$ESMM" synth --impressions 24000 --holdout 12000 --seed 3 --users 1500 --items 3000 --ctr 0.1 --cvr 0.1 --out "$dir/raw"
for part in train:data eval:held; do
    raw=$dir/raw/${part%:*}
    ok "$ESMM" prep --format aliccp --skeleton "$raw/sample_skeleton.csv" --common "$raw/common_features.csv" \
        --out "$dir/${part#*:}" --shard-impressions 2048
done

step "settings that exclude each other"
expect 1 "$ESMM" train "${train_on[@]}" --out "$dir/refused" --set table.optimizer=ftrl --set table.state=u8
says "table: optimizer = ftrl excludes state = u8, .*expected state = bf16 or f32"
expect 1 "$ESMM" train "${train_on[@]}" --out "$dir/refused" --set table.weights=u8
says "table.weights.*u8.*f32"

step "deterministic: 1 server, repeated, and 4 servers with 2 workers"
train first --servers 1 --workers 1 "${plan[@]}" "${low[@]}"
dump first first.dump
npy first first.npy
for shape in "1 1" "4 2"; do
    set -- $shape
    train shape --servers "$1" --workers "$2" "${plan[@]}" "${low[@]}"
    dump shape shape.dump
    same_tree "$dir/first.dump" "$dir/shape.dump"
    rm -rf "$dir/shape" "$dir/shape.dump"
done

step "stopped after the first epoch and resumed on another number of servers"
steps=$(number "$dir/first/summary.json" steps)
train cut --servers 2 --workers 1 "${plan[@]}" "${low[@]}" --max-steps $((steps / 2))
train cut --servers 3 --workers 1 --resume "${plan[@]}" "${low[@]}"
dump cut cut.dump
sed -i '/^max_steps/d' "$dir/first.dump/config.ini" "$dir/cut.dump/config.ini"
same_tree "$dir/first.dump" "$dir/cut.dump"

step "inspect tells the kinds, and the checkpoint is whole"
ok "$ESMM" inspect "$dir/first" --verify
ok "$ESMM" inspect "$dir/first"
says "weights bf16, state u8, [0-9]+ bytes a row" "weights bf16, state bf16, [0-9]+ bytes a row"

step "f32: ranks alike; the two are compared"
train plain --servers 1 --workers 1 "${plan[@]}"
a=$(auc plain)
b=$(auc first)
awk "BEGIN { exit !($a > 0.55 && $b > $a - 0.01 && $b < $a + 0.01) }" || die "AUC is $b, of f32 $a"
expect 0 "$ESMM" inspect "$dir/plain" --diff "$dir/first"
says "state of other cells, not compared" "^different"
expect 0 "$ESMM" inspect "$dir/first" --diff "$dir/cut"
says "^equal"

step "a job of f32 goes on with fewer bits, and back"
train plain --servers 2 --workers 1 --resume --epochs 3 "${low[@]}"
says_kinds="weights bf16, state u8"
ok "$ESMM" inspect "$dir/plain"
says "$says_kinds"
train plain --servers 1 --workers 1 --resume --epochs 4
ok "$ESMM" inspect "$dir/plain"
grep -q "bf16" "$dir/out" && die "still of few bits"
c=$(auc plain)
awk "BEGIN { exit !($c > $a - 0.02) }" || die "AUC is $c after four epochs, $a after two"

step "exports: f32 for other programs, the cells as they are in a dump"
head -c 200 "$dir/first.npy/205/emb.npy" | grep -aq "'descr': '<f4'" || die "emb.npy is not of f32"
head -c 200 "$dir/first.dump/101/rows.npy" | grep -aq "('w', '<u2', (4,)), ('scale0', 'u1'), ('code0', 'u1', (4,)), ('scale1'" ||
    die "rows.npy of the dump does not hold the cells"
head -c 200 "$dir/first.dump/205/rows.npy" | grep -aq "('w', '<u2', (4,)), ('state', '<u2', (8,))" ||
    die "rows.npy of the dump does not hold the cells of bf16"
step "done"
