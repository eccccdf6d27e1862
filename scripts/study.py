#!/usr/bin/env python3
"""What order, asynchrony, bf16, batch size and epochs do to AUC (docs/quality.md):

    scripts/study.py --data SHARDS --eval SHARDS [--truth FILE] [--seeds 3] [--jobs 1] [--against NAME]
                     [--cases NAME,...] [--set section.key=value]... [--esmm build/release/esmm] [--tmp DIR]

Every case is the base settings with a few changed, trained with each seed and measured on --eval. Prints a Markdown
table of mean and standard deviation over the seeds, with the median rate of training (one training at a time, if it
is to mean anything). --against NAME adds a table of differences to that case: of the means, with their 95 % intervals
(Welch). Python's standard library only.
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

FIGURES = ["auc_ctr", "auc_cvr_clicked", "auc_ctcvr", "auc_cvr_entire"]


def batch(size, rates):
    """Batch `size` and learning rates times `rates`."""
    return dict(batch=size, rates=rates)


def hybrid(workers, in_flight, threads=1):
    """Dense parameters synchronous, rows pulled ahead."""
    return dict(workers=workers, threads=threads,
                settings=["train.consistency=hybrid", f"train.in_flight={in_flight}"])


MIXED = 1000000  # impressions of a window: all, in the logs here


def order(window, run):
    """Runs of at most `run` impressions of a group (0: whole groups), mixed within windows."""
    return dict(settings=[f"train.window={window}", f"train.run={run}"])


# name: workers, threads, settings, and the rest of what a case may change
CASES = {
    "base": dict(),
    "within a shard": order(0, 0), "whole groups": order(MIXED, 0), "runs of 8": order(MIXED, 8),
    "runs of 4": order(MIXED, 4), "runs of 2": order(MIXED, 2), "single impressions": order(MIXED, 1),
    "batch 512": batch(512, 1), "batch 512, lr / 2": batch(512, 0.5),
    "batch 1024": batch(1024, 1),
    "batch 4096": batch(4096, 1), "batch 4096, lr x 1.4": batch(4096, 2 ** 0.5), "batch 4096, lr x 2": batch(4096, 2),
    "batch 16384": batch(16384, 1), "batch 16384, lr x 2.8": batch(16384, 8 ** 0.5),
    "batch 16384, lr x 8": batch(16384, 8),
    "rmsprop": dict(settings=["table.optimizer=rmsprop"]),
    "rowwise rmsprop": dict(settings=["table.optimizer=rowwise_rmsprop"]),
    "adam, beta1 0.5": dict(settings=["table.beta1=0.5"]),
    "2 epochs": dict(settings=["train.epochs=2"]), "3 epochs": dict(settings=["train.epochs=3"]),
    "state u8": dict(settings=["table.state=u8"]), "state bf16": dict(settings=["table.state=bf16"]),
    "weights bf16": dict(settings=["table.weights=bf16"]),
    "u8 and bf16": dict(settings=["table.state=u8", "table.weights=bf16"]),
    "bf16 wire": dict(settings=["wire.values=bf16"]),
    "bf16 wire and products": dict(settings=["wire.values=bf16", "compute.precision=bf16"]),
    "sync 4 workers": dict(workers=4, settings=["train.consistency=sync"]),
    "async 4 workers": dict(workers=4), "async 8 workers": dict(workers=8),
    "async, 2 in flight": dict(settings=["train.in_flight=2"]),
    "async, 4 in flight": dict(settings=["train.in_flight=4"]),
    "async, 8 in flight": dict(settings=["train.in_flight=8"]),
    "async, 16 in flight": dict(settings=["train.in_flight=16"]),
    "async 2 workers, 16 in flight": dict(workers=2, settings=["train.in_flight=16"]),
    "hybrid, 2 in flight": hybrid(1, 2), "hybrid, 4 in flight": hybrid(1, 4),
    "hybrid, 8 in flight": hybrid(1, 8), "hybrid, 16 in flight": hybrid(1, 16),
    "hybrid 2 workers, 16 in flight": hybrid(2, 16), "hybrid 4 workers": hybrid(4, 2),
    "hybrid 4 workers, 8 in flight": hybrid(4, 8),
    "async 4 workers of 4 threads": dict(workers=4, threads=4),
    "sync 4 workers of 4 threads": dict(workers=4, threads=4, settings=["train.consistency=sync"]),
    "hybrid 4 workers of 4 threads": hybrid(4, 2, 4),
}


def train_and_measure(args, name, seed):
    case = CASES[name]
    out = tempfile.mkdtemp(prefix="esmm-study-", dir=args.tmp)
    try:
        settings = list(args.set)
        if "batch" in case:
            settings.append(f"train.batch={case['batch']}")
        for key in ("table.lr", "dense.lr"):
            rate = next((float(s.split("=")[1]) for s in reversed(args.set) if s.startswith(key + "=")), 0.001)
            settings.append(f"{key}={rate * case.get('rates', 1):.6g}")
        settings += case.get("settings", [])
        command = [args.esmm, "train", "--data", args.data, "--out", out + "/run",
                   "--workers", str(case.get("workers", 1)), "--threads", str(case.get("threads", 1)), "--set", "train.in_flight=1"]
        for s in settings + [f"train.seed={seed}"]:
            command += ["--set", s]
        run(command)
        with open(out + "/run/summary.json") as f:
            summary = json.load(f)
        command = [args.esmm, "eval", "--checkpoint", out + "/run", "--data", args.eval, "--bootstrap", "0", "--json"]
        figures = json.loads(run(command + (["--truth", args.truth] if args.truth else [])))
        args.made_on = run([os.path.join(os.path.dirname(__file__), "made_on.sh"), args.esmm, out + "/run"])
        staleness = summary["staleness"]
        return [figures.get(k) for k in FIGURES] + [staleness["mean"], staleness["dense_mean"], summary["impressions_per_s"]]
    finally:
        shutil.rmtree(out, ignore_errors=True)


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"study: {' '.join(command)} failed: {result.stderr.strip()}")
    return result.stdout


def cell(values):
    if None in values:
        return "-"
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def t_95(freedom):
    """The 97.5 % quantile of Student's t, by Cornish and Fisher's expansion (0.2 % off from 4 on)."""
    z = 1.959964
    return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2) + \
        (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3)


def difference(a, b):
    """Mean of a minus mean of b and the half-width of its 95 % interval, variances not assumed equal (Welch 1947)."""
    if None in a or None in b or len(a) < 2 or len(b) < 2:
        return "-"
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    half = 0.0
    if va + vb > 0:
        freedom = (va + vb) ** 2 / (va ** 2 / (len(a) - 1) + vb ** 2 / (len(b) - 1))
        half = t_95(freedom) * (va + vb) ** 0.5
    return f"{statistics.mean(a) - statistics.mean(b):+.4f} ± {half:.4f}"


def print_differences(results, against):
    print(f"\n| minus {against}, 95 % | CTR, all | CVR, clicked | CTCVR, all | CVR, entire space |\n|---|---|---|---|---|")
    for name, columns in results.items():
        if name != against:
            print(f"| {name} | " + " | ".join(difference(columns[k], results[against][k]) for k in range(len(FIGURES))) + " |")


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--data", required=True)
    ap.add_argument("--eval", required=True)
    ap.add_argument("--truth")
    ap.add_argument("--seeds", type=int, default=3)
    ap.add_argument("--jobs", type=int, default=1, help="trainings at a time; more makes staleness differ")
    ap.add_argument("--against", help="one of the cases")
    ap.add_argument("--cases", default=",".join(CASES), help="of: " + ", ".join(CASES))
    ap.add_argument("--set", action="append", default=[], help="of all cases")
    ap.add_argument("--esmm", default="build/release/esmm")
    ap.add_argument("--tmp")
    args = ap.parse_args()
    names = []
    rest = args.cases
    while rest:  # names have commas of their own
        name = max((n for n in CASES if rest == n or rest.startswith(n + ",")), key=len, default=None)
        if name is None:
            sys.exit(f"study: no case begins '{rest}'")
        names.append(name)
        rest = rest[len(name) + 1:]
    if args.against and args.against not in names:
        sys.exit(f"study: --against {args.against} is none of the cases")
    results = {}
    print("| case | CTR, all | CVR, clicked | CTCVR, all | CVR, entire space | mean staleness: rows | dense | k impressions/s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name in names:
            rows = list(pool.map(lambda s, n=name: train_and_measure(args, n, s), range(1, args.seeds + 1)))
            results[name] = columns = list(zip(*rows))
            print(f"| {name} | " + " | ".join(cell(c) for c in columns[:-3]) +
                  "".join(f" | {statistics.mean(c):.1f}" for c in columns[-3:-1]) +
                  f" | {statistics.median(columns[-1]) / 1000:.1f} |", flush=True)
    if args.against:
        print_differences(results, args.against)
    print("\n" + args.made_on, end="")


if __name__ == "__main__":
    main()
