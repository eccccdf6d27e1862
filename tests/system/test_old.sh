#!/bin/bash
# Shards and checkpoints of every version since the first: checked, evaluated, exported, trained on and resumed from.
. "$(dirname "$0")/lib.sh"
old=$REPO/tests/golden/old

# resumes FROM STEP: a run that goes on from that checkpoint.
resumes() {
    mkdir -p "$dir/$1/checkpoints"
    cp -r "$old/$1/checkpoint" "$dir/$1/checkpoints/step-$(printf %012d "$2")"
}
for name in first stream last bits delta; do
    step "$name: shards and checkpoint are whole, evaluated and exported"
    ok "$ESMM" inspect "$old/$name/shards" --verify
    ok "$ESMM" inspect "$old/$name/checkpoint" --verify
    ok "$ESMM" eval --checkpoint "$old/$name/checkpoint" --data "$old/$name/shards" --bootstrap 0
    ok "$ESMM" export "$old/$name/checkpoint" --out "$dir/$name.npy"
    ok "$ESMM" inspect "$old/$name/checkpoint" --key item:1
done

same_job=(--batch 8 --set model.tower=4 --set table.dim=2 "${prompt[@]}")
for name in first last; do
    step "$name: a job resumes"
    resumes "$name" 18
    ok "$ESMM" train --data "$old/$name/shards" --out "$dir/$name" --resume --epochs 4 "${same_job[@]}" --set table.admit_after=2
    equal "its step" "$(newest_step "$name")" 24
done
step "bits: a job resumes, in fewer bits or in f32"
for kinds in "table.state=u8 --set table.weights=bf16" table.state=f32; do
    rm -rf "$dir/bits"
    resumes bits 18
    # shellcheck disable=SC2086 # two words each
    ok "$ESMM" train --data "$old/bits/shards" --out "$dir/bits" --resume --epochs 4 "${same_job[@]}" --set table.dim=18 --set $kinds
    equal "its step" "$(newest_step bits)" 24
done
step "delta: a job resumes"
mkdir -p "$dir/delta"
cp -r "$old/delta/checkpoints" "$dir/delta/checkpoints"
ok "$ESMM" train --data "$old/delta/shards" --out "$dir/delta" --resume --epochs 4 "${same_job[@]}" --set table.admit_after=2 --set table.evict_age=9
equal "its step" "$(newest_step delta)" 24
step "stream: a job resumes, and has nothing left to read"
resumes stream 10
ok "$ESMM" train --stream "$old/stream/records" --out "$dir/stream" --resume "${same_job[@]}" --set model.delay=es-dfm
equal "its step" "$(newest_step stream)" 10
ok "$ESMM" records --data "$old/stream/shards" --out "$dir/records" --stream es-dfm --window 1800 --slice 7200
cmp "$dir/records/shard-00000.bin" "$old/stream/records/shard-00000.bin" || die "records have other bytes than they had"

step "shards of several versions: each is read as it is"
ok "$ESMM" train --data "$old/stream/shards" --eval "$old/last/shards" --out "$dir/mixed" "${same_job[@]}"
expect 1 "$ESMM" train --data "$old/stream/shards" --data "$old/last/shards" --out "$dir/both" "${same_job[@]}"

step "a container of a later version is refused, both named"
cp -r "$old/last/shards" "$dir/later"
printf '\2' | dd of="$dir/later/shard-00001.bin" bs=1 seek=8 conv=notrunc status=none
expect 1 "$ESMM" inspect "$dir/later" --verify
grep -q "later/shard-00001.bin: offset 8: container version 2, this program (esmm [0-9.]*) reads 1" "$dir/out" ||
    die "does not name both versions"
