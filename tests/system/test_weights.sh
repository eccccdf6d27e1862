#!/bin/bash
# A log with known truth that kept 10 % of its unclicked impressions, and a log with weights: what is
# trained, what is said on the whole held-out log, and that nothing on the way drops a weight.
. "$(dirname "$0")/lib.sh"
key() { number "$dir/out" "$1"; }
between() { # VALUE LOW HIGH WHAT
    awk "BEGIN { exit !($2 <= $1 && $1 <= $3) }" || die "$4: $1 is not within $2 and $3"
}
prep() { ok "$ESMM" prep --format csv --schema "$1" --input "$2" --out "$dir/$3" --shard-impressions 8192; }
fit() { # NAME DATA...
    train_on=(--data "$dir/$2")
    train "$1" --servers 1 --workers 1 --threads 1 --deterministic --epochs 2 --batch 512 \
        --set table.lr=0.003 --set dense.lr=0.003 --set table.dim=6 --set model.tower=24,12 "${@:3}"
}
judge() { ok "$ESMM" eval --checkpoint "$dir/$1" --data "$dir/$2" --bootstrap 0 --json "${@:3}"; }

step "a log of 120,000 impressions, and what is left of it"
ok "$ESMM" synth --impressions 120000 --holdout 40000 --seed 21 --days 7 --ctr 0.05 --cvr 0.3 \
    --users 800 --items 800 --out "$dir/raw"
thin() { awk -F, -v OFS=, 'NR == 1 || $6 == 1 || ($1 * 2654435761) % 4294967296 < 429496730' "$1"; }
thin "$dir/raw/train/log.csv" >"$dir/thin.csv"
thin "$dir/raw/eval/log.csv" >"$dir/thin-eval.csv"
sed 's/^click = click/click = click\nsample_rate = 0.1/' "$dir/raw/train/log.schema" >"$dir/thin.schema"
prep "$dir/thin.schema" "$dir/thin.csv" thin
says '^sample rate  0\.1 of the unclicked'
prep "$dir/raw/train/log.schema" "$dir/thin.csv" unsaid
prep "$dir/raw/eval/log.schema" "$dir/raw/eval/log.csv" eval
prep "$dir/thin.schema" "$dir/thin-eval.csv" thin-eval
ok "$ESMM" inspect "$dir/thin"
says '^weights +none' '^sample rate +0\.1 of the unclicked impressions were kept'
ok cmp "$dir/thin/shard-00000.bin" "$dir/unsaid/shard-00000.bin"

step "without the rate p_ctr is several times too high, and p_ctcvr with it"
fit unsaid-run unsaid
judge unsaid-run eval
between "$(key pcoc_ctr)" 4 10 "p_ctr predicted / seen"
between "$(key pcoc_ctcvr)" 4 10 "p_ctcvr predicted / seen"
auc_ctr=$(key auc_ctr) auc_ctcvr=$(key auc_ctcvr)

for how in weight predict; do
    step "with it, by $how, both are right on the whole log"
    fit "$how" thin --set train.sample_correction=$how
    judge "$how" eval
    between "$(key pcoc_ctr)" 0.85 1.15 "p_ctr predicted / seen"
    between "$(key pcoc_ctcvr)" 0.8 1.25 "p_ctcvr predicted / seen"
    between "$(key auc_ctr)" "$auc_ctr-0.02" "$auc_ctr+0.02" "auc of ctr"
    between "$(key auc_ctcvr)" "$auc_ctcvr-0.03" "$auc_ctcvr+0.03" "auc of ctcvr"
    says '"weighted":false'
    ! grep -q with_weights "$dir/out" || die "the whole log has no weights"
    whole=$(key pcoc_ctr) whole_auc=$(key auc_ctr)
    judge "$how" thin-eval --weights yes
    says '"weighted":true'
    between "$(key pcoc_ctr)" "$whole-0.06" "$whole+0.06" "by weight, on the thinned log"
    between "$(key auc_ctr)" "$whole_auc-0.02" "$whole_auc+0.02" "its auc"
    judge "$how" thin-eval --weights no
    between "$(key pcoc_ctr)" 0.1 0.4 "each counting 1, on the thinned log"
    ok "$ESMM" predict --checkpoint "$dir/$how" --data "$dir/eval" --out "$dir/$how.csv"
    ok awk -F, -v clicks="$(awk -F, 'NR > 1 { n += $6 } END { print n }' "$dir/raw/eval/log.csv")" \
        'NR > 1 { p += $2; if ($2 * $3 > $4 * 1.00001 || $2 * $3 < $4 * 0.99999) bad++ }
         END { print p / clicks, bad + 0; exit bad > 0 }' "$dir/$how.csv"
    between "$(cut -d ' ' -f 1 "$dir/out")" "$whole-0.001" "$whole+0.001" "predict agrees with eval"
done
ok "$ESMM" inspect "$dir/predict"
says '^sample rate +0\.1 .*p_ctr is corrected'

step "an export says what predict corrects"
ok "$ESMM" export "$dir/predict" --format npy --out "$dir/npy"
grep -q '"sample_rate": *0.1' "$dir/npy/manifest.json" || die "no sample_rate in manifest.json"
grep -q 'add log(sample_rate)' "$dir/npy/manifest.json" || die "no correction in the formula"

step "the other way is another job: a resume refuses it"
expect 1 "$ESMM" train --data "$dir/thin" --out "$dir/predict" --resume --epochs 3 --servers 1 --workers 1 \
    --deterministic --batch 512 --set table.dim=6 --set model.tower=24,12 --set train.sample_correction=weight
says 'train.sample_correction'

step "train --eval gives figures without and with weights"
fit told thin --eval "$dir/thin-eval"
says '^evaluation: AUC ctr' '^  by weight: AUC ctr'
ok cat "$dir/told/summary.json"
says '"with_weights"' '"weighted": *false' '"weighted": *true'

step "weights of a column: shards, training, figures, streams carry them"
awk -F, -v OFS=, 'NR == 1 { print $0, "w"; next } { print $0, $1 % 4 / 2 }' "$dir/raw/eval/log.csv" >"$dir/w.csv"
sed 's/^click = click/click = click\nweight = w/' "$dir/raw/eval/log.schema" >"$dir/w.schema"
prep "$dir/w.schema" "$dir/w.csv" weighted
says '^weights      0 to 1\.5, in sum '
sum=$(awk '/^weights/ { print $NF }' "$dir/out")
equal "their sum" "$(awk -F, 'NR > 1 { n += $NF } END { print n }' "$dir/w.csv")" "$sum"
ok "$ESMM" inspect "$dir/weighted" --verify
says "^weights +0 to 1.5, in sum $sum" '^whole: '
fit weighted-run weighted
judge weighted-run weighted
says '"with_weights":'
between "$(key weight)" "$sum" "$sum" "what all impressions count"
ok "$ESMM" records --data "$dir/weighted" --stream es-dfm --out "$dir/stream"
ok "$ESMM" inspect "$dir/stream"
says '^weights +0 to 1\.5'
ok "$ESMM" records --data "$dir/thin" --stream es-dfm --out "$dir/thin-stream"
ok "$ESMM" inspect "$dir/thin-stream"
says '^weights +1 to 10,'
! grep -q '^sample rate' "$dir/out" || die "the rate is in the weights already"
judge weighted-run eval --weights no
expect 1 "$ESMM" eval --checkpoint "$dir/weighted-run" --data "$dir/eval" --weights yes
says 'carries no weights and no sample rate'

step "weights that are all 0 are nothing to train on"
awk -F, -v OFS=, 'NR > 1 { $NF = 0 } NR < 3000 { print }' "$dir/w.csv" >"$dir/zero.csv"
prep "$dir/w.schema" "$dir/zero.csv" zero
expect 1 "$ESMM" train --data "$dir/zero" --out "$dir/zero-run" --servers 1 --workers 1
says 'every impression has weight 0'

step "rows whose weight is none are rejected, a weight that is a field too is an error"
awk -F, -v OFS=, 'NR == 11 { $NF = "" } NR == 12 { $NF = -1 } { print }' "$dir/w.csv" >"$dir/bad.csv"
prep "$dir/w.schema" "$dir/bad.csv" bad
says '2  a weight is not a number from 0 to 1000000'
sed 's/^item = /item = w, /' "$dir/w.schema" >"$dir/leak.schema"
expect 1 "$ESMM" prep --format csv --schema "$dir/leak.schema" --input "$dir/w.csv" --out "$dir/leak"
says "column 'w' is the rows' weight and a field"
no_leftovers
echo "weights: all steps passed in $((SECONDS - began)) s"
