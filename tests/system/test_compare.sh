#!/bin/bash
# `esmm compare`: the table and the files, a rerun that trains only what is missing, a stop and going
# on from it, runs that fail, and what is refused before anything is trained.
. "$(dirname "$0")/lib.sh"

step "data"
ok "$ESMM" synth --impressions 20000 --holdout 10000 --users 1500 --items 3000 --ctr 0.1 --cvr 0.1 \
    --out "$dir/raw"
for part in train eval; do
    ok "$ESMM" prep --format aliccp --skeleton "$dir/raw/$part/sample_skeleton.csv" \
        --common "$dir/raw/$part/common_features.csv" --out "$dir/$part" --shard-impressions 4096
done
compare() { # OUT options...
    local out=$1
    shift
    "$ESMM" compare --data "$dir/train" --eval "$dir/eval" --out "$dir/$out" --set model.tower=16,8 \
        --set table.dim=4 --set train.batch=256 --threads 1 --bootstrap 40 "$@"
}
runs() { ls "$dir/$1/runs" | tr '\n' ' '; }

step "two methods, two seeds"
ok compare table --methods base,esmm --seeds 2 --truth "$dir/raw/eval/truth.bin"
equal "runs" "$(runs table)" "base-1 base-2 ctr-1 ctr-2 esmm-1 esmm-2 "
says '^\[1/6\] ctr, seed 1: trained on 20000 impressions' '^\[6/6\] esmm, seed 2: trained' \
    '^ctr +[0-9.]+ ± [0-9.]+( +-){5}$' \
    '^base +- +[0-9.]+ ± [0-9.]+ +66\.00 ± 0\.37 +- +[0-9.]+ ± [0-9.]+ +62\.07 ± 0\.45$' \
    '^esmm( +[0-9.]+ ± [0-9.]+){6}$' 'n 10000 ' '^esmm( +[0-9.]+ ± [0-9.]+){4}$'
for file in compare.txt compare.json compare.csv compare.html; do
    [ -s "$dir/table/$file" ] || die "no $file"
done
equal "lines of the csv" "$(wc -l <"$dir/table/compare.csv")" $((1 + 3 * 2))

step "its figures are those of esmm eval with the seed's CTR net as reference"
ok "$ESMM" eval --checkpoint "$dir/table/runs/esmm-2" --data "$dir/eval" --json --bootstrap 40 \
    --reference "$dir/table/runs/ctr-2"
for key in auc_ctcvr_reference auc_cvr_clicked auc_ctcvr_95_low; do
    grep -q "\"$key\": $(number "$dir/out" $key)" <(sed -n '/"method": "esmm"/,$p' "$dir/table/compare.json") ||
        die "compare.json has no $key $(number "$dir/out" $key)"
done

step "a rerun trains what is missing and keeps the rest"
stamp=$(stat -c %Y.%i "$dir/table/runs/esmm-1/summary.json")
rm -rf "$dir/table/runs/base-2"
ok compare table --methods base,esmm,oversampling:5 --seeds 2 --method-set oversampling:train.batch=128
says 'esmm, seed 1: was there' 'base, seed 2: trained' 'oversampling:5, seed 1: trained' '^oversampling:5 '
equal "summary of a run that was there" "$(stat -c %Y.%i "$dir/table/runs/esmm-1/summary.json")" "$stamp"
equal "copies" "$(sed -n 's/^oversampling_factor = //p' "$dir/table/runs/oversampling-5-1/config.ini")" 5
equal "its batch" "$(sed -n 's/^batch = //p' "$dir/table/runs/oversampling-5-1/config.ini")" 128
equal "esmm's" "$(sed -n 's/^batch = //p' "$dir/table/runs/esmm-1/config.ini")" 256
equal "steps of base and esmm" "$(number "$dir/table/runs/base-1/summary.json" steps)" \
    "$(number "$dir/table/runs/esmm-1/summary.json" steps)"

step "other settings are refused"
expect 1 compare table --methods base --set table.dim=8
says "runs/ctr-1/config\.ini was 'dim = 4' and is 'dim = 8'"
expect 1 compare table --methods base --workers 2
says "settings\.ini was 'workers = 1' and is 'workers = 2'"
mkdir -p "$dir/foreign/runs"
expect 1 compare foreign --methods base
says 'not of a comparison'

step "what is wrong is told before anything is trained"
expect 2 compare x --methods base,esmn
says "^esmm compare: --methods: unknown method 'esmn'; did you mean 'esmm'\?$"
expect 1 compare x --methods base,aman:2
says 'model\.aman_rate is .2.'
expect 1 compare x --methods esmm --method-set esmm:table.dmi=4
says 'table\.dmi' 'table\.dim'
expect 2 compare x --methods esmm --method-set base:table.dim=4
says 'for none of the methods'
expect 1 compare x --methods esmm --truth "$dir/none.bin"
says 'none\.bin'
expect 2 "$ESMM" compare --data "$dir/train"
says '--eval is missing'
expect 2 compare x --bootstrap 10
[ ! -e "$dir/x" ] || die "a command line that was refused left $dir/x"

step "a run that fails is named with its log; what is finished is kept"
ok compare broken --methods base --seeds 1 --servers 2
# The second run cannot make the directory of its checkpoints: a file is in its place.
mkdir "$dir/broken/runs/esmm-1"
: >"$dir/broken/runs/esmm-1/checkpoints"
expect 1 compare broken --methods base,esmm --seeds 1 --servers 2
says 'base, seed 1: was there' "^esmm compare: training esmm-1 ended with exit code 1: .*logs/esmm-1\.log"
rm -r "$dir/broken/runs/esmm-1"
ok compare broken --methods base,esmm --seeds 1 --servers 2
says 'base, seed 1: was there' 'esmm, seed 1: trained'

step "stopped, and going on from the checkpoint"
compare stopped --methods esmm --seeds 1 --set train.epochs=40 >"$dir/out.stop" 2>&1 </dev/null &
job=$!
wait_until 30 "the first lines of progress" grep -q '"impressions":[ ]*[1-9]' "$dir/stopped/runs/ctr-1/metrics.jsonl"
kill -TERM "$(processes | head -n 1)"
ends 143 60
[ ! -e "$dir/stopped/compare.json" ] || die "results of a comparison that was stopped"
has_checkpoint stopped/runs/ctr-1 || die "no checkpoint of the run that was stopped"
ok compare stopped --methods esmm --seeds 1 --set train.epochs=40
[ "$(number "$dir/stopped/runs/ctr-1/summary.json" steps_restored)" -gt 0 ] || die "it began afresh"
equal "steps" "$(newest_step stopped/runs/ctr-1)" "$(newest_step stopped/runs/esmm-1)"
no_leftovers 5
step "done"
