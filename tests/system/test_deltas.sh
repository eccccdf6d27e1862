#!/bin/bash
# Checkpoints that are deltas (checkpoint.full_every = 4) hold what full ones hold, at each step, and are
# read as one checkpoint by every command; a job that was killed among them and goes on, on another
# number of servers too, has the same ones. What a chain needs stays; what is missing is named.
[ -w /dev/shm ] && TMPDIR=/dev/shm # each part is synced
. "$(dirname "$0")/lib.sh"
plan=(--deterministic --epochs 2 --set train.shuffle=true --set checkpoint.every_impressions=4000
    --set checkpoint.keep=50)
gone=(--set table.evict_age=40 --set table.admit_after=2)
deltas=(--set checkpoint.full_every=4)

# Full checkpoints of a run are $1, with what they hold in $1.dump/STEP.
states() {
    local at
    for at in "$dir/$1"/checkpoints/step-*; do
        dump "$1/checkpoints/${at##*/}" "$1.dump.${at##*/}"
        sed -i '/^full_every/d' "$dir/$1.dump.${at##*/}/config.ini"
    done
}
same_states() {
    local at
    for at in "$dir/full"/checkpoints/step-*; do
        same_tree "$dir/full.dump.${at##*/}" "$dir/$1.dump.${at##*/}"
    done
}
has_steps() {
    [ "$(ls -d "$dir/$1"/checkpoints/step-*[0-9] | wc -l)" -ge "$2" ]
}

step "full checkpoints, and deltas"
make_data data 16000 3 --shard-impressions 1024
train full --servers 2 --workers 1 "${plan[@]}" "${gone[@]}"
train first --servers 2 --workers 1 "${plan[@]}" "${deltas[@]}" "${gone[@]}"
states full
states first
same_states first
# How many others each is made against: a full one comes early where rows are still new.
depths() {
    local at
    for at in "$dir/$1"/checkpoints/step-*; do
        "$ESMM" inspect "$at" --json >"$dir/json" || die "inspect $at"
        sed 's/.*"bases": *\[\([^]]*\)\].*/\1/' "$dir/json" | grep -o 'step-' | wc -l
    done
}
depths=$(echo $(depths first))
case $depths in
0\ 1*\ 1\ 2\ *0) ;;
*) die "deltas since a full one at each checkpoint: $depths" ;;
esac

step "every command reads a chain"
steps=($(ls "$dir/first/checkpoints" | grep -v latest))
at=0
for depth in $depths; do
    [ "$depth" = 2 ] && break
    at=$((at + 1))
done
middle=${steps[at]}
below=${steps[at - 1]}
ok "$ESMM" inspect "$dir/first/checkpoints/$middle"
says "^a delta to +.*step-0"
ok "$ESMM" inspect "$dir/first/checkpoints/$middle" --verify
says "^whole .*, with all of its bases"
ok "$ESMM" inspect "$dir/first/checkpoints/$middle" --diff "$dir/full/checkpoints/$middle"
says "^equal"
for run in full first; do
    ok "$ESMM" eval --checkpoint "$dir/$run/checkpoints/$middle" --data "$dir/data"
    grep -v checkpoint "$dir/out" >"$dir/$run.eval"
    ok "$ESMM" predict --checkpoint "$dir/$run/checkpoints/$middle" --data "$dir/data" --out "$dir/$run.csv"
    ok "$ESMM" inspect "$dir/$run/checkpoints/$middle" --top 20 --json
    grep -v '"checkpoint"' "$dir/out" >"$dir/$run.top"
done
cmp -s "$dir/full.csv" "$dir/first.csv" || die "predictions differ"
cmp -s "$dir/full.top" "$dir/first.top" || die "inspect --top differs"

# killed OUT SERVERS options...: killed once three checkpoints are there, and resumed on so many servers.
killed() {
    local out=$1 servers=$2
    shift 2
    train_start "$out" --servers 2 --workers 1 "${plan[@]}" "${deltas[@]}" "$@"
    find_roles 1 2
    wait_until 20 "three checkpoints" has_steps "$out" 3
    kill -9 "$job" "$coord" "${ps[@]}" "${worker[@]}"
    ends 137 5
    rm -rf "${TMPDIR:?}"/*
    train "$out" --servers "$servers" --workers 1 --resume "${plan[@]}" "${deltas[@]}" "$@"
}
step "killed among deltas, and resumed on 3 servers: the same states"
killed cut 3 "${gone[@]}"
states cut
same_states cut

step "resumed on as many servers: the same bytes"
train plain --servers 2 --workers 1 "${plan[@]}" "${deltas[@]}"
killed again 2
for part in "$dir"/plain/checkpoints/step-*/part-*; do
    cmp -s "$part" "$dir/again/${part#"$dir/plain/"}" || die "${part#"$dir/"} has other bytes after a resume"
done

step "checkpoint.keep = 1 keeps what the newest needs"
train kept --servers 1 --workers 1 "${plan[@]}" "${deltas[@]}" --set checkpoint.keep=1 --max-steps 60
ok "$ESMM" inspect "$dir/kept" --verify

step "a link that is missing, or damaged, is named"
base=$dir/first/checkpoints/$below
mv "$base" "$dir/aside"
expect 1 "$ESMM" inspect "$dir/first/checkpoints/$middle" --verify
says "${base##*/}" "cannot be read"
expect 1 "$ESMM" export "$dir/first/checkpoints/$middle" --out "$dir/none"
says "${base##*/}/manifest"
mv "$dir/aside" "$base"
part=$(ls "$base"/part-* | tail -n 1)
size=$(stat -c %s "$part")
printf 'x' | dd of="$part" bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 1 "$ESMM" inspect "$dir/first/checkpoints/$middle" --verify
says "${part##*/}.*offset"
step "done"
