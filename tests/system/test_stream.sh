#!/bin/bash
# --stream: a job follows a directory into which a producer moves shards one by one. It comes to the
# same parameters as a job on the same shards that had them all from the beginning; it is killed,
# stopped and resumed in the middle; a damaged or missing shard ends it with what came before saved.
. "$(dirname "$0")/lib.sh"
# A stream's initial biases are those of its first shard, an ordinary job's those of all: left out here.
plan=(--deterministic --set train.shuffle=false --set model.prior_bias=false)

# The directory $dir/stream as a producer begins it: only a manifest.
begin_stream() {
    rm -rf "$dir/stream"
    mkdir "$dir/stream"
    cp "$dir/data/manifest" "$dir/stream"
}
# produce FIRST LAST: shards appear whole, by rename.
produce() {
    local n name
    for n in $(seq "$1" "$2"); do
        name=$(printf 'shard-%05d.bin' "$n")
        cp "$dir/data/$name" "$dir/stream/$name.part"
        mv "$dir/stream/$name.part" "$dir/stream/$name"
    done
}
# follow_start OUT options..., follow OUT options...: as train_start and train, on the stream.
follow_start() {
    local train_on=(--stream "$dir/stream")
    train_start "$@"
}
follow() {
    local train_on=(--stream "$dir/stream")
    train "$@"
}
# The state of a run is that of the job that was not a stream. What differs is said in the manifest:
# the options, and when it was saved.
compare() {
    npy "$1" "$1.npy"
    sed -i '/"config"/d; /"rate_c/d' "$dir/$1.npy/manifest.json"
    same_tree "$dir/whole.npy" "$dir/$1.npy"
    rm -rf "$dir/$1.npy" "$dir/$1"
}
step "data: a dozen shards, and the job that has them all, in order, without --stream"
make_data data 24000 3 --shard-impressions 2048
make_data eval 4000 4 --shard-impressions 2048
shards=$(ls "$dir/data" | grep -c '^shard-')
train whole --servers 1 --workers 1 "${plan[@]}"
npy whole whole.npy
sed -i '/"config"/d; /"rate_c/d' "$dir/whole.npy/manifest.json"
steps=$(number "$dir/whole/summary.json" steps)
last=$((shards - 1))

step "the same as a stream that is complete when the job begins"
begin_stream
produce 0 "$last"
touch "$dir/stream/end"
follow all --servers 2 --workers 2 "${plan[@]}"
equal "steps" "$(number "$dir/all/summary.json" steps)" "$steps"
compare all

step "a directory that is whole but does not say that it has ended: told on the terminal"
rm "$dir/stream/end"
follow endless --servers 1 --workers 1 "${plan[@]}" --max-steps 1
says "$dir/stream has all $shards shards of its manifest and no file 'end': as a stream it is waited on for more"
rm -rf "$dir/endless"

step "the same as a stream that grows while the job runs"
begin_stream
follow_start grows --servers 2 --workers 2 "${plan[@]}" --set checkpoint.every_shards=1 \
    --set checkpoint.keep=1000
for n in $(seq 0 "$last"); do
    produce "$n" "$n"
    sleep 0.1
done
touch "$dir/stream/end"
ends 0 60
says "following $dir/stream"
equal "steps" "$(number "$dir/grows/summary.json" steps)" "$steps"
equal "impressions" "$(number "$dir/grows/summary.json" impressions)" 24000
equal "checkpoints, one a shard" "$(ls -d "$dir/grows/checkpoints/"step-* | wc -l)" "$shards"
ok "$ESMM" inspect "$dir/grows" --verify
ok "$ESMM" eval --checkpoint "$dir/grows" --data "$dir/eval"
compare grows
no_leftovers

step "a model that trains on clicked impressions only, and shards that have none"
make_data few 3000 5 --shard-impressions 32
mv "$dir/data" "$dir/data.all"
mv "$dir/few" "$dir/data"
rm -rf "$dir/stream"
cp -r "$dir/data" "$dir/stream"
touch "$dir/stream/end"
for run in fixed followed; do
    [ "$run" = fixed ] && start=train || start=follow
    $start "$run" --servers 2 --workers 1 "${plan[@]}" --set model.name=base
    npy "$run" "$run.npy"
    sed -i '/"config"/d; /"rate_c/d' "$dir/$run.npy/manifest.json"
done
same_tree "$dir/fixed.npy" "$dir/followed.npy"
rm -rf "$dir/data" "$dir/fixed" "$dir/followed"
mv "$dir/data.all" "$dir/data"

step "any number of workers at a time, every third shard kept, evaluated at the end"
begin_stream
produce 0 3
follow_start free --servers 2 --workers 2 --eval "$dir/eval" --set train.shuffle=true \
    --set checkpoint.every_shards=3 --set checkpoint.keep=1000
wait_until 20 "the checkpoint of 3 shards" has_checkpoint free
produce 4 "$last"
touch "$dir/stream/end"
ends 0 60
says "evaluation: AUC ctr"
equal "steps" "$(number "$dir/free/summary.json" steps)" "$steps"
equal "pushes" "$(number "$dir/free/summary.json" batches)" "$steps"
equal "checkpoints" "$(ls -d "$dir/free/checkpoints/"step-* | wc -l)" $(((shards + 2) / 3))
ok "$ESMM" inspect "$dir/free" --verify
no_leftovers
rm -rf "$dir/free"

step "kill -9 of a worker while nothing comes: the new one takes the shards that come"
begin_stream
produce 0 1
follow_start lost --servers 2 --workers 2 --set checkpoint.every_shards=2
wait_until 20 "the first shards to be trained" has_checkpoint lost
find_roles 2
kill -9 "${worker[@]}"
produce 2 "$last"
touch "$dir/stream/end"
ends 0 60
says "worker-[01] was killed by signal 9.*started again"
equal "steps" "$(number "$dir/lost/summary.json" steps)" "$steps"
ok "$ESMM" inspect "$dir/lost" --verify
no_leftovers
rm -rf "$dir/lost"

# interrupt HOW CODE: in the middle of the stream, and the job is continued.
interrupt() {
    local how=$1 code=$2 victim
    step "$how in the middle, then --resume on 3 servers and 1 worker"
    begin_stream
    produce 0 4
    follow_start cut --servers 2 --workers 2 "${plan[@]}" --set checkpoint.every_shards=2
    find_roles 2 2
    wait_until 20 "a checkpoint" has_checkpoint cut
    case $how in
    "SIGKILL of everything") victim="-9 $job $coord ${ps[*]} ${worker[*]}" ;;
    SIGTERM) victim="-TERM $job" ;;
    esac
    kill $victim
    ends "$code" 30
    [ "$code" = 137 ] && rm -rf "${TMPDIR:?}"/* # nobody was left to remove it
    no_leftovers 5
    [ "$(newest_step cut)" -lt "$steps" ] || die "the job had finished before it was stopped"
    produce 5 6
    follow_start cut --servers 3 --workers 1 --resume "${plan[@]}"
    produce 7 "$last"
    touch "$dir/stream/end"
    ends 0 60
    equal "steps" "$(number "$dir/cut/summary.json" steps)" "$steps"
    compare cut
}
interrupt "SIGKILL of everything" 137
interrupt SIGTERM 143

step "SIGKILL of a server in the middle: the job goes back, and follows the stream on"
begin_stream
produce 0 4
follow_start cut --servers 2 --workers 2 "${plan[@]}" --set checkpoint.every_shards=2
find_roles 2 2
wait_until 20 "a checkpoint" has_checkpoint cut
kill -9 "${ps[1]}"
produce 5 6
wait_until 20 "training" grep -q 'training goes on after' "$dir/cut/logs/coord-0.log"
produce 7 "$last"
touch "$dir/stream/end"
ends 0 60
equal "rollbacks" "$(number "$dir/cut/summary.json" rollbacks)" 1
equal "steps" "$(number "$dir/cut/summary.json" steps)" "$steps"
compare cut

step "SIGTERM while nothing comes: all of it is saved"
begin_stream
produce 0 2
follow_start idle --servers 2 --workers 2 --set checkpoint.every_shards=3
wait_until 20 "the shards to be trained" has_checkpoint idle
sleep 0.5
kill -TERM "$job"
ends 143 20
equal "status" "$(text "$dir/idle/summary.json" status)" stopped
equal "step saved" "$(newest_step idle)" "$(number "$dir/idle/summary.json" steps)"
no_leftovers
rm -rf "$dir/idle"

step "a torn shard ends the job; what came before is saved; mended, the job goes on"
begin_stream
produce 0 2
torn=$dir/stream/shard-00003.bin
head -c 5000 "$dir/data/shard-00003.bin" >"$torn"
produce 4 5
follow_start torn --servers 1 --workers 2 "${plan[@]}"
ends 1 30
says "coord-0 ended with exit code 3: .*$torn" "--resume"
equal "lines about it" "$(grep -c "$torn" "$dir/out")" 1
equal "status" "$(text "$dir/torn/summary.json" status)" failed
at=$(newest_step torn)
no_leftovers
rm "$torn"
produce 3 "$last"
touch "$dir/stream/end"
follow torn --servers 2 --workers 1 --resume "${plan[@]}"
equal "steps" "$(number "$dir/torn/summary.json" steps)" "$steps"
equal "pushes" "$(number "$dir/torn/summary.json" batches)" $((steps - at))
compare torn

step "a shard with a wrong byte in its midst"
begin_stream
produce 0 3
bad=$dir/stream/shard-00004.bin
cp "$dir/data/shard-00004.bin" "$bad.part"
printf '\x5a\xa5\x5a' | dd of="$bad.part" bs=1 seek=9000 conv=notrunc status=none
mv "$bad.part" "$bad"
follow_start bad --servers 1 --workers 1 --set checkpoint.every_shards=1
ends 1 30
says "worker-0 ended with exit code 3: .*$bad" "--resume"
has_checkpoint bad || die "no checkpoint is left"
no_leftovers
rm -rf "$dir/bad"

step "the end comes, but a shard is missing"
begin_stream
produce 0 1
produce 3 3
touch "$dir/stream/end"
follow_start gap --servers 1 --workers 1
ends 1 30
says "shard-00003.bin is there, but shard-00002.bin is missing"
no_leftovers
rm -rf "$dir/gap"

step "esmm records as the producer: followed from before its first shard, and when all is there"
ok "$ESMM" synth --impressions 20000 --seed 3 --users 500 --items 800 --ctr 0.2 --cvr 0.3 --days 3 \
    --out "$dir/log"
ok "$ESMM" prep --format csv --schema "$dir/log/train/log.schema" --input "$dir/log/train/log.csv" \
    --out "$dir/log.shards"
rm -rf "$dir/stream"
records() {
    "$ESMM" records --data "$dir/log.shards" --out "$dir/stream" --stream es-dfm --slice 21600 \
        --attribution 100000 "$@" >"$dir/records.out" 2>&1
}
records --pause 150 &
wait_until 10 "the manifest" test -e "$dir/stream/manifest"
follow live --servers 2 --workers 2 --deterministic --set train.shuffle=true
wait
[ -e "$dir/stream/end" ] || die "the job did not wait for the end"
equal "records" "$(number "$dir/live/summary.json" impressions)" \
    "$(awk '/^records/ { n += $2 } END { print n }' "$dir/records.out")"
follow later --servers 1 --workers 1 --deterministic --set train.shuffle=true
npy live live.npy
npy later later.npy
same_tree "$dir/live.npy" "$dir/later.npy"
no_leftovers

step "refused: two passes, --data too, and resuming a stream whose shards are gone or not a stream"
begin_stream
produce 0 1
touch "$dir/stream/end"
expect 1 "$ESMM" train --stream "$dir/stream" --out "$dir/no" "${small[@]}" --epochs 2
says "a stream is read once"
expect 2 "$ESMM" train --stream "$dir/stream" --data "$dir/data" --out "$dir/no"
says "exclude each other"
rm -rf "$dir/no"
follow gone --servers 1 --workers 1
rm "$dir/stream/shard-00001.bin"
expect 1 "$ESMM" train --stream "$dir/stream" --out "$dir/gone" "${small[@]}" --servers 1 \
    --workers 1 --resume
says "shard 1 of $dir/stream is not there"
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/gone" "${small[@]}" --servers 1 --workers 1 \
    --resume
says "other data"
step "done"
