#!/bin/bash
# What `esmm eval` says: every figure with its population, intervals by resampling, truth, a reference
# net, calibration as a table and as a picture, and what it refuses.
. "$(dirname "$0")/lib.sh"
key() { number "$dir/out" "$1"; }
between() { # VALUE LOW HIGH WHAT
    awk "BEGIN { exit !($2 <= $1 && $1 <= $3) }" || die "$4: $1 is not within $2 and $3"
}

step "data, a model, and another one for its p_ctr"
make_data data 24000 7 --shard-impressions 4096
make_data eval 6000 8 --shard-impressions 1000
train run --servers 1 --workers 1
train other --servers 1 --workers 1 --seed 9
truth=$dir/eval.raw/train/truth.bin
[ -s "$truth" ] || die "no $truth"
eval_run() { ok "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" "$@"; }

step "the table"
eval_run
says '^metric +population +n +positives +label +value$' \
    '^auc ctr +all +6000 +[0-9]+  click +0\.[0-9]{5}  95 % 0\.[0-9]{5} - 0\.[0-9]{5} sd 0\.' \
    '^pr auc cvr +clicked ' '^norm. entropy ctcvr +all ' '^ece ctr .* largest of a bucket ' \
    '^95 %: 1000 bootstrap resamples of [0-9]+ groups$'
! grep -qE 'nan|reliability|entire|ref\. ctr' "$dir/out" || die "what nobody asked for"
clicks=$(awk '/^auc ctr/ { print $5 }' "$dir/out")
equal "clicks as the population of cvr" "$(awk '/^auc cvr/ { print $4 }' "$dir/out")" "$clicks"

step "--bootstrap: seeded, wider than nothing, around the figure"
eval_run --json
for k in ctr cvr_clicked ctcvr; do
    between "$(key auc_$k)" "$(key auc_${k}_95_low)" "$(key auc_${k}_95_high)" "auc_$k"
done
equal "resamples" "$(key bootstrap_resamples)" 1000
figures() { grep -v ' warn - ' "$dir/out" >"$dir/$1"; } # the items of the other seed's world are other ones
figures first
eval_run --json --threads 3 --bootstrap 1000 --seed 1
figures again
same_tree "$dir/first" "$dir/again"
eval_run --json --seed 2
equal "auc_ctr" "$(key auc_ctr)" "$(number "$dir/first" auc_ctr)"
[ "$(key auc_ctr_95_low)" != "$(number "$dir/first" auc_ctr_95_low)" ] || die "the seed is ignored"
eval_run --json --bootstrap 0
says '"auc_ctr_95_low":null' '"bootstrap_resamples":0'

step "--truth"
eval_run --json --truth "$truth" --bootstrap 40
for k in auc_cvr_entire auc_cvr_entire_best ratio_cvr_entire ratio_cvr_clicked_truth \
    ratio_cvr_unclicked; do
    between "$(key $k)" 0.01 100 $k
done
between "$(key auc_cvr_entire)" "$(key auc_cvr_entire_95_low)" "$(key auc_cvr_entire_95_high)" entire
between "$(key auc_cvr_entire_best)" "$(key auc_cvr_entire)" 1 "of the truth itself"
eval_run --truth "$truth"
says '^CVR on the entire space: all 6000 ' 'unclicked [0-9.]+$'

step "--reference"
eval_run --json --reference "$dir/run"
equal "with its own p_ctr" "$(key auc_ctcvr_reference)" "$(key auc_ctcvr)"
equal "and its interval" "$(key auc_ctcvr_reference_95_low)" "$(key auc_ctcvr_95_low)"
eval_run --json --reference "$dir/other"
[ "$(key auc_ctcvr_reference)" != "$(key auc_ctcvr)" ] || die "the reference is ignored"
eval_run --reference "$dir/other"
says '^auc ctcvr, ref\. ctr +all +6000 '

step "--calibration and --picture"
eval_run --calibration --picture "$dir/picture.svg"
equal "tables" "$(grep -c '^reliability ' "$dir/out")" 3
equal "impressions in the buckets" \
    "$(awk '/^reliability ctr/ { on = 1; next } /^reliability/ { on = 0 }
            on && $1 ~ /^[0-9]+$/ { n += $2 } END { print n }' "$dir/out")" 6000
[ -s "$dir/picture.svg" ] || die "no picture"
if command -v python3 >/dev/null; then
    ok python3 -c 'import sys, xml.dom.minidom as x
d = x.parse(sys.argv[1])
assert d.documentElement.tagName == "svg"
assert len(d.getElementsByTagName("circle")) >= 20' "$dir/picture.svg"
fi

step "division: p_cvr is a quotient"
train division --servers 1 --workers 1 --set model.name=division
ok "$ESMM" eval --checkpoint "$dir/division" --data "$dir/eval" --json --reference "$dir/run"
for k in auc_ctr auc_cvr_clicked auc_ctcvr auc_ctcvr_reference logloss_cvr_clicked ece_cvr_clicked; do
    between "$(key $k)" 0 5 $k
done
ok "$ESMM" predict --checkpoint "$dir/division" --data "$dir/eval" --out "$dir/p.csv"
awk -F, 'NR > 1 { d = $3 * $2 / $4 - 1; n++; if (d * d > 1e-12 || $4 <= 0 || $4 >= 1) exit bad = 1 }
    END { exit bad || n != 6000 }' "$dir/p.csv" || die "p_cvr is not p_ctcvr / p_ctr"

step "base has no p_ctr, ctr no p_cvr: undefined, not 0.5"
train base --servers 1 --workers 1 --set model.name=base
ok "$ESMM" eval --checkpoint "$dir/base" --data "$dir/eval" --json --reference "$dir/run"
says '"auc_ctr":null' '"auc_ctcvr":null' '"logloss_ctr":null' '"reliability_ctcvr":\[\]'
between "$(key auc_cvr_clicked)" 0.01 0.99 auc_cvr_clicked
between "$(key auc_ctcvr_reference)" 0.01 0.99 auc_ctcvr_reference
ok "$ESMM" eval --checkpoint "$dir/base" --data "$dir/eval"
says '^auc ctr +all +6000 +[0-9]+ +click +undefined$'
ok "$ESMM" predict --checkpoint "$dir/base" --data "$dir/eval" --out "$dir/p.csv"
equal "lines without p_ctr" "$(grep -cE '^[0-9]+,,[0-9.e-]+,$' "$dir/p.csv")" 6000
grep -q '"auc_ctr_running":[0-9]' "$dir/base/metrics.jsonl" && die "base has a running AUC of CTR"
train ctr --servers 1 --workers 1 --set model.name=ctr
ok "$ESMM" eval --checkpoint "$dir/ctr" --data "$dir/eval" --json --truth "$truth"
says '"auc_cvr_clicked":null' '"auc_cvr_entire":null' '"auc_ctcvr":null'
between "$(key auc_ctr)" "$(key auc_ctr_95_low)" "$(key auc_ctr_95_high)" auc_ctr
ok "$ESMM" predict --checkpoint "$dir/ctr" --data "$dir/eval" --out "$dir/p.csv"
equal "lines with p_ctr alone" "$(grep -cE '^[0-9]+,[0-9.e-]+,,$' "$dir/p.csv")" 6000

step "refusals"
expect 2 "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --bootstrap 39
says 'expected 0 or a number from 40'
expect 2 "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --bootstrap many
expect 1 "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --reference "$dir/nowhere"
says 'nowhere'
expect 1 "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --picture "$dir/no/such/p.svg"
says 'no/such'
expect 1 "$ESMM" eval --checkpoint "$dir/run" --data "$dir/data" --truth "$truth"
says 'has no impression [0-9]+, which the data have'
