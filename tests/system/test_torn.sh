#!/bin/bash
# Damaged files are never loaded: a checkpoint or shard that is cut short, has a flipped bit or lacks a
# file is refused by everything that reads it, with file and offset, and found by inspect --verify. A
# full disk while saving costs that checkpoint only.
. "$(dirname "$0")/lib.sh"

flip() { # FILE OFFSET: changes one bit
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    printf "\\$(printf %03o $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
bytes() { stat -c %s "$1"; }

step "data, and a checkpoint of two parts"
make_data data 20000 4 --shard-impressions 8192
train good --servers 2 --workers 1 --max-steps 40
name=$(basename "$(newest good)")
ok "$ESMM" inspect "$dir/good" --verify
files="manifest part-00000-of-00002.bin part-00001-of-00002.bin"
for file in $files; do
    [ -f "$dir/good/checkpoints/$name/$file" ] || die "no $file in $name"
done

# refused FILE [PATTERN]: what reads $dir/bad ends with 1, naming the file (and what the pattern says).
refused() {
    local offset=${2:-offset [0-9]+|bytes|cannot open|No such file}
    expect 1 "$ESMM" inspect "$dir/bad" --verify
    says "$1" "$offset"
    expect 1 "$ESMM" eval --checkpoint "$dir/bad/checkpoints/$name" --data "$dir/data"
    says "$1" "$offset"
    [ -n "${quick:-}" ] && return
    expect 1 "$ESMM" train --data "$dir/data" --out "$dir/bad" "${small[@]}" "${prompt[@]}" \
        --servers 2 --workers 1 --resume
    says "$1" "$offset"
    no_leftovers
}
for file in $files; do
    path=$dir/bad/checkpoints/$name/$file
    size=$(bytes "$dir/good/checkpoints/$name/$file")
    step "$file cut short"
    for cut in 0 $((size / 3)) $((size - 1)); do
        rm -rf "$dir/bad" && cp -r "$dir/good" "$dir/bad"
        truncate -s "$cut" "$path"
        quick=1 refused "$file"
    done
    step "a flipped bit in $file"
    for at in 0 9 $((size / 4)) $((size / 2)) $((size * 3 / 4)) $((size - 20)) $((size - 1)); do
        rm -rf "$dir/bad" && cp -r "$dir/good" "$dir/bad"
        flip "$path" "$at"
        quick=1 refused "$file"
    done
    refused "$file"
done
step "a part that is missing"
rm -rf "$dir/bad" && cp -r "$dir/good" "$dir/bad"
rm "$dir/bad/checkpoints/$name/part-00001-of-00002.bin"
refused part-00001-of-00002.bin

step "without its manifest it is not a checkpoint, with .tmp it is not one"
train two --servers 2 --workers 1 --max-steps 20
older=$(basename "$(newest two)")
cp -r "$dir/good/checkpoints/$name" "$dir/two/checkpoints/$name.tmp"
cp -r "$dir/good/checkpoints/$name" "$dir/two/checkpoints/step-cut-000009.tmp"
ok "$ESMM" inspect "$dir/two"
says "$older"
ok "$ESMM" eval --checkpoint "$dir/two" --data "$dir/data" --json
equal "step" "$(number "$dir/out" step)" 20
expect 1 "$ESMM" eval --checkpoint "$dir/two/checkpoints/$name.tmp" --data "$dir/data"
train two --servers 2 --workers 1 --max-steps 40 --resume
equal "steps restored" "$(number "$dir/two/summary.json" steps_restored)" 20
equal "left over" "$(ls "$dir/two/checkpoints" | grep -c '\.tmp$')" 0
ok "$ESMM" inspect "$dir/two" --diff "$dir/good" --json

step "a damaged newest checkpoint: the job goes on from the one before, and says so"
for harm in manifest cut gone; do
    rm -rf "$dir/bad" && cp -r "$dir/two" "$dir/bad"
    path=$dir/bad/checkpoints/step-000000000040
    case $harm in
    manifest) flip "$path/manifest" 100 ;;
    cut) truncate -s 1000 "$path/part-00000-of-00002.bin" ;;
    gone) rm "$path/part-00001-of-00002.bin" ;;
    esac
    train bad --servers 2 --workers 1 --max-steps 50 --resume
    says "warning: .*/step-000000000040 is damaged and passed over for that of step 20 \([0-9]+ (impressions|batches) between"
    equal "steps restored" "$(number "$dir/bad/summary.json" steps_restored)" 20
    equal "passed over" "$(number "$dir/bad/summary.json" checkpoints_damaged)" 1
    grep -q '"event":"checkpoint_damaged"' "$dir/bad/metrics.jsonl" || die "no event"
    equal "checkpoints" "$(cd "$dir/bad/checkpoints" && echo step-*)" "step-000000000020 step-000000000050"
done

step "damaged shards"
shard=shard-00001.bin
size=$(bytes "$dir/data/$shard")
for at in 0 $((size / 3)) $((size / 2)) $((size - 5)) cut gone; do
    rm -rf "$dir/torn" && cp -r "$dir/data" "$dir/torn"
    case $at in
    cut) truncate -s $((size / 2)) "$dir/torn/$shard" ;;
    gone) rm "$dir/torn/$shard" ;;
    *) flip "$dir/torn/$shard" "$at" ;;
    esac
    expect 1 "$ESMM" inspect "$dir/torn" --verify
    says "$shard" "offset [0-9]+|bytes|cannot open"
    expect 1 "$ESMM" eval --checkpoint "$dir/good" --data "$dir/torn"
    says "$shard" "offset [0-9]+|bytes|cannot open"
done
rm -rf "$dir/torn" && cp -r "$dir/data" "$dir/torn"
flip "$dir/torn/$shard" $((size / 2))
expect 1 "$ESMM" train --data "$dir/torn" --out "$dir/torn.run" "${small[@]}" "${prompt[@]}"
says "$dir/torn/$shard" "offset [0-9]+"
no_leftovers
truncate -s 100 "$dir/torn/manifest"
expect 1 "$ESMM" train --data "$dir/torn" --out "$dir/torn.run2" "${small[@]}" "${prompt[@]}"
says "$dir/torn/manifest"

step "a full disk"
mkdir "$dir/full"
if [ "$(id -u)" != 0 ] || ! mount -t tmpfs -o size=3m tmpfs "$dir/full" 2>/dev/null; then
    echo "        (needs root and mount: left out)"
    exit 0
fi
trap 'umount "$dir/full" 2>/dev/null; cleanup' EXIT
train_start full/run --servers 2 --workers 2 --epochs 40 --set checkpoint.every_impressions=5000
wait_until 20 "a checkpoint" has_checkpoint full/run
dd if=/dev/zero of="$dir/full/ballast" bs=4096 2>/dev/null
sleep 1 # dozens of checkpoints fail; what is said of them may not get through
kill -0 "$job" 2>/dev/null || die "the job has ended"
step "training goes on, and the next checkpoint succeeds when there is room again"
rm "$dir/full/ballast"
ends 0 60
equal "status" "$(text "$dir/full/run/summary.json" status)" complete
[ "$(number "$dir/full/run/summary.json" checkpoints_failed)" -ge 1 ] || die "no checkpoint failed"
grep -vc '^{.*}$' "$dir/full/run/metrics.jsonl" >"$dir/out" && die "half a line in metrics.jsonl"
equal "left over" "$(ls "$dir/full/run/checkpoints" | grep -c '\.tmp$')" 0
for checkpoint in "$dir"/full/run/checkpoints/step-*; do
    ok "$ESMM" inspect "$checkpoint" --verify
done
step "done"
