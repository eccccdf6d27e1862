#!/usr/bin/env python3
"""Seconds to AUC: this program beside others, on the same rows, fields and sizes; scripts/bench.sh --peers is the way in.

    peers_run.py --data DIR --out DIR --python PYTHON-WITH-THE-PEERS [option...]
    peers_run.py --report --out DIR [--into PAGE.md] [--svg PICTURE.svg]

Every program (PROGRAMS) trains on the first value of each field (scripts/first_values.py) with each of three learning
rates, one run at a time, and is evaluated every 100 k impressions; the clock stands for reading, start-up and evaluation.
A run's evaluations are OUT/peers/PROGRAM-RATE.jsonl. Who is run again has its own files replaced, and the report counts
all that are there: OUT/peers.md, OUT/peers.svg, and lines 'bench=peers key=value...' on standard output.
"""
import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

from peers_report import lines, page, picture
from report import put
from run import ESMM, ROOT, call, machine

TOWERS = "360,200,80"
# name: arguments of bench/peers.py
PEERS = {"torch": ["--program", "torch"],
         "torch-dense": ["--program", "torch", "--dense"],
         "torch-still": ["--program", "torch", "--beta1", 0],
         "deepctr": ["--program", "deepctr"],
         "rechub": ["--program", "rechub"]}
# name: trainer threads of the one worker, and settings
OURS = {"esmm": (2, []), "esmm-1": (1, []), "esmm-rowwise": (2, ["table.optimizer=rowwise_rmsprop"])}
PROGRAMS = [*PEERS, *OURS]


# --- the log -------------------------------------------------------------------------------------------------

def make_log(args, work):
    """WORK/{train,val}: the raw log with one value a field; WORK/shards-{train,val}."""
    for part in ("train", "val"):
        rows = ["--rows", args.rows] if args.rows and part == "train" else []
        call(sys.executable, os.path.join(ROOT, "scripts", "first_values.py"), os.path.join(args.data, part),
             f"{work}/{part}", *rows)
        call(args.esmm, "prep", "--format", "aliccp", "--skeleton", f"{work}/{part}/sample_skeleton.csv",
             "--common", f"{work}/{part}/common_features.csv", "--out", f"{work}/shards-{part}")


# --- a run of each ---------------------------------------------------------------------------------------------

def run_peer(args, work, name, lr):
    """The evaluations of one training, as the peer prints them. Its threads sleep while they wait for each other: where
    they spin, which is their default, and anything else is running, PyTorch takes three times as long."""
    command = [args.python, "-W", "ignore", os.path.join(ROOT, "bench", "peers.py"), *PEERS[name], "--train",
               f"{work}/train", "--eval", f"{work}/val", "--lr", lr, "--epochs", args.epochs, "--batch", args.batch,
               "--dim", args.dim, "--towers", TOWERS, "--every", args.every, "--threads", 2, "--seed", args.seed,
               "--targets", args.targets]
    environment = {"OMP_WAIT_POLICY": "passive",
                   **{k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}}
    text = call(*command, env=environment)
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def run_esmm(args, work, name, lr):
    run = f"{work}/run"
    threads, own = OURS[name]
    shutil.rmtree(run, ignore_errors=True)
    settings = ["model.input=concat", f"model.tower={TOWERS}", f"table.dim={args.dim}", f"table.lr={lr}",
                f"dense.lr={lr}", f"eval.every_impressions={args.every}", *own, *args.esmm_set]
    command = [args.esmm, "train", "--data", f"{work}/shards-train", "--eval", f"{work}/shards-val", "--out", run,
               "--servers", 1, "--workers", 1, "--threads", threads, "--epochs", args.epochs,
               "--batch", args.batch, "--seed", args.seed]
    for s in settings:
        command += ["--set", s]
    call(*command)
    return list(esmm_evaluations(run))


def esmm_evaluations(run):
    """What peers.py prints, from RUN/metrics.jsonl: evaluations wherever they come. CPU time is that of the whole job,
    its evaluations too, by the impression."""
    with open(os.path.join(run, "summary.json")) as f:
        summary = json.load(f)
    usage = summary["usage"].values()
    whole = dict(peak_mb=sum(role["peak_bytes"] for role in usage) // 1000000)
    cpu_s = sum(role["cpu_s"] for role in usage) / summary["impressions"]
    with open(os.path.join(run, "metrics.jsonl")) as f:
        for line in f:
            event = json.loads(line)
            if event.get("event") == "evaluation":
                impressions = event["trained_impressions"]
                yield dict(epoch=event["epoch"], impressions=impressions, seconds=event["train_seconds"],
                           cpu_s=cpu_s * impressions, auc_ctr=event["auc_ctr"],
                           auc_cvr=event["auc_cvr_clicked"], auc_ctcvr=event["auc_ctcvr"], **whole)


def measure(args, work):
    folder = os.path.join(args.out, "peers")
    for lr in args.lrs.split():
        for name in args.programs.split(","):
            evaluations = (run_peer if name in PEERS else run_esmm)(args, work, name, lr)
            if not evaluations:
                sys.exit(f"peers_run: {name} with learning rate {lr} printed no evaluation")
            path = os.path.join(folder, f"{name}-{lr}.jsonl")
            with open(path + ".tmp", "w") as f:
                for e in evaluations:
                    f.write(json.dumps({**e, "program": name, "lr": float(lr), "rows": args.rows}) + "\n")
            os.rename(path + ".tmp", path)
            last = evaluations[-1]
            print(f"{name}, learning rate {lr}: {last['impressions']} impressions in {last['seconds']:.1f} s, "
                  f"AUC ctr {last['auc_ctr']:.4f}, ctcvr {last['auc_ctcvr']:.4f}", flush=True)


# --- report ------------------------------------------------------------------------------------------------------

def results(args):
    """{program: {lr: evaluations}}, programs in the order of PROGRAMS."""
    found = {}
    for path in glob.glob(os.path.join(args.out, "peers", "*.jsonl")):
        with open(path) as f:
            evaluations = [json.loads(line) for line in f]
        found.setdefault(evaluations[0]["program"], {})[evaluations[0]["lr"]] = evaluations
    if not found:
        sys.exit(f"peers_run: no results in {args.out}/peers")
    return {name: dict(sorted(found[name].items())) for name in PROGRAMS if name in found}


def report(args):
    with open(os.path.join(args.out, "peers", "machine.json")) as f:
        where = json.load(f)
    found = results(args)
    targets = [t.split(":") for t in args.targets.split(",")]
    with open(os.path.join(args.out, "peers.md"), "w") as f:
        f.write(page(found, targets, where))
    svg = args.svg or os.path.join(args.out, "peers.svg")
    with open(svg, "w") as f:
        f.write(picture(found, targets))
    if args.into:
        put(args.into, "peers", page(found, targets, where).strip())
    print("\n".join(lines(found, targets)))
    print(f"\n{page(found, targets, where)}\nraw numbers: {args.out}/peers; picture: {svg}")


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--data", help="DIR/train and DIR/val: a log in Ali-CCP's format, .csv or .csv.gz")
    ap.add_argument("--out", required=True)
    ap.add_argument("--python", default=sys.executable, help="with torch, numpy, deepctr-torch, torch-rechub")
    ap.add_argument("--esmm", default=ESMM)
    ap.add_argument("--programs", default=",".join(PROGRAMS), help="of " + ", ".join(PROGRAMS))
    ap.add_argument("--rows", type=int, help="only the first N training impressions, for a trial")
    ap.add_argument("--lrs", default="1e-3 2e-3 4e-3", help="learning rates, with blanks between")
    ap.add_argument("--epochs", type=int, default=3)
    ap.add_argument("--every", type=int, default=100000, help="impressions from evaluation to evaluation")
    ap.add_argument("--batch", type=int, default=2048)
    ap.add_argument("--dim", type=int, default=18)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--targets", default="ctr:0.730,ctr:0.733,ctcvr:0.83,ctcvr:0.84")
    ap.add_argument("--esmm-set", action="append", default=[], metavar="KEY=VALUE", help="for esmm alone")
    ap.add_argument("--tmp", help="where log and shards go meanwhile (300 MB)")
    ap.add_argument("--into", metavar="PAGE", help="puts the tables between <!-- peers --> and <!-- /peers --> there")
    ap.add_argument("--svg", help="where the picture goes (OUT/peers.svg)")
    ap.add_argument("--report", action="store_true", help="of what is there; runs nothing")
    return ap.parse_args()


def main():
    args = arguments()
    unknown = [p for p in args.programs.split(",") if p not in PROGRAMS]
    if unknown:
        sys.exit(f"peers_run: unknown program {unknown[0]}; there are {', '.join(PROGRAMS)}")
    if not args.report:
        if not args.data:
            sys.exit("peers_run: give --data DIR with train and val")
        os.makedirs(os.path.join(args.out, "peers"), exist_ok=True)
        with open(os.path.join(args.out, "peers", "machine.json"), "w") as f:
            json.dump(machine(args.esmm), f)
        with tempfile.TemporaryDirectory(prefix="esmm-peers-", dir=args.tmp) as work:
            make_log(args, work)
            measure(args, work)
    report(args)


if __name__ == "__main__":
    main()
