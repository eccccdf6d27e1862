#!/bin/bash
# --deterministic: one job has one result, byte for byte: run twice, on one to three servers, with one
# or two workers and more threads, and stopped or killed in the middle and resumed on another number.
. "$(dirname "$0")/lib.sh"
# Dropout too: its masks must not depend on who computes a batch, or when.
plan=(--deterministic --epochs 2 --set train.shuffle=true --set model.dropout=0.25 --set checkpoint.every_impressions=4000)

# The whole state of a run, and what other programs are given, are those of the first one.
compare() {
    npy "$1" "$1.npy"
    dump "$1" "$1.dump"
    same_tree "$dir/first.npy" "$dir/$1.npy"
    same_tree "$dir/first.dump" "$dir/$1.dump"
    rm -rf "$dir/$1.npy" "$dir/$1.dump" "$dir/$1"
}

step "data: a dozen shards, shuffled, 2 epochs"
make_data data 24000 3 --shard-impressions 2048

step "the first run: 1 server, 1 worker"
train first --servers 1 --workers 1 "${plan[@]}"
npy first first.npy
dump first first.dump
steps=$(number "$dir/first/summary.json" steps)
equal "impressions" "$(number "$dir/first/summary.json" impressions)" 48000
equal "pushes" "$(number "$dir/first/summary.json" batches)" "$steps"

for shape in "1 1" "2 2" "3 1"; do
    set -- $shape
    step "$1 servers, $2 workers"
    train shape --servers "$1" --workers "$2" "${plan[@]}"
    compare shape
done

# All but the configuration is the first one's.
sed -i '/"config"/d' "$dir/first.npy/manifest.json"
for way in "--threads 2 --set server.threads=2" "--set train.consistency=sync" "--set train.consistency=hybrid"; do
    step "2 servers, $way"
    # shellcheck disable=SC2086  # several words
    train way --servers 2 --workers 1 $way "${plan[@]}"
    npy way way.npy
    sed -i '/"config"/d' "$dir/way.npy/manifest.json"
    same_tree "$dir/first.npy" "$dir/way.npy"
    rm -rf "$dir/way" "$dir/way.npy"
done
rm -rf "$dir/first.npy"
npy first first.npy

# interrupt HOW CODE: the job meets its end after the first checkpoint, and is continued.
interrupt() {
    local how=$1 code=$2 at victim
    step "$how in the middle, then --resume on 3 servers and 1 worker"
    train_start cut --servers 2 --workers 2 "${plan[@]}"
    find_roles 2 2
    case $how in
    "SIGKILL of everything") victim="-9 $job $coord ${ps[*]} ${worker[*]}" ;;
    SIGTERM) victim="-TERM $job" ;;
    esac
    wait_until 20 "the first checkpoint" has_checkpoint cut
    kill $victim
    ends "$code" 30
    [ "$code" = 137 ] && rm -rf "${TMPDIR:?}"/* # nobody was left to remove it
    no_leftovers 5
    at=$(newest_step cut)
    [ "$at" -lt "$steps" ] || die "the job had finished before it was stopped"
    train cut --servers 3 --workers 1 --resume "${plan[@]}"
    equal "steps" "$(number "$dir/cut/summary.json" steps)" "$steps"
    equal "pushes" "$(number "$dir/cut/summary.json" batches)" $((steps - at))
    compare cut
}

step "SIGKILL of the coordinator in the middle: it is started again, and nothing differs"
train_start lone --servers 2 --workers 2 "${plan[@]}"
find_roles 2 2
wait_until 20 "the first checkpoint" has_checkpoint lone
kill -9 "$coord"
ends 0 60
equal "steps" "$(number "$dir/lone/summary.json" steps)" "$steps"
compare lone

interrupt "SIGKILL of everything" 137
interrupt SIGTERM 143
step "done"
