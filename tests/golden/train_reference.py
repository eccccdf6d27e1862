#!/usr/bin/env python3
"""Trains the same model on the same batches in PyTorch and compares every loss and the final arrays.

    train_reference.py INITIAL FINAL TRACE SKELETON.csv COMMON.csv [--steps N]

INITIAL is `esmm export --format npy` of a run with --max-steps 0, FINAL that of the run under test,
TRACE its logs/trace-0.tsv (--trace --deterministic, one worker, docs/model.md); SKELETON and COMMON are
the raw log, in Ali-CCP's format, that its shards were made of. Needs torch and numpy.

Nothing of the program is used but what its documents say: the configuration in FINAL, the initial values
of docs/export.md, the update rules of ps/table/optimizer.h. The model is written the plain way: one
EmbeddingBag per field, each impression's user side pooled anew, two towers of linear and relu, the loss
from probabilities; everything in float64, so what differs is the program's rounding, and its errors.
torch.optim has the rules for the dense parameters and, of those for rows, sgd, adagrad, and adam and rmsprop as they are
with table.bias_correction = batch (SparseAdam). The others are below.

Fails unless every loss agrees to 1e-4, relative, and each final array to 1e-2 of the way it has come
since the start, in sums of absolute values. Both are wide: the losses agree to 1e-8 and the arrays to 1e-5
until a pre-activation lies so near 0 that rounding puts it on the other side of relu's kink; then Adam, which
divides by the gradient's size, makes a visible difference of a few small gradients (tests/golden/README.md).
"""
import argparse
import configparser
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

LOSS_TOLERANCE = 1e-4
ARRAY_TOLERANCE = 1e-2
ROUNDING = 1e-4  # of a weight counts as way: a float32 weight of 0.1 cannot go 1e-9 a step
MASK = 2**64 - 1


# --- what the program wrote ------------------------------------------------------------------------

def read_export(folder):
    with open(f"{folder}/manifest.json") as f:
        m = json.load(f)
    for field in m["model"]["fields"]:
        field["ids"] = np.load(f"{folder}/{field['ids']}")
        field["emb"] = np.load(f"{folder}/{field['emb']}")
    m["dense"] = {
        f"{tower}.{kind}{k}": np.load(f"{folder}/{layer[kind]}")
        for tower, layers in m["model"]["towers"].items()
        for k, layer in enumerate(layers, 1)
        for kind in ("w", "b")
    }
    ini = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    ini.read_string(m["config"])
    m["config"] = ini
    return m


def read_trace(path, steps):
    batches = []
    with open(path) as f:
        for line in f:
            epoch, shard, batch, count, loss, ctr, ctcvr, ids = line.rstrip("\n").split("\t")
            ids = [int(i) for i in ids.split(",")]
            assert len(ids) == int(count), f"{path}: {count} impressions, {len(ids)} ids"
            batches.append(((int(epoch), int(shard), int(batch)), float(loss), ids))
    names = [name for name, _, _ in batches]
    assert len(set(names)) == len(names), f"{path}: a batch was trained twice"
    seen = [(name[0], i) for name, _, ids in batches for i in ids]
    assert len(set(seen)) == len(seen), f"{path}: an impression came twice in one epoch"
    assert steps is None or len(batches) == steps, f"{path}: {len(batches)} steps, not {steps}"
    return batches


def read_log(skeleton, common, wanted):
    """{impression id: (click, click and conversion, {(side, field): [(id, weight)]})}"""
    def features(side, text):
        out = {}
        for item in filter(None, text.split("\x01")):
            field, rest = item.split("\x02")
            feature, weight = rest.split("\x03")
            out.setdefault((side, field), []).append((int(feature), float(np.float32(weight))))
        return out

    users, out = {}, {}
    with open(common) as f:
        for line in f:
            key, _, text = line.rstrip("\n").split(",", 2)
            users[key] = text
    with open(skeleton) as f:
        for line in f:
            sample, click, conversion, key, _, text = line.rstrip("\n").split(",", 5)
            if int(sample) in wanted:
                click = int(click)
                out[int(sample)] = (click, click & int(conversion),
                                    {**features("user", users[key]), **features("item", text)})
    assert len(out) == len(wanted), f"{skeleton} lacks {len(wanted) - len(out)} traced impressions"
    return out


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def initial_row(seed, field, feature):
    stream, out = mix(mix(seed) ^ mix(feature ^ field["salt"])), []
    for k in range((field["dim"] + 1) // 2):
        word = mix(stream ^ k)
        u, v = ((word >> 40) + 0.5) / 2**24, (word % 2**24) / 2**24
        r = field["init_scale"] * np.sqrt(-2 * np.log(u))
        out += [r * np.cos(2 * np.pi * v), r * np.sin(2 * np.pi * v)]
    return out[: field["dim"]]


# --- update rules ----------------------------------------------------------------------------------

class Settings:
    """The optimizer keys of a section; [field.NAME] comes before [table]."""

    def __init__(self, ini, *sections):
        def get(key):
            return next(ini[s][key] for s in sections if ini.has_option(s, key))

        self.kind, self.lr = get("optimizer"), float(get("lr"))
        names = ["beta1", "beta2", "eps", "l2", "decay"]
        if "table" in sections:
            names += ["adagrad_init", "ftrl_l1", "ftrl_l2", "ftrl_beta"]
            assert get("admit_after") == "1" and get("evict_age") == "0", "rows must come and stay"
            self.bias_correction = get("bias_correction")
        for name in names:
            setattr(self, name, float(get(name)))


class RowRule:
    """Updates the rows that a batch holds; each row has its own count of updates."""

    def __init__(self, o, weight):
        self.o, self.w = o, weight
        self.step = torch.zeros(len(weight), 1, dtype=torch.int64)
        self.batches = 0
        width = 1 if o.kind.startswith("rowwise_") else weight.shape[1]
        self.s = [torch.zeros(len(weight), width, dtype=weight.dtype) for _ in range(2)]
        if o.kind == "rowwise_adagrad":
            self.s[0] += o.adagrad_init
        if o.kind == "ftrl":  # z such that the rule's own w(z) is the initial weight
            w = weight.detach()
            self.s[0] = -w * (o.ftrl_beta / o.lr + o.ftrl_l2) - torch.sign(w) * o.ftrl_l1

    def apply(self, rows, g, lr):
        o, w = self.o, self.w.data[rows]
        self.step[rows] += 1
        self.batches += 1
        by_row = o.bias_correction == "row"
        t, (a, b) = self.step[rows].double() if by_row else self.batches, (self.s[0][rows], self.s[1][rows])
        if o.kind == "adam":
            a = o.beta1 * a + (1 - o.beta1) * g
            b = o.beta2 * b + (1 - o.beta2) * g**2
            w -= lr * (a / (1 - o.beta1**t)) / ((b / (1 - o.beta2**t)).sqrt() + o.eps)
        elif o.kind in ("rmsprop", "rowwise_rmsprop"):
            g2 = g**2 if o.kind == "rmsprop" else (g**2).mean(1, keepdim=True)
            a = o.beta2 * a + (1 - o.beta2) * g2
            c2 = 1 - o.beta2**t
            w -= lr * g / ((a / c2).sqrt() + o.eps if by_row else (a.sqrt() + o.eps) / c2**0.5)
        elif o.kind == "rowwise_adagrad":
            a = a + (g**2).mean(1, keepdim=True)
            w -= lr * g / (a.sqrt() + o.eps)
        elif o.kind == "ftrl":
            n = b + g**2
            a = a + g - (n.sqrt() - b.sqrt()) / o.lr * w
            b = n
            w = -(a - torch.sign(a) * o.ftrl_l1) / ((o.ftrl_beta + n.sqrt()) / o.lr + o.ftrl_l2)
            w = torch.where(a.abs() <= o.ftrl_l1, torch.zeros_like(w), w)
        else:
            raise ValueError(f"no rule {o.kind}")
        self.w.data[rows], self.s[0][rows], self.s[1][rows] = w, a, b


def rows_optimizer(o, weight):
    """torch's own where it has the rule, else RowRule."""
    if o.kind == "sgd":
        return torch.optim.SGD([weight], lr=o.lr)
    if o.kind == "adagrad":
        return torch.optim.Adagrad([weight], lr=o.lr, eps=o.eps,
                                   initial_accumulator_value=o.adagrad_init)
    if o.kind == "adam" and o.bias_correction == "batch":
        return torch.optim.SparseAdam([weight], lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps)
    if o.kind == "rmsprop" and o.bias_correction == "batch":
        return torch.optim.SparseAdam([weight], lr=o.lr, betas=(0, o.beta2), eps=o.eps)
    return RowRule(o, weight)


def update_rows(rule, o, weight, scale):
    g = weight.grad.coalesce()
    rows, values = g.indices()[0], g.values()
    values = values + o.l2 * weight.data[rows]
    weight.data[rows] *= 1 - o.lr * scale * o.decay  # the rules below do not read the weight but to change it
    assert o.decay == 0 or o.kind != "ftrl"
    if isinstance(rule, RowRule):
        rule.apply(rows, values, o.lr * scale)
    else:
        weight.grad = torch.sparse_coo_tensor(g.indices(), values, g.shape,
                                              check_invariants=False)
        rule.param_groups[0]["lr"] = o.lr * scale
        rule.step()
    weight.grad = None


def dense_optimizer(o, parameters):
    assert o.decay == 0 or (o.kind == "adam" and o.l2 == 0), "torch has it so in AdamW alone"
    if o.kind == "sgd":
        return torch.optim.SGD(parameters, lr=o.lr, weight_decay=o.l2)
    if o.decay > 0:
        return torch.optim.AdamW(parameters, lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps,
                                 weight_decay=o.decay)
    return torch.optim.Adam(parameters, lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps,
                            weight_decay=o.l2)


# --- the model -------------------------------------------------------------------------------------

class Reference:
    def __init__(self, start, final, log):
        self.fields, ini = start["model"]["fields"], final["config"]
        self.sides = start["model"]["input"] == "sides"
        self.layers = len(start["model"]["towers"]["ctr"])
        self.ctcvr_weight = float(ini["model"]["ctcvr_weight"])
        assert float(ini["model"]["dropout"]) == 0, "there are no masks here"
        self.warmup = int(ini["train"]["warmup_steps"])
        self.log, self.step = log, 0
        for field in self.fields:
            assert field["rows"] == 0, "INITIAL has rows: it must be of --max-steps 0"
            key = (field["side"], field["name"])
            used = {i for _, _, bags in log.values() for i, _ in bags.get(key, [])}
            field["known"] = {i: k for k, i in enumerate(sorted(used))}
            values = [initial_row(start["seed"], field, i) for i in sorted(used)]
            field["start"] = torch.tensor(values, dtype=torch.float64).reshape(-1, field["dim"])
            field["w"] = field["start"].clone().requires_grad_(True)
            field["o"] = Settings(ini, f"field.{field['name']}", "table")
            field["rule"] = rows_optimizer(field["o"], field["w"]) if used else None
        self.dense = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True)
                      for k, v in start["dense"].items()}
        self.dense_o = Settings(ini, "dense")
        self.dense_rule = dense_optimizer(self.dense_o, list(self.dense.values()))

    def pool(self, field, ids):
        index, weight, offsets = [], [], []
        for i in ids:
            offsets.append(len(index))
            for feature, w in self.log[i][2].get((field["side"], field["name"]), []):
                index.append(field["known"][feature])
                weight.append(w)
        if not index:
            return torch.zeros(len(ids), field["dim"], dtype=torch.float64)
        return F.embedding_bag(torch.tensor(index), field["w"], torch.tensor(offsets), mode="sum",
                               sparse=True,
                               per_sample_weights=torch.tensor(weight, dtype=torch.float64))

    def tower(self, name, x):
        for k in range(1, self.layers + 1):
            x = F.linear(x, self.dense[f"{name}.w{k}"], self.dense[f"{name}.b{k}"])
            if k < self.layers:
                x = torch.relu(x)
        return x[:, 0]

    def loss(self, ids):
        pooled = [self.pool(f, ids) for f in self.fields]
        if self.sides:
            pooled = [sum(p for p, f in zip(pooled, self.fields) if f["side"] == side)
                      for side in ("user", "item")]
        x = torch.cat(pooled, 1)
        click, both = (torch.tensor([self.log[i][k] for i in ids], dtype=torch.float64)
                       for k in (0, 1))
        p = torch.sigmoid(self.tower("ctr", x))
        q = torch.sigmoid(self.tower("cvr", x))
        return (F.binary_cross_entropy(p, click)
                + self.ctcvr_weight * F.binary_cross_entropy(p * q, both))

    def train(self, ids):
        loss = self.loss(ids)
        loss.backward()
        self.step += 1
        scale = min(1.0, self.step / self.warmup) if self.warmup > 0 else 1.0
        self.dense_rule.param_groups[0]["lr"] = self.dense_o.lr * scale
        self.dense_rule.step()
        self.dense_rule.zero_grad()
        for field in self.fields:
            if field["w"].grad is not None:
                update_rows(field["rule"], field["o"], field["w"], scale)
        return loss.item()


# --- comparing -------------------------------------------------------------------------------------

def compare_arrays(final, start, reference):
    """The largest relative difference of an array, and which one."""
    worst = (0.0, "")

    def compare(name, got, want, origin):
        nonlocal worst
        way = np.abs(want - origin).sum() + ROUNDING * np.abs(want).sum()
        gap = np.abs(got.astype(np.float64) - want).sum()
        relative = gap / way if way > 0 else (0.0 if gap == 0 else np.inf)
        worst = max(worst, (relative, name))

    for name, got in final["dense"].items():
        compare(name, got, reference.dense[name].detach().numpy(), start["dense"][name])
    for field, ours in zip(final["model"]["fields"], reference.fields):
        assert field["name"] == ours["name"]
        if list(field["ids"]) != list(ours["known"]):
            sys.exit(f"field {field['name']}: the rows are not those of the traced impressions")
        compare("field " + field["name"], field["emb"], ours["w"].detach().numpy(),
                ours["start"].numpy())
    return worst


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name in ("initial", "final", "trace", "skeleton", "common"):
        ap.add_argument(name)
    ap.add_argument("--steps", type=int, help="fail unless the trace has so many")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.disable()  # as ever; torch 2.13 warns unless told
    start, final = read_export(a.initial), read_export(a.final)
    batches = read_trace(a.trace, a.steps)
    log = read_log(a.skeleton, a.common, {i for _, _, ids in batches for i in ids})
    reference = Reference(start, final, log)
    worst, where, first, last = 0.0, 0, None, None
    for step, (_, got, ids) in enumerate(batches, 1):
        want = reference.train(ids)
        gap = abs(got - want) / want
        if not gap <= worst:
            worst, where = gap, step
        first, last = first or want, want
    array, name = compare_arrays(final, start, reference)
    rows = sum(len(f["known"]) for f in reference.fields)
    print(f"{len(batches)} steps, {len(log)} impressions, {rows} rows: loss {first:.5f} to {last:.5f}; "
          f"largest relative difference of a loss {worst:.2g} (step {where}), "
          f"of an array's way {array:.2g} ({name})")
    if not worst <= LOSS_TOLERANCE:
        sys.exit(f"the losses differ from PyTorch's by more than {LOSS_TOLERANCE:g}")
    if not array <= ARRAY_TOLERANCE:
        sys.exit(f"final arrays differ from PyTorch's by more than {ARRAY_TOLERANCE:g} of their way")


main()
