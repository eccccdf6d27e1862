#!/bin/bash
# Seconds to AUC beside other programs (scripts/bench.sh --peers): the log that all of them read, what is run, and what is
# made of it. The times of the runs are not looked at. PYTHON names a python with torch, deepctr-torch and torch-rechub;
# programs that it lacks are left out.
. "$REPO/tests/system/lib.sh"

if ! command -v python3 >/dev/null; then
    echo "skipped: the bench needs python3"
    exit 77
fi
peers=(python3 "$REPO/bench/peers_run.py" --esmm "$ESMM" --out "$dir/bench" --tmp "$TMPDIR")

step "the first value of each field, weight 1; plain and gzip"
mkdir -p "$dir/raw"
printf '1,0,0,u,3,205\x027\x031.0\x01206\x028\x030.5\x01206\x029\x031.0\n2,1,1,u,1,205\x026\x032.0\n' >"$dir/raw/sample_skeleton_x.csv"
printf 'u,2,101\x021\x031.0\x01110_14\x025\x030.69\n' | gzip >"$dir/raw/common_features.csv.gz"
ok python3 "$REPO/scripts/first_values.py" "$dir/raw" "$dir/first"
equal skeleton "$(cat -v "$dir/first/sample_skeleton.csv")" \
    "$(printf '1,0,0,u,2,205\x027\x031.0\x01206\x028\x031.0\n2,1,1,u,1,205\x026\x031.0\n' | cat -v)"
equal "common features" "$(cat -v "$dir/first/common_features.csv")" "$(printf 'u,2,101\x021\x031.0\x01110_14\x025\x031.0\n' | cat -v)"
ok python3 "$REPO/scripts/first_values.py" "$dir/raw" "$dir/cut" --rows 1
equal "impressions of a cut log" "$(wc -l <"$dir/cut/sample_skeleton.csv")" 1
echo '3,0,0' >>"$dir/raw/sample_skeleton_x.csv"
expect 1 python3 "$REPO/scripts/first_values.py" "$dir/raw" "$dir/first"
says "line 3: expected 6 cells, found 3"

step "this program: every evaluation, of each learning rate"
ok "$ESMM" synth --impressions 6000 --holdout 3000 --seed 1 --users 300 --items 300 --ctr 0.2 --cvr 0.2 --out "$dir/log"
mv "$dir/log/eval" "$dir/log/val"
ok "${peers[@]}" --data "$dir/log" --programs esmm-1 --lrs "1e-3 2e-2" --epochs 2 --dim 4 --batch 256 --every 2000 \
    --targets ctr:0.01,ctcvr:0.9999 --esmm-set train.window=6000 --esmm-set train.run=2
says "^bench=peers program=esmm-1 lr=0.001 metric=ctr target=0.01 seconds=[0-9.]+ impressions=[0-9]+ " \
    "^bench=peers program=esmm-1 lr=0.02 metric=ctcvr target=0.9999 seconds=never " \
    "^\| esmm, 1 trainer thread \| .* \| never \|"
trained=$(grep -oE '"impressions": [0-9]+' "$dir/bench/peers/esmm-1-2e-2.jsonl" | grep -oE '[0-9]+' | paste -sd ' ')
equal "impressions of two epochs" "${trained##* }" 12000
[ "$(wc -w <<<"$trained")" -ge 5 ] || die "evaluations at $trained, expected some within the epochs"

step "the report takes the first evaluation that is there, of the rate that is there first"
mkdir -p "$dir/made/peers"
cp "$dir/bench/peers/machine.json" "$dir/made/peers"
evaluation() { # PROGRAM RATE SECONDS CTR CTCVR
    printf '{"program": "%s", "lr": %s, "epoch": 0, "impressions": %s000, "seconds": %s, "cpu_s": %s, "auc_ctr": %s, "auc_cvr": null, "auc_ctcvr": %s, "peak_mb": 1}\n' \
        "$1" "$2" "$3" "$3" "$3" "$4" "$5" >>"$dir/made/peers/$1-$2.jsonl"
}
evaluation torch 0.001 10 0.70 0.8
evaluation torch 0.001 20 0.74 0.9
evaluation torch 0.001 30 0.73 0.7
evaluation torch 0.002 15 0.73 0.8
evaluation rechub 0.001 5 0.60 0.83
printf 'before\n<!-- peers -->\nold\n<!-- /peers -->\nafter\n' >"$dir/page.md"
ok python3 "$REPO/bench/peers_run.py" --report --out "$dir/made" --targets ctr:0.73,ctcvr:0.85 --into "$dir/page.md"
says '^\| PyTorch, SparseAdam \| 1.0 k \| 15.0 s \(0.002\) \| 20.0 s \(0.001\) \| 0.7400 \| 0.9000 \|$' \
    '^\| torch-rechub 0.9.0 \| 1.0 k \| never \| never \| 0.6000 \| 0.8300 \|$' \
    '^bench=peers program=torch lr=0.001 metric=ctr target=0.73 seconds=20 impressions=20000 '
equal "first and last line of the page" "$(sed -n '1p;$p' "$dir/page.md" | paste -sd ' ')" "before after"
grep -q '20.0 s (0.001)' "$dir/page.md" || die "the page has no table"
ok python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$dir/made/peers.svg"

step "what cannot be is refused"
expect 1 "${peers[@]}" --data "$dir/log" --programs nobody
says "unknown program nobody"
expect 1 "${peers[@]}" --data "$dir/nothing" --programs esmm
says "expected one sample_skeleton\*.csv or .csv.gz, found 0"

for candidate in ${PYTHON:-} python3; do
    if "$candidate" -c 'import torch, numpy' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "${python:-}" ]; then
    echo "left out: the peers need a python with torch and numpy (set PYTHON)"
    exit 0
fi
programs=torch,torch-dense,torch-still
"$python" -W ignore -c 'import deepctr_torch.models.multitask' 2>/dev/null && programs=$programs,deepctr
"$python" -W ignore -c 'import torch_rechub.models.multi_task' 2>/dev/null && programs=$programs,rechub

step "the peers learn: $programs"
ok "${peers[@]}" --data "$dir/log" --python "$python" --programs "$programs" --lrs 1e-2 --epochs 2 --dim 4 --batch 256 \
    --every 2000 --targets ctr:0.55,ctr:0.9999
for program in ${programs//,/ }; do
    says "^bench=peers program=$program lr=0.01 metric=ctr target=0.55 seconds=[0-9.]+ " \
        "^bench=peers program=$program lr=0.01 metric=ctr target=0.9999 seconds=never "
    equal "$program: evaluations" "$(grep -oE '"impressions": [0-9]+' "$dir/bench/peers/$program-1e-2.jsonl" | grep -oE '[0-9]+' |
        paste -sd ' ')" "2048 4096 6000 8048 10096 12000"
done

step "the AUC of peers: equal scores count half"
ok "$python" - "$REPO/bench" <<'PYTHON'
import itertools, random, sys
sys.path.insert(0, sys.argv[1])
import numpy, peers
random.seed(1)
for n in (2, 9, 40):
    scores = [random.randrange(5) for _ in range(n)]
    positive = [True, False] + [random.random() < 0.3 for _ in range(n - 2)]
    pairs = [(a > b) + (a == b) / 2 for (a, p), (b, q) in itertools.product(zip(scores, positive), repeat=2) if p and not q]
    assert abs(peers.auc(numpy.array(scores, float), numpy.array(positive)) - sum(pairs) / len(pairs)) < 1e-12, (n, scores, positive)
PYTHON
