#!/usr/bin/env bash
# torch-rechub: a second model made from the same features goes on with the first one's tables.
#
# torch-rechub 0.9.0, torch 2.13.0 (CPU). A SparseFeature looks like a description of a column: name, vocabulary,
# width. The embedding table is made when the first model asks it for one, and is kept in the feature. A second
# model, ESMM or any other, that is built from the same list of features gets the very same table: it starts from
# what the first one learnt, and its training changes the first one. Nothing is said. So a comparison of learning
# rates, seeds or models in one process, which builds its features once, trains each model on the rows of the one
# before: AUCs rise from row to row as they do with epochs. manual_seed before the second model does not help.
#
# Seen, with two ESMMs of one list and a third of features made anew:
#     second has the first's table: True; third: False
#     standard deviation of the rows: first 0.6129 after training, second 0.6129, third 0.0001
#     the first's scores after the second was trained: changed
#
# Fails if the second model has rows of its own.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 torch-rechub==0.9.0 \
    2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

cat >"$work/tables.py" <<'PYTHON'
import torch
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.multi_task import ESMM

TOWER = {"dims": [8]}
ROWS = {"user": torch.arange(10), "item": torch.arange(10)}


def features():
    return [SparseFeature("user", 10, embed_dim=4)], [SparseFeature("item", 10, embed_dim=4)]


def model(of):
    torch.manual_seed(1)
    return ESMM(*of, TOWER, TOWER)


def train(esmm, sign):
    optimizer = torch.optim.Adam(esmm.parameters(), 0.1)
    for _ in range(50):
        optimizer.zero_grad()
        (sign * esmm(ROWS)[:, 2].sum()).backward()
        optimizer.step()


def table(esmm):
    return esmm.embedding.embed_dict["user"]


shared = features()
first = model(shared)
train(first, 1)
second, third = model(shared), model(features())
print(f"second has the first's table: {table(first) is table(second)}; third: {table(first) is table(third)}")
spread = [table(m).weight.std().item() for m in (first, second, third)]
print("standard deviation of the rows: first {:.4f} after training, second {:.4f}, third {:.4f}".format(*spread))
with torch.no_grad():
    before = first(ROWS)[:, 2].clone()
train(second, -1)
with torch.no_grad():
    same = torch.equal(before, first(ROWS)[:, 2])
print("the first's scores after the second was trained:", "the same" if same else "changed")
raise SystemExit(table(first) is not table(second) or table(first) is table(third) or same)
PYTHON
"$work/venv/bin/python" -W ignore "$work/tables.py" 2>"$work/run.log" || { cat "$work/run.log" >&2; exit 1; }
