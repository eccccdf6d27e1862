#!/usr/bin/env python3
"""Our tables beside FBGEMM's: rows a CPU second, pulled and pushed; scripts/bench.sh --tables is the way in.

    tables_run.py --out DIR --python PYTHON-WITH-FBGEMM [--cases 4e6:1e5:0,...] [--rounds N] [--seconds S]
    tables_run.py --report --out DIR [--into PAGE.md]

A case is rows:keys of a request:Zipf exponent. In every round, one after the other, with the same keys: FBGEMM
(bench/tables.py, one thread and two; the better counts), a partition in process (bench_requests) and a server
over ipc (bench_server; its own CPU, and a push is what a pull with a push takes more than a pull). Each is one line of
OUT/tables.jsonl. A figure of the report is the median of the rounds; a ratio is taken within a round, then its median.
"""
import argparse
import json
import os
import sys
import tempfile

from report import cases, median, put, table, times
from run import BUILD, ESMM, ROOT, call, figures_of, machine

DIM = 20  # FBGEMM refuses 18
CASES = "4e6:1e5:0,4e6:1e4:0,4e6:1e5:1.05,4e6:1e4:1.05,1e7:1e5:0,1e7:1e5:1.05"
OPTIMIZERS = ("sgd", "rowwise_adagrad", "adam")  # FBGEMM has the first two on a CPU
NAMES = {"fbgemm": "FBGEMM", "process": "ours, in process", "server": "ours, a server over ipc"}


def run_fbgemm(args, rows, keys_file):
    """By optimizer, the better of its numbers of threads for pulls and for pushes."""
    text = call(args.python, "-W", "ignore", os.path.join(ROOT, "bench", "tables.py"), "--rows", rows, "--keys", keys_file,
                "--dim", DIM, "--seconds", args.seconds,
                env={**os.environ, "OMP_WAIT_POLICY": "passive", "THP_MEM_ALLOC_ENABLE": "1"})
    best = {}
    for line in (json.loads(x) for x in text.splitlines() if x.startswith("{")):
        mine = best.setdefault(line["optimizer"], line)
        for figure in ("pull", "push"):
            mine[figure] = max(mine[figure], line[figure])
    return best


def run_process(args, common):
    f = next(figures_of(call(os.path.join(BUILD, "bench_requests"), *common, "--runs", 1), "requests"))
    return dict(pull=f["pull"], push=f["push_ticket"], push_key=f["push_key"], row_bytes=f["row_bytes"])


def run_server(args, common):
    f = next(figures_of(call(os.path.join(BUILD, "bench_server"), *common, "--runs", 5), "server"))
    return dict(pull=1 / f["pull_server_cpu"], push=1 / max(1e-4, f["both_server_cpu"] - f["pull_server_cpu"]),
                row_bytes=f["row_bytes"])


def run_case(args, rows, keys, zipf, record):
    with tempfile.TemporaryDirectory(prefix="esmm-tables-") as work:
        shape = ["--rows", int(rows), "--keys", int(keys), "--zipf", zipf]
        call(os.path.join(BUILD, "bench_requests"), *shape, "--write-keys", f"{work}/keys")
        for turn in range(args.rounds):
            case = dict(rows=int(rows), keys=int(keys), zipf=zipf, round=turn)
            for optimizer, figures in run_fbgemm(args, int(rows), f"{work}/keys").items():
                record("fbgemm", **case, **figures)
            for optimizer in OPTIMIZERS:
                common = [*shape, "--dim", DIM, "--optimizer", optimizer, "--seconds", args.seconds]
                record("process", **case, optimizer=optimizer, **run_process(args, common))
                record("server", **case, optimizer=optimizer, **run_server(args, common))


def measure(args):
    with open(os.path.join(args.out, "tables.jsonl"), "w") as out:
        def record(program, **figures):
            out.write(json.dumps(dict(program=program, **figures)) + "\n")
            out.flush()
            print(program, figures, flush=True)

        record("machine", **machine(ESMM), rounds=args.rounds)
        for case in args.cases.split(","):
            run_case(args, *map(float, case.split(":")), record)


def rates(lines, figure, peers):
    """The median, and that of the ratios to the peer's figure of the same round."""
    values = [x[figure] for x in lines if x.get(figure) is not None]
    if not values:
        return [None, None]
    whole = "push" if figure.startswith("push") else figure
    return [f"{median(values):.1f}",
            times(median([x[figure] / peers[x["round"]][whole] for x in lines if x["round"] in peers]), 2)]


def rows_of(lines):
    for (rows, keys, zipf, optimizer), group in cases(lines, "rows", "keys", "zipf", "optimizer"):
        peers = {x["round"]: x for x in group if x["program"] == "fbgemm"}
        case = [f"{rows / 1e6:g} M", "uniform" if zipf == 0 else f"Zipf {zipf:g}", f"{keys / 1e3:g} k", optimizer]
        for (program,), mine in cases(group, "program"):
            against = {} if program == "fbgemm" else peers
            yield [*case, NAMES[program], *rates(mine, "pull", against), *rates(mine, "push", against),
                   *rates(mine, "push_key", against)]
            case = [None] * 4


def page(lines):
    head, peer = lines[0], next(x for x in lines if x["program"] == "fbgemm")
    text = (f"Machine: {head['cpu']}, {head['cores']} cores, {head['simd']}; {head['when']}. {head['version']} "
            f"({head['commit']}), fbgemm-gpu-cpu {peer['fbgemm']}, torch {peer['torch']}. Millions of rows of {DIM} floats a "
            f"CPU second, median of {head['rounds']}; × FBGEMM's of the same round.")
    return text + "\n\n" + table(["rows", "keys", "a request", "optimizer", "program", "pull", "×", "push", "×",
                                  "push by key", "×"], list(rows_of(lines[1:])))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--out", required=True)
    ap.add_argument("--python", help="a python with FBGEMM")
    ap.add_argument("--cases", default=CASES, help="ROWS:KEYS:ZIPF,...")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=1, help="of CPU, of one measurement")
    ap.add_argument("--report", action="store_true", help="only write the report of what is in OUT")
    ap.add_argument("--into", help="the page between whose marks the report goes")
    args = ap.parse_args()
    if not args.report:
        if args.python is None:
            sys.exit("tables_run.py: give --python, a python with fbgemm-gpu-cpu")
        measure(args)
    with open(os.path.join(args.out, "tables.jsonl")) as f:
        text = page([json.loads(line) for line in f])
    with open(os.path.join(args.out, "tables.md"), "w") as f:
        f.write(text + "\n")
    if args.into:
        put(args.into, "tables", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
