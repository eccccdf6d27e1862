#!/usr/bin/env bash
# TorchRec's AUC follows the order of the file where scores are equal.
#
# torchrec 1.8.0 (torchrec.metrics.auc.compute_auc, which AUCMetric uses; fbgemm-gpu-cpu 1.8.0,
# torch 2.13.0, CPU). A model that gives every impression the same score knows nothing: its AUC is
# 0.5. TorchRec sorts by score and adds up trapezoids sample by sample, ties included, and the sort
# is not stable: 200,000 impressions with one score, a tenth of them clicked, have an AUC of 0.296
# if the clicked ones come first in the file and of 0.704 if they come last; of 16 impressions it is
# 1.0 and 0.0. Scores rounded to two decimals, as exports often have them, move by a thousandth or two.
#
# Seen:
#     impressions  scores      exact   clicked first  clicked last
#              16  one         0.5000         1.0000        0.0000
#          200000  one         0.5000         0.2963        0.7037
#          200000  2 decimals  0.7581         0.7567        0.7596
#          200000  float32     0.7588         0.7588        0.7588
#
# So an AUC of a collapsed or a coarse model is not comparable with ours, which counts a tie as half.
# Fails if the figures for one score are within 0.1 of 0.5, that is, if ties are counted.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip=("$work/venv/bin/pip" install -q --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==2.4.6 tensordict==0.15.3 \
    torchmetrics==1.0.3 pyre-extensions==0.0.32 tqdm==4.70.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
"${pip[@]}" --no-deps torchrec==1.8.0 fbgemm-gpu-cpu==1.8.0 2>"$work/pip.log" ||
    { cat "$work/pip.log" >&2; exit 1; }

cat >"$work/ties.py" <<'PYTHON'
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
import torchrec
from torchrec.metrics.auc import compute_auc


def exact(score, label):
    _, place = np.unique(score, return_inverse=True)
    positive, negative = np.bincount(place, label), np.bincount(place, 1 - label)
    below = np.cumsum(negative) - negative / 2
    return (positive * below).sum() / positive.sum() / negative.sum()


def reported(score, label):
    row = [[torch.tensor(x.copy(), dtype=torch.float32)[None]] for x in (score, label)]
    return compute_auc(1, *row, [torch.ones(1, len(label))]).item()


print(f"torchrec {torchrec.__version__}, torch {torch.__version__}")
print("impressions  scores      exact   clicked first  clicked last")
tied = []
for count, name in ((16, "one"), (200000, "one"), (200000, "2 decimals"), (200000, "float32")):
    label = np.zeros(count)
    label[: count // 10] = 1
    draw = np.random.default_rng(1).normal(size=count) + label
    score = (1 / (1 + np.exp(3 - draw))).astype(np.float32)
    score = {"one": np.full(count, 0.25), "2 decimals": np.round(score, 2)}.get(name, score)
    first, last = reported(score, label), reported(score[::-1], label[::-1])
    print(f"{count:11d}  {name:10s}  {exact(score, label):.4f}  {first:13.4f}  {last:12.4f}")
    if name == "one":
        tied += [first, last]
raise SystemExit(any(abs(auc - 0.5) < 0.1 for auc in tied))
PYTHON
"$work/venv/bin/python" "$work/ties.py" 2>"$work/run.log" || { cat "$work/run.log" >&2; exit 1; }
