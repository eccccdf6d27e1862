#!/usr/bin/env bash
# How good is the trained model: AUC on held-out impressions against a peer, and whether the number of
# servers and workers matters.
#
#     scripts/quality.sh --data DIR [--peer FILE] [option...]
#
#   --data DIR       a log in Ali-CCP's format: DIR/train and DIR/val, each with one
#                    sample_skeleton*.csv and one common_features*.csv, or .csv.gz
#   --peer FILE      a Python program that trains the same model and takes --train DIR --eval DIR
#                    --input --grouped --epochs --batch --lr --dim --towers --threads --seed; its last
#                    line of JSON has auc_ctr, auc_cvr_clicked, auc_ctcvr
#   --python PROG    with torch, for the peer (python3)
#   --seeds "1 2 3"  --shapes "1x1 2x2"  servers x workers
#   --input concat|sides  --dim 18  --towers 360,200,80  --lr 1e-3  --batch 2048  --epochs 1
#   --set KEY=VALUE  for esmm alone, after the others; may be given often
#   --max-rows N     only the first N training impressions, for a trial
#   --esmm PROG      (build/release/esmm)
#   --out DIR        keeps raw log, shards, runs and results.tsv there (a temporary directory)
#   --write          puts the table into docs/quality.md, in place of the one of the same --input
#
# One run at a time. The table is mean and standard deviation over the seeds.
set -euo pipefail
cd "$(dirname "$0")/.."

data='' peer='' python=python3 seeds='1 2 3' shapes='1x1 2x2' input=concat dim=18
towers=360,200,80 lr=1e-3 batch=2048 epochs=1 rows=0 esmm=build/release/esmm out='' write=0
extra=()
while [ $# -gt 0 ]; do
    case $1 in
    --data) data=$2 ;;
    --peer) peer=$2 ;;
    --python) python=$2 ;;
    --seeds) seeds=$2 ;;
    --shapes) shapes=$2 ;;
    --input) input=$2 ;;
    --dim) dim=$2 ;;
    --towers) towers=$2 ;;
    --lr) lr=$2 ;;
    --batch) batch=$2 ;;
    --epochs) epochs=$2 ;;
    --set) extra+=("$2") ;;
    --max-rows) rows=$2 ;;
    --esmm) esmm=$2 ;;
    --out) out=$2 ;;
    --write) write=1; shift; continue ;;
    -h | --help) sed -n '2,26s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quality.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
    shift 2
done
[ -d "$data" ] || { echo "quality.sh: give --data DIR; see --help" >&2; exit 2; }
if [ -z "$out" ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out"

# raw_file PART NAME: unpacks it if need be, and cuts the training skeleton.
raw_file() {
    local to=$out/raw/$1/$2.csv from limit=$rows
    [ -e "$to" ] && return
    from=$(find -L "$data/$1" -name "$2*.csv" -o -name "$2*.csv.gz" | sort | head -1)
    [ -n "$from" ] || { echo "quality.sh: no $2*.csv in $data/$1" >&2; exit 1; }
    mkdir -p "$out/raw/$1"
    [ "$1/$2" = train/sample_skeleton ] || limit=0
    if [ "$limit" -gt 0 ]; then
        (gzip -dcf "$from" || true) 2>/dev/null | head -n "$limit" >"$to.tmp" # which ends gzip early
    else
        gzip -dcf "$from" >"$to.tmp"
    fi
    mv "$to.tmp" "$to"
}
for part in train val; do
    raw_file "$part" sample_skeleton
    raw_file "$part" common_features
    [ -e "$out/$part" ] || "$esmm" prep --format aliccp --skeleton "$out/raw/$part/sample_skeleton.csv" \
        --common "$out/raw/$part/common_features.csv" --out "$out/$part" >"$out/prep-$part.log"
done

field() { # NAME FILE: the last number of that name
    grep -o "\"$1\": *[-0-9.e]*" "$2" | tail -1 | sed 's/.*: *//'
}
results=$out/results.tsv
: >"$results"
note() { # PROGRAM SEED FILE
    local ctr cvr ctcvr
    ctr=$(field auc_ctr "$3") cvr=$(field auc_cvr_clicked "$3") ctcvr=$(field auc_ctcvr "$3")
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$ctr" "$cvr" "$ctcvr" | tee -a "$results"
}

for shape in $shapes; do
    for seed in $seeds; do
        run=$out/run-$shape-$seed
        rm -rf "$run"
        set -- train --data "$out/train" --eval "$out/val" --out "$run" --servers "${shape%x*}" \
            --workers "${shape#*x}" --seed "$seed" --epochs "$epochs" --batch "$batch" \
            --set "model.input=$input" --set "model.tower=$towers" --set "table.dim=$dim" \
            --set "table.lr=$lr" --set "dense.lr=$lr"
        for setting in ${extra[@]+"${extra[@]}"}; do
            set -- "$@" --set "$setting"
        done
        "$esmm" "$@" >"$out/run.log" 2>&1 || { cat "$out/run.log" >&2; exit 1; }
        note "esmm $shape" "$seed" "$run/summary.json"
        rm -rf "$run/checkpoints"
    done
done

if [ -z "$peer" ] || [ ! -e "$peer" ]; then
    echo "skipped: no peer program (--peer FILE)"
elif ! "$python" -c 'import numpy, torch' 2>/dev/null; then
    echo "skipped: the peer needs a python with torch and numpy (--python PROG)"
else
    for seed in $seeds; do
        env -u OPENBLAS_CORETYPE "$python" "$peer" --train "$out/raw/train" --eval "$out/raw/val" \
            --input "$input" --grouped --epochs "$epochs" --batch "$batch" --lr "$lr" --dim "$dim" \
            --towers "$towers" --threads 1 --seed "$seed" >"$out/peer-$seed.log"
        note "$(basename "$peer")" "$seed" "$out/peer-$seed.log"
    done
fi

table() {
    echo "| $input, batch $batch, lr $lr, $epochs epoch(s)${extra[*]+, ${extra[*]}} | seeds | CTR, all | CVR, clicked | CTCVR, all |"
    echo '|---|---|---|---|---|'
    awk -F'\t' '
        !($1 in n) { order[++programs] = $1 }
        { n[$1]++; for (k = 3; k <= 5; k++) { s[$1, k] += $k; q[$1, k] += $k * $k } }
        END {
            for (p = 1; p <= programs; p++) {
                name = order[p]; line = "| " name " | " n[name]
                for (k = 3; k <= 5; k++) {
                    mean = s[name, k] / n[name]
                    var = n[name] > 1 ? (q[name, k] - n[name] * mean * mean) / (n[name] - 1) : 0
                    line = line sprintf(" | %.4f ± %.4f", mean, sqrt(var > 0 ? var : 0))
                }
                print line " |"
            }
        }' "$results"
    echo
    scripts/made_on.sh "$esmm" "$run"
}
echo
table | tee "$out/table.md"
if [ "$write" = 1 ]; then
    begin="<!-- quality.sh $input -->"
    grep -qF "$begin" docs/quality.md || printf '\n%s\n<!-- end -->\n' "$begin" >>docs/quality.md
    awk -v begin="$begin" -v table="$out/table.md" '
        $0 == begin { print; while ((getline line < table) > 0) print line; skipping = 1 }
        $0 == "<!-- end -->" { skipping = 0 }
        !skipping' docs/quality.md >"$out/quality.md"
    cp "$out/quality.md" docs/quality.md
fi
