#!/bin/bash
# Two jobs, one output: the second is refused before it touches anything, and told who the first is. Nobody
# who is killed leaves a block. A complete run has nothing to resume, and one whose tables have changed is not
# told to go on.
. "$(dirname "$0")/lib.sh"

# All that is under a directory, with times and sizes; not the log of who was refused.
state_of() { find "$1" -printf '%P %T@ %s\n' | sort; }

step "data"
make_data data 20000 4 --shard-impressions 4096
train_on=(--data "$dir/data")

step "two jobs in one run directory"
train_start run --servers 1 --workers 1 --epochs 100000 --set checkpoint.every_impressions=20000
first=$job
wait_until 20 "a checkpoint" has_checkpoint run
for how in "" --resume; do
    expect 1 "$ESMM" train --data "$dir/data" --out "$dir/run" "${small[@]}" $how
    says "^esmm train: $dir/run is being written by process [0-9]+ on $(hostname) since 20.*Z"
    equal "lines said" "$(wc -l <"$dir/out")" 1
done
expect 3 "$ESMM" coord --listen "ipc://$dir/c" --data "$dir/data" --out "$dir/run" "${small[@]}" --resume
says "$dir/run is being written by process $(sed -n 's/^process //p' "$dir/run/lock") on "
equal "coordinators that logged" "$(grep -c 'listening on' "$dir/run/logs/coord-0.log")" 1
step "reading it goes on"
ok "$ESMM" inspect "$dir/run"
ok "$ESMM" eval --checkpoint "$dir/run" --data "$dir/data" --bootstrap 0
kill -TERM "$first"
ends 143 30
no_leftovers
[ ! -e "$dir/run/lock" ] || die "a lock is left"

step "the killed block nobody, but the coordinator that saves for a killed job does"
train_start run --servers 1 --workers 1 --epochs 100000 --resume
find_roles 1
wait_until 20 "the coordinator's name in the lock" grep -qx "process $coord" "$dir/run/lock"
kill -KILL "$job"
wait "$job" 2>/dev/null
kill -STOP "$coord" # not before: a process that is stopped when it becomes an orphan is sent HUP
expect 1 "$ESMM" train --data "$dir/data" --out "$dir/run" "${small[@]}" --resume
says "written by process $coord on "
kill -CONT "$coord"
no_leftovers 30
train_start run --servers 1 --workers 1 --epochs 100000 --resume
find_roles 1
kill -KILL "$job" "$coord" "${ps[0]}" "${worker[0]}"
wait_until 20 "the killed to be gone" no_process
rm -rf "${TMPDIR:?}"/*
train run --servers 1 --workers 1 --max-steps 1 --resume
[ ! -e "$dir/run/lock" ] || die "a lock is left"

step "commands that make something"
train done --servers 1 --workers 1 --epochs 1
ok "$ESMM" synth --impressions 3000 --days 2 --out "$dir/timed"
prep=("$ESMM" prep --format aliccp --skeleton "$dir/data.raw/train/sample_skeleton.csv"
    --common "$dir/data.raw/train/common_features.csv")
timed=("$ESMM" prep --format csv --schema "$dir/timed/train/log.schema" --input "$dir/timed/train/log.csv")
ok "${timed[@]}" --out "$dir/times"
# refused OUT command...: while somebody holds OUT.lock. Then, when nobody does, it is made.
refused() {
    local out=$1
    shift
    mkdir "$out.tmp"
    echo "of the first" >"$out.tmp/half"
    exec 9>"$out.lock"
    flock 9
    printf 'host elsewhere\nprocess 4711\nsince 2026-01-01T00:00:00Z\n' >"$out.lock"
    expect 1 "$@"
    says "$out is being written by process 4711 on elsewhere since 2026-01-01T00:00:00Z"
    equal "lines said by $2" "$(wc -l <"$dir/out")" 1
    equal "what the first had" "$(cat "$out.tmp/half")" "of the first"
    [ ! -e "$out" ] || die "$2 made $out"
    exec 9>&-
    rm -r "$out.tmp"
    ok "$@"
    [ -e "$out" ] && [ ! -e "$out.lock" ] && [ ! -e "$out.tmp" ] || die "$2: $(ls -d "$out"*)"
}
refused "$dir/a" "${prep[@]}" --out "$dir/a"
refused "$dir/b" "${timed[@]}" --out "$dir/b/"
refused "$dir/c" "$ESMM" synth --impressions 500 --out "$dir/c"
refused "$dir/d" "$ESMM" export "$dir/done" --out "$dir/d"
refused "$dir/e" "$ESMM" export "$dir/done" --format dump --out "$dir/e"
refused "$dir/f" "$ESMM" records --data "$dir/times" --stream fnw --out "$dir/f"
refused "$dir/g.csv" "$ESMM" predict --checkpoint "$dir/done" --data "$dir/data" --out "$dir/g.csv"
refused "$dir/h.svg" "$ESMM" eval --checkpoint "$dir/done" --data "$dir/data" --bootstrap 0 --picture "$dir/h.svg"

step "two preps at once, and a third after a kill"
mkfifo "$dir/pipe"
feed() { "${prep[@]:0:4}" --skeleton "$dir/pipe" "${prep[@]:6}" --out "$dir/fed" >"$dir/fed.out" 2>&1 & }
feed
first=$!
exec 8>"$dir/pipe"
wait_until 20 "prep to begin" test -e "$dir/fed.tmp/rejects.tsv"
expect 1 "${prep[@]}" --out "$dir/fed"
says "$dir/fed is being written by process $first on $(hostname) since "
[ -e "$dir/fed.tmp/rejects.tsv" ] || die "the second removed what the first was making"
kill -KILL "$first"
wait "$first" 2>/dev/null
exec 8>&-
ok "${prep[@]}" --out "$dir/fed"
[ ! -e "$dir/fed.lock" ] && [ ! -e "$dir/fed.tmp" ] || die "left over: $(ls -d "$dir"/fed.*)"
same_tree "$dir/fed" "$dir/a"

step "a comparison is locked too"
mkdir "$dir/table"
exec 9>"$dir/table/lock"
flock 9
expect 1 "$ESMM" compare --data "$dir/data" --eval "$dir/data" --methods esmm --seeds 1 --out "$dir/table"
says "$dir/table is being written by another process"
exec 9>&-

step "a file system without locks: a warning, and it goes on"
cat >"$dir/nolocks.c" <<'C'
#include <errno.h>
int flock(int fd, int how) { (void)fd; (void)how; errno = ENOLCK; return -1; }
C
if [ -z "${ASAN_OPTIONS:-}" ] || ! ldd "$ESMM" | grep -q san; then
    if "${CC:-cc}" -shared -fPIC -o "$dir/nolocks.so" "$dir/nolocks.c" 2>/dev/null; then
        ok env LD_PRELOAD="$dir/nolocks.so" "${prep[@]}" --out "$dir/unlocked"
        says "warn .*$dir/unlocked: its file system has no locks"
        [ ! -e "$dir/unlocked.lock" ] || die "a lock file is left"
        ok env LD_PRELOAD="$dir/nolocks.so" "$ESMM" train --data "$dir/data" --out "$dir/run.unlocked" \
            "${small[@]}" "${prompt[@]}" --servers 1 --workers 1 --max-steps 1
        says "warn .*$dir/run.unlocked: its file system has no locks"
    fi
fi

step "a complete run has nothing to resume"
before=$(state_of "$dir/done")
ok "$ESMM" train --data "$dir/data" --out "$dir/done" "${small[@]}" "${prompt[@]}" --resume
says "^$dir/done holds a complete run: nothing is left to train"
equal "the run directory" "$(state_of "$dir/done")" "$before"
before=$(find "$dir/done" -type f -printf '%P %T@ %s\n' | sort)
ok "$ESMM" coord --listen "ipc://$dir/c" --data "$dir/data" --out "$dir/done" "${small[@]}" --resume
says "$dir/done holds a complete run: nothing is left to train"
equal "the run directory" "$(find "$dir/done" -type f -printf '%P %T@ %s\n' | sort)" "$before"
train done --servers 1 --workers 1 --epochs 2 --resume
equal "steps restored" "$(number "$dir/done/summary.json" steps_restored)" "$(($(newest_step done) / 2))"
equal "status" "$(text "$dir/done/summary.json" status)" complete

step "a stream that has ended and is trained"
ok "$ESMM" records --data "$dir/times" --stream es-dfm --out "$dir/live"
live=("$ESMM" train --stream "$dir/live" --out "$dir/lived" "${small[@]}" "${prompt[@]}" --servers 1 --workers 1)
ok "${live[@]}"
before=$(state_of "$dir/lived")
ok "${live[@]}" --resume
says "nothing is left to train"
equal "the run directory" "$(state_of "$dir/lived")" "$before"

step "what a resume would refuse again is not advised"
before=$(state_of "$dir/done")
for change in table.dim=8 table.optimizer=sgd dense.optimizer=sgd; do
    expect 1 "$ESMM" train --data "$dir/data" --out "$dir/done" "${small[@]}" "${prompt[@]}" --servers 1 \
        --workers 1 --epochs 3 --resume --set $change
    says "^esmm train: cannot resume from $dir/done/.*(dim was 4 and is 8|optimizer was adam and is sgd) now$"
    equal "lines said" "$(wc -l <"$dir/out")" 1
done
equal "files of the run" "$(grep -v '^ ' <<<"$(state_of "$dir/done")")" "$(grep -v '^ ' <<<"$before")"
cp -r "$dir/data" "$dir/torn"
truncate -s 100 "$dir/torn/shard-00002.bin"
expect 1 "$ESMM" train --data "$dir/torn" --out "$dir/torn.run" "${small[@]}" "${prompt[@]}" --servers 1 \
    --workers 1 --set checkpoint.every_shards=1
says "worker-0 ended with exit code 3: .*shard-00002.bin" "mend that first, then continue with --resume$"
train_start killed --servers 1 --workers 1 --restarts 0 --epochs 100000 --set checkpoint.every_impressions=10000
wait_until 20 "a checkpoint" has_checkpoint killed
find_roles 1
kill -KILL "${ps[0]}"
ends 1 30
says "ps-0 was killed by signal 9.*; continue with --resume$"
if grep -q "mend" "$dir/out"; then die "a killed server needs no mending"; fi
no_leftovers 10
step "done"
