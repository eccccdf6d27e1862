#!/bin/bash
# esmm prep on real data, on streams, under signals. ESMM_DATA may name the directory of the data sets.
set -eu
data=${ESMM_DATA:-$REPO/../shared/data}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
die() { echo "FAILED: $*"; exit 1; }

value() { "$ESMM" inspect "$1" --json | grep -o "\"$2\":[0-9]*" | head -1 | cut -d: -f2; }
expect() { # directory, key, value
    got=$(value "$1" "$2")
    [ "$got" = "$3" ] || die "$1: $2 is $got, expected $3"
}

# --- the example in the documentation --------------------------------------------------------------
sed -n 's/^; \([^ ]*,[^ ]*,.*\)$/\1/p' "$REPO/conf/example.schema" >"$dir/example.csv"
"$ESMM" prep --format csv --schema "$REPO/conf/example.schema" --input - --out "$dir/example" \
    <"$dir/example.csv" >"$dir/summary"
expect "$dir/example" impressions 3
expect "$dir/example" groups 2
"$ESMM" inspect "$dir/example" --verify >/dev/null

# --- signals: nothing is left behind, and the exit code says which ---------------------------------
awk 'BEGIN { for (i = 0; i < 50; i++) printf "%d,1,u\0021\0031.0\n", i }' >"$dir/common.csv"
lines() { awk 'BEGIN { for (i = 0; i < 200000; i++) printf "%d,0,0,%d,1,i\0027\0031.0\n", i, i / 4000 }'; }
for signal in INT TERM; do
    mkfifo "$dir/pipe"
    # A shell gives background jobs SIGINT ignored; prep installs its own handler all the same.
    "$ESMM" prep --format aliccp --skeleton "$dir/pipe" --common "$dir/common.csv" --out "$dir/killed" \
        >"$dir/summary" 2>"$dir/errors" &
    prep=$!
    exec 9>"$dir/pipe"
    lines >&9
    sleep 0.5
    [ -d "$dir/killed.tmp" ] || die "no $dir/killed.tmp while prep waits for input"
    kill -s $signal $prep
    code=0
    wait $prep || code=$?
    exec 9>&-
    [ $code = $((128 + $(kill -l $signal))) ] || die "SIG$signal: exit code $code"
    [ ! -e "$dir/killed" ] && [ ! -e "$dir/killed.tmp" ] || die "SIG$signal: something is left"
    grep -q "stopped by signal" "$dir/errors" || die "SIG$signal: $(cat "$dir/errors")"
    rm "$dir/pipe"
done

# --- too many rejects: one message, exit code 1 ----------------------------------------------------
code=0
{ lines | head -50; echo garbage; } | "$ESMM" prep --format aliccp --skeleton - \
    --common "$dir/common.csv" --out "$dir/bad" >"$dir/summary" 2>"$dir/errors" || code=$?
[ $code = 1 ] || die "too many rejects: exit code $code"
grep -q "1 of 51 lines rejected, more than --max-bad 1 %" "$dir/errors" || die "$(cat "$dir/errors")"
[ ! -e "$dir/bad" ] && [ ! -e "$dir/bad.tmp" ] || die "too many rejects: something is left"

# --- real data -------------------------------------------------------------------------------------
if [ ! -d "$data/kuairand" ] || [ ! -d "$data/aliccp" ]; then
    echo "skipped: needs the data sets aliccp and kuairand (set ESMM_DATA); the rest passed"
    exit 77
fi
"$ESMM" prep --format aliccp --skeleton "$data/aliccp/sample_skeleton_first10.csv" \
    --common "$data/aliccp/common_features_first1.csv" --out "$dir/aliccp" >"$dir/summary"
expect "$dir/aliccp" impressions 10
expect "$dir/aliccp" groups 1
expect "$dir/aliccp" clicks 1
grep -q "^127_14  *user  *209$" "$dir/summary" || die "aliccp: $(cat "$dir/summary")"
grep -q "^127  *user  *1$" "$dir/summary" || die "aliccp: $(cat "$dir/summary")"

train=$data/kuairand/train
zcat "$train/common_features_train.csv.gz" >"$dir/common.csv"
for threads in 1 3; do
    zcat "$train/sample_skeleton_train.csv.gz" | "$ESMM" prep --format aliccp --skeleton - \
        --common "$dir/common.csv" --out "$dir/kuairand-$threads" --threads $threads
done
diff -r "$dir/kuairand-1" "$dir/kuairand-3" || die "the number of threads changes the output"
expect "$dir/kuairand-1" impressions 817187
expect "$dir/kuairand-1" groups 67626
expect "$dir/kuairand-1" clicks 291496
expect "$dir/kuairand-1" conversions 10871
expect "$dir/kuairand-1" rejected 0
"$ESMM" inspect "$dir/kuairand-1" --verify >/dev/null
