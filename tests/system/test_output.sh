#!/bin/bash
# A result that cannot be written is a failure: one line, an exit code, nothing half made. And what repeats
# the text of somebody's log is nobody else's to read.
. "$(dirname "$0")/lib.sh"

# lost TARGET command...: with standard output there, the command ends with 1 and says so in one line.
lost() {
    local target=$1 code=0
    shift
    if [ "$target" = closed ]; then
        "$@" 2>"$dir/out" >&- </dev/null || code=$?
    else
        "$@" 2>"$dir/out" >"$target" </dev/null || code=$?
    fi
    [ "$code" = 1 ] || die "exit code $code, expected 1, with output to $target: $*"
    equal "lines of complaint of $*" "$(grep -c 'cannot write to standard output' "$dir/out")" 1
}

step "data and a checkpoint"
make_data data 6000 3 --shard-impressions 3000
train run --servers 1 --workers 1 --max-steps 5
run=$dir/run
for target in /dev/full closed; do
    step "what is printed, to $target"
    for words in config --version --help help; do
        lost $target "$ESMM" $words
    done
    for command in train coord ps worker prep synth records eval compare predict inspect export tether; do
        lost $target "$ESMM" $command --help
    done
    lost $target "$ESMM" coord --listen ipc:///none --data "$dir/data" --out "$dir/none" --print-config
    for view in "" --verify --top=3 --histogram --json "--diff $run"; do
        lost $target "$ESMM" inspect "$run" $view
    done
    lost $target "$ESMM" inspect "$dir/data"
    lost $target "$ESMM" eval --checkpoint "$run" --data "$dir/data" --bootstrap 0
    lost $target "$ESMM" predict --checkpoint "$run" --data "$dir/data" --out "$dir/p.csv"
    grep -q '^impression_id,' "$dir/p.csv" || die "the report of predict is in its file"
    lost $target "$ESMM" export "$run" --out "$dir/arrays"
    lost $target "$ESMM" synth --impressions 500 --out "$dir/raw"
    lost $target "$ESMM" prep --format aliccp --skeleton "$dir/raw/train/sample_skeleton.csv" \
        --common "$dir/raw/train/common_features.csv" --out "$dir/shards"
    lost $target "$ESMM" train --data "$dir/data" --out "$dir/more" "${small[@]}" "${prompt[@]}" --servers 1 \
        --workers 1 --max-steps 2
    equal "the job itself" "$(text "$dir/more/summary.json" status)" complete
    rm -rf "$dir/arrays" "$dir/raw" "$dir/shards" "$dir/more" "$dir/p.csv"
done

step "files that cannot be written or renamed leave nothing"
mkdir "$dir/taken" "$dir/taken/inside"
expect 1 "$ESMM" predict --checkpoint "$run" --data "$dir/data" --out "$dir/taken"
says "$dir/taken"
[ ! -e "$dir/taken.tmp" ] || die "predict left taken.tmp"
expect 1 "$ESMM" eval --checkpoint "$run" --data "$dir/data" --bootstrap 0 --picture "$dir/taken"
[ ! -e "$dir/taken.tmp" ] || die "eval left taken.tmp"
expect 1 "$ESMM" predict --checkpoint "$run" --data "$dir/data" --out "$dir/absent/p.csv"

step "a device, a pipe or a link is not replaced by a file"
mkfifo "$dir/pipe"
ln -s nowhere "$dir/link"
for name in pipe link; do
    expect 1 "$ESMM" predict --checkpoint "$run" --data "$dir/data" --out "$dir/$name"
    says "$dir/$name is a"
    expect 1 "$ESMM" eval --checkpoint "$run" --data "$dir/data" --bootstrap 0 --picture "$dir/$name"
    says "$dir/$name is a"
    [ ! -e "$dir/$name.tmp" ] && [ ! -e "$dir/$name.lock" ] || die "something was left beside $name"
done
[ -p "$dir/pipe" ] && [ -L "$dir/link" ] || die "the pipe or the link is gone"

step "rejected lines are for their owner alone, whatever the umask"
ok "$ESMM" synth --impressions 2000 --out "$dir/raw"
echo "not a line" >>"$dir/raw/train/sample_skeleton.csv"
for mask in 000 022 277; do
    rm -rf "$dir/shards"
    (umask $mask && cd "$dir" && "$ESMM" prep --format aliccp --max-bad 10 \
        --skeleton raw/train/sample_skeleton.csv --common raw/train/common_features.csv \
        --out shards >"$dir/out" 2>&1) || die "prep under umask $mask"
    equal "mode of rejects.tsv" "$(stat -c %a "$dir/shards/rejects.tsv")" 600
done
step "done"
