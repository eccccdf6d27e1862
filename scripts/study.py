#!/usr/bin/env python3
"""What grouping, asynchrony, bf16, batch size and epochs do to AUC (docs/quality.md):

    scripts/study.py --data SHARDS --eval SHARDS [--truth FILE] [--flat SHARDS] [--seeds 3] [--jobs 1]
                     [--cases NAME,...] [--set section.key=value]... [--esmm build/release/esmm] [--tmp DIR]

Every case is the base settings with a few changed, trained with each seed and measured on --eval. --flat is the
same log with every impression a group of its own (scripts/flatten.py), for batches that are shuffled through and
through. Prints a Markdown table of mean and standard deviation over the seeds. Python's standard library only.
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


# name: workers, threads, settings, and the rest of what a case may change
CASES = {
    "base": dict(),
    "flat": dict(flat=True),
    "batch 512": batch(512, 1), "batch 512, lr / 2": batch(512, 0.5),
    "batch 1024": batch(1024, 1),
    "batch 4096": batch(4096, 1), "batch 4096, lr x 1.4": batch(4096, 2 ** 0.5), "batch 4096, lr x 2": batch(4096, 2),
    "batch 16384": batch(16384, 1), "batch 16384, lr x 2.8": batch(16384, 8 ** 0.5),
    "batch 16384, lr x 8": batch(16384, 8),
    "2 epochs": dict(settings=["train.epochs=2"]), "3 epochs": dict(settings=["train.epochs=3"]),
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
        command = [args.esmm, "train", "--data", args.flat if case.get("flat") else args.data, "--out", out + "/run",
                   "--workers", str(case.get("workers", 1)), "--threads", str(case.get("threads", 1)), "--set", "train.in_flight=1"]
        for s in settings + [f"train.seed={seed}"]:
            command += ["--set", s]
        run(command)
        with open(out + "/run/summary.json") as f:
            staleness = json.load(f)["staleness"]
        command = [args.esmm, "eval", "--checkpoint", out + "/run", "--data", args.eval, "--bootstrap", "0", "--json"]
        figures = json.loads(run(command + (["--truth", args.truth] if args.truth else [])))
        args.made_on = run([os.path.join(os.path.dirname(__file__), "made_on.sh"), args.esmm, out + "/run"])
        return [figures.get(k) for k in FIGURES] + [staleness["mean"], staleness["dense_mean"]]
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


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--data", required=True)
    ap.add_argument("--eval", required=True)
    ap.add_argument("--truth")
    ap.add_argument("--flat")
    ap.add_argument("--seeds", type=int, default=3)
    ap.add_argument("--jobs", type=int, default=1, help="trainings at a time; more makes staleness differ")
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
    print("| case | CTR, all | CVR, clicked | CTCVR, all | CVR, entire space | mean staleness: rows | dense |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name in names:
            if CASES[name].get("flat") and not args.flat:
                continue
            rows = list(pool.map(lambda s, n=name: train_and_measure(args, n, s), range(1, args.seeds + 1)))
            columns = list(zip(*rows))
            print(f"| {name} | " + " | ".join(cell(c) for c in columns[:-2]) +
                  "".join(f" | {statistics.mean(c):.1f}" for c in columns[-2:]) + " |", flush=True)
    print("\n" + args.made_on, end="")


if __name__ == "__main__":
    main()
