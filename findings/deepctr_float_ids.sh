#!/usr/bin/env bash
# deepctr-torch: ids of 2^24 and more fall together before they reach the embedding table.
#
# deepctr-torch 0.3.0, torch 2.13.0 (CPU). predict (and fit) put all columns of an input, ids of sparse features too,
# into one float32 matrix, and the model turns them back into whole numbers when it looks a row up. A float32 has 24
# bits of mantissa: from 16,777,216 on odd ids do not exist in it. So of a table with more rows than that, which
# SparseFeat accepts, every second row is never read and never trained, and its ids get the row of a neighbour, without
# a word. Looked up by themselves the rows differ, and so do the scores if the model is called with float64 columns.
#
# Seen, with a table of 2^24 + 3 rows:
#     id           16777214  16777215  16777216  16777217  16777218
#     row differs from the one before: True True True True
#     predict      differs from the one before: True True False True
#     float64 call differs from the one before: True True True True
#
# Fails if predict tells 16777216 and 16777217 apart.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 pandas==3.1.1 \
    scikit-learn==1.9.1 requests==2.34.2 deepctr-torch==0.3.0 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

cat >"$work/ids.py" <<'PYTHON'
import numpy as np
import torch
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models.multitask import ESMM

BORDER = 2 ** 24
ids = np.arange(BORDER - 2, BORDER + 3)
torch.manual_seed(1)
model = ESMM([SparseFeat("item", BORDER + 3, embedding_dim=2)], tower_dnn_hidden_units=(4,), init_std=0.5)


def steps(values):
    values = np.asarray(values, np.float64).reshape(len(ids), -1)
    return [bool(np.any(a != b)) for a, b in zip(values, values[1:])]


with torch.no_grad():
    rows = model.embedding_dict["item"].weight[torch.tensor(ids)].numpy()
    called = model.eval()(torch.tensor(ids, dtype=torch.float64).reshape(-1, 1))
predicted = model.predict({"item": ids})
print("id           " + "  ".join(map(str, ids)))
for name, values in (("row", rows), ("predict     ", predicted), ("float64 call", called)):
    print(name, "differs from the one before:", *steps(values))
raise SystemExit(steps(rows)[2] is not True or steps(predicted)[2] is not False)
PYTHON
"$work/venv/bin/python" -W ignore "$work/ids.py" 2>"$work/run.log" || { cat "$work/run.log" >&2; exit 1; }
