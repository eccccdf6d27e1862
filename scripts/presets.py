#!/usr/bin/env python3
"""The paper's table on synthetic logs whose true probabilities are known, where ESMM should help and where
it should not (docs/synth.md, docs/quality.md):

    scripts/presets.py [--presets e,g,f,weak,strong] [--logs 3] [--seeds 1] [--impressions 1200000] [--tmp DIR]
                       [--methods A,B,...] [--threads N] [--set SECTION.KEY=VALUE] [--method-set METHOD:SECTION.KEY=VALUE]
                       [--esmm build/release/esmm]

For every preset and seed of the log: esmm synth, prep, compare. Prints a table a preset: mean over the logs of
the mean over trainings, and the standard deviation between logs. Python's standard library only.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

COLUMNS = [("auc_ctr", "CTR", 100), ("auc_cvr_clicked", "CVR, clicked", 100),
           ("auc_ctcvr_reference", "CTCVR, common CTR", 100), ("auc_cvr_entire", "CVR, entire space", 100),
           ("ratio_cvr_clicked_truth", "predicted/true, clicked", 1), ("ratio_cvr_unclicked", "unclicked", 1),
           ("ratio_cvr_entire", "all", 1)]
MODEL = ["table.dim=8", "model.tower=64,32", "table.lr=0.002", "dense.lr=0.002", "train.batch=4096"]


def call(*command):
    result = subprocess.run([str(x) for x in command], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"presets: {' '.join(map(str, command))} failed")
    return result.stdout


def compare(args, preset, seed, work):
    """One log, made, prepared, compared; the evaluation of every run."""
    log = os.path.join(work, "log")
    call(args.esmm, "synth", "--preset", preset, "--impressions", args.impressions, "--holdout",
         args.impressions // 4, "--seed", seed, "--out", log)
    for part in ("train", "eval"):
        call(args.esmm, "prep", "--format", "aliccp", "--skeleton", f"{log}/{part}/sample_skeleton.csv", "--common",
             f"{log}/{part}/common_features.csv", "--out", os.path.join(work, part))
    out = os.path.join(work, "compare")
    options = [x for s in MODEL + args.set for x in ("--set", s)]
    call(args.esmm, "compare", "--data", f"{work}/train", "--eval", f"{work}/eval", "--truth", f"{log}/eval/truth.bin",
         "--out", out, "--seeds", args.seeds, "--methods", args.methods, "--threads", args.threads, "--bootstrap", 0,
         *options, *(x for s in args.method_set for x in ("--method-set", s)))
    args.made_on = call(os.path.join(os.path.dirname(__file__), "made_on.sh"), args.esmm,
                        next(entry.path for entry in os.scandir(os.path.join(out, "runs"))))
    with open(os.path.join(out, "compare.json")) as f:
        methods = json.load(f)["methods"]
    return [dict(run, method=m["method"], log=seed) for m in methods for run in m["runs"]]


def cell(rows, key, by):
    logs = {}
    for r in rows:
        if r.get(key) is not None:
            logs.setdefault(r["log"], []).append(by * float(r[key]))
    if not logs:
        return "-"
    values = [statistics.mean(v) for v in logs.values()]
    digits = 2
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def table(preset, rows):
    print(f"\nPreset {preset}\n\n| method | " + " | ".join(title for _, title, _ in COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for method in dict.fromkeys(r["method"] for r in rows):
        mine = [r for r in rows if r["method"] == method]
        print(f"| {method} | " + " | ".join(cell(mine, key, by) for key, _, by in COLUMNS) + " |", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--presets", default="e,g,f,weak,strong")
    ap.add_argument("--logs", type=int, default=3, help="logs of each preset, seeds 1 to N")
    ap.add_argument("--seeds", type=int, default=1, help="trainings of each method on each log")
    ap.add_argument("--impressions", type=int, default=1200000, help="to train on; a quarter is held out")
    ap.add_argument("--methods", default="base,aman,oversampling,unbias,division,esmm-ns,esmm,share")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--set", action="append", default=[], help="SECTION.KEY=VALUE, of all methods")
    ap.add_argument("--method-set", action="append", default=[], help="METHOD:SECTION.KEY=VALUE")
    ap.add_argument("--esmm", default="build/release/esmm")
    ap.add_argument("--tmp")
    args = ap.parse_args()
    for preset in args.presets.split(","):
        rows = []
        for seed in range(1, args.logs + 1):
            work = tempfile.mkdtemp(prefix="esmm-presets-", dir=args.tmp)
            try:
                rows += compare(args, preset, seed, work)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        table(preset, rows)
    print("\n" + args.made_on, end="")


if __name__ == "__main__":
    main()
