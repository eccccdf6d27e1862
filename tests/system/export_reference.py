"""Recomputes p_ctr, p_cvr and p_ctcvr from an npy export alone and compares them with esmm predict.

usage: export_reference.py EXPORT PREDICTIONS.csv SKELETON.csv COMMON.csv [impressions]

EXPORT is a directory of `esmm export --format npy`; the predictions are those of `esmm predict` with the
same checkpoint, on shards prepared from the raw log SKELETON + COMMON (Ali-CCP's format). Shares no
code with the program: what it knows is in docs/export.md and manifest.json.
"""
import csv
import json
import sys

import numpy as np

MASK = 2**64 - 1


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def load(folder):
    with open(folder + "/manifest.json") as f:
        m = json.load(f)
    for f in m["model"]["fields"]:
        f["ids"] = np.load(folder + "/" + f["ids"])
        f["emb"] = np.load(folder + "/" + f["emb"], mmap_mode="r")
        assert f["ids"].dtype == np.uint64 and f["emb"].dtype == np.float32
        assert f["emb"].shape == (f["rows"], f["dim"]) and f["ids"].shape == (f["rows"],)
        assert (f["ids"][1:] > f["ids"][:-1]).all(), "ids do not ascend"
    model = m["model"]
    stacks = list(model["towers"].values())
    for level in [model, *model.get("levels", [])]:
        stacks += [level.get("experts", []), level.get("gates", {}).values()]
    for layers in stacks:
        for layer in layers:
            layer["w"] = np.load(folder + "/" + layer["w"])
            layer["b"] = np.load(folder + "/" + layer["b"])
            assert layer["w"].shape == (layer["out"], layer["in"])
            assert layer["b"].shape == (layer["out"],)
    for name, path in model.get("attention", {}).items():
        model["attention"][name] = np.load(folder + "/" + path).astype(np.float64)
        assert model["attention"][name].ndim == (1 if name == "g.b" else 2)
    return m


def initial(m, f, feature):
    stream, out = mix(mix(m["seed"]) ^ mix(feature ^ f["salt"])), []
    for k in range((f["dim"] + 1) // 2):
        word = mix(stream ^ k)
        u, v = ((word >> 40) + 0.5) / 2**24, (word % 2**24) / 2**24
        r = f["init_scale"] * np.sqrt(-2 * np.log(u))
        out += [r * np.cos(2 * np.pi * v), r * np.sin(2 * np.pi * v)]
    return np.array(out[: f["dim"]])


def row(m, f, feature, counts):
    at = np.searchsorted(f["ids"], np.uint64(feature))
    if at < len(f["ids"]) and int(f["ids"][at]) == feature:
        counts["rows"] += 1
        return f["emb"][at].astype(np.float64)
    counts["absent"] += 1
    return initial(m, f, feature)


def attend(maps, q1, q2):
    u = np.stack([q2, np.maximum(maps["g.w"] @ q1 + maps["g.b"], 0)])
    k, q, v = (u @ maps[name].T for name in ("k.w", "q.w", "v.w"))
    a = np.exp((k * q).sum(1) / np.sqrt(len(q1)))
    return a @ v / a.sum()


def mixed(level, below, x):
    """The mixtures of a level of experts by the names of its gates; they read x, or mixtures below."""
    outputs = [np.maximum(e["w"].astype(np.float64) @ below.get(e.get("reads"), x) + e["b"], 0)
               for e in level["experts"]]
    above = {}
    for name, gate in level["gates"].items():
        g = np.exp(gate["w"].astype(np.float64) @ below.get(name, x) + gate["b"])
        above[name] = sum(g[k] / g.sum() * outputs[e] for k, e in enumerate(gate["experts"]))
    return above


def predict(m, impression, counts):
    model = m["model"]
    x = np.zeros(model["input_width"])
    for f in model["fields"]:
        for feature, weight in impression.get(f["name"], []):
            x[f["column"] : f["column"] + f["dim"]] += weight * row(m, f, feature, counts)
    p, last = {}, {}
    mixtures = {}
    if "experts" in model:
        for level in [model, *model.get("levels", [])]:
            mixtures = mixed(level, mixtures, x)
    for tower, layers in model["towers"].items():
        h = mixtures.get(tower, x)
        for number, layer in enumerate(layers, 1):
            if number == len(layers):
                last[tower] = h
                if "attention" in model and tower == "ctcvr":
                    h = attend(model["attention"], last["ctr"], h)
            h = layer["w"].astype(np.float64) @ h + layer["b"]
            if layer["activation"] == "relu":
                h = np.maximum(h, 0)
        p[tower] = 1 / (1 + np.exp(-h[0]))
    if "act" in p:  # esm2
        p["cvr"] = p["act"] * p["buy"] + (1 - p["act"]) * p["skip"]
    if "b1" in p:  # chain
        p["cvr"] = np.prod([v for tower, v in p.items() if tower != "ctr"])
    if "ctcvr" in p:  # division, aitm
        p["cvr"] = p["ctcvr"] / p["ctr"]
    return p["ctr"], p["cvr"], p["ctr"] * p["cvr"]


def features(text):
    out = {}
    for item in text.split("\x01"):
        if item:
            field, rest = item.split("\x02")
            feature, weight = rest.split("\x03")
            out.setdefault(field, []).append((int(feature), float(np.float32(weight))))
    return out


def main():
    export, predictions, skeleton, common, *rest = sys.argv[1:]
    limit = int(rest[0]) if rest else 500
    m = load(export)
    want = {}
    with open(predictions) as f:
        for line in csv.DictReader(f):
            want[int(line["impression_id"])] = [
                float(line[k]) for k in ("p_ctr", "p_cvr", "p_ctcvr")
            ]
    users = {}
    with open(common) as f:
        for line in f:
            key, _, text = line.rstrip("\n").split(",", 2)
            users[key] = text
    worst, seen, counts = 0.0, 0, {"rows": 0, "absent": 0}
    with open(skeleton) as f:
        for line in f:
            sample, _, _, key, _, text = line.rstrip("\n").split(",", 5)
            if int(sample) not in want or key not in users:
                continue
            got = predict(m, {**features(users[key]), **features(text)}, counts)
            worst = max(worst, max(abs(g / w - 1) for g, w in zip(got, want[int(sample)])))
            seen += 1
            if seen == limit:
                break
    print(f"{seen} impressions, {counts['rows']} rows and {counts['absent']} initial values used, "
          f"largest relative difference {worst:.3g}")
    if seen == 0 or counts["rows"] == 0 or not worst < 1e-4:
        sys.exit("predictions from the export differ from esmm predict")


main()
