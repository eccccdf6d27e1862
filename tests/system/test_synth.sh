#!/bin/bash
# esmm synth as a command: the same bytes whatever --threads, a parser in awk agrees with the
# summary, refusals are one line, and a stop signal leaves nothing behind.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

die() {
    echo "test_synth.sh: $*" >&2
    exit 1
}

# Runs a command that must fail with status $1 and one line on standard error that holds $2.
refused() {
    local want=$1 text=$2 status=0
    shift 2
    "$@" >out 2>err || status=$?
    [ "$status" = "$want" ] || die "exit status $status instead of $want: $*"
    [ "$(wc -l <err)" = 1 ] || die "more than one line: $(cat err)"
    grep -q -e "$text" err || die "no '$text' in: $(cat err)"
}

"$ESMM" synth --help | grep -q -- --holdout
"$ESMM" --help | grep -q ' synth '

# --- the same bytes
log="--impressions 30000 --holdout 5000 --seed 9"
"$ESMM" synth $log --threads 1 --out one >summary
"$ESMM" synth $log --threads 3 --out three/deep/log >/dev/null
diff -r one three/deep/log
[ "$(ls one one/train one/eval | tr '\n' ' ')" = "one: eval train  one/eval: common_features.csv \
sample_skeleton.csv truth.bin  one/train: common_features.csv sample_skeleton.csv truth.bin " ] ||
    die "unexpected files"

# --- a second parser
awk -F, -v rows=30000 '
    FNR == NR { n = split($3, e, "\001"); if (n != $2 || $1 in row || length($1) != 16) exit bad = 1
                row[$1] = 1; commons++; next }
    { n = split($6, e, "\001"); if (n != $5 || !($4 in row) || $1 != ++seen) exit bad = 1
      clicks += $2; both += $2 * $3
      if ($4 != last) { if ($4 in done) exit bad = 1; done[$4] = 1; last = $4 } }
    END { if (bad || seen != rows) { print "line " FNR " of " FILENAME " is wrong"; exit 1 }
          print seen " impressions in " commons " sessions"; print clicks " clicks"
          print both " conversions" }' \
    one/train/common_features.csv one/train/sample_skeleton.csv >counted || die "$(cat counted)"
while read -r line; do
    grep -q "$line" summary || die "the summary does not say '$line': $(cat summary)"
done <counted

# --- refusals
refused 1 'exists already' "$ESMM" synth --impressions 10 --out one
refused 2 "missing value of option '--out'" "$ESMM" synth --impressions 10 --out
refused 2 '--out is missing' "$ESMM" synth --impressions 10
refused 2 'expected a number from' "$ESMM" synth --impressions 10 --out x --ctr 2
refused 2 'expected e, g, f' "$ESMM" synth --impressions 10 --out x --preset h
refused 1 'exists and is no directory' "$ESMM" synth --impressions 10 --out summary/x
[ ! -e x ] && [ ! -e x.tmp ]

# --- a stop signal, early and late; the directory of a killed run is no obstacle
for seconds in 0.5 2; do
    "$ESMM" synth --impressions 200M --out stopped >/dev/null 2>err &
    pid=$!
    sleep "$seconds"
    kill -INT "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" = 130 ] || die "exit status $status after SIGINT: $(cat err)"
    tail -1 err | grep -q 'stopped by signal 2; nothing was written' || die "said: $(cat err)"
    [ ! -e stopped ] && [ ! -e stopped.tmp ] || die "a stopped run left something"
done
mkdir -p again.tmp/train
echo torn >again.tmp/train/truth.bin
"$ESMM" synth --impressions 100 --out again/ >/dev/null
[ -s again/train/truth.bin ] && [ ! -e again.tmp ] && [ ! -e again/eval ]
