#!/usr/bin/env python3
"""Runs the bench and keeps the raw numbers; scripts/bench.sh is the way in.

Every figure is measured several times, in turn with what it is compared to, so that a ratio comes
from one stretch of time on one machine. Each measurement is one line of results.jsonl; report.py
turns them into tables and pictures. Python's standard library only.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "release")
ESMM = os.path.join(BUILD, "esmm")


class Bench:
    def __init__(self, args):
        self.args = args
        self.quick = args.quick
        self.runs = args.runs or (1 if args.quick else 5)
        self.out = open(os.path.join(args.out, "results.jsonl"), "w")
        self.work = tempfile.mkdtemp(prefix="esmm-bench-", dir=args.tmp)
        self.record("machine", **machine(ESMM))

    def record(self, part, **figures):
        line = json.dumps(dict(part=part, **figures))
        self.out.write(line + "\n")
        self.out.flush()
        print(line, flush=True)

    def path(self, *names):
        return os.path.join(self.work, *names)


def machine(esmm):
    model, flags = platform.processor(), ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            if key.strip() == "flags":
                flags = value
    with open("/proc/meminfo") as f:
        memory_gb = round(int(f.readline().split()[1]) / 1e6)
    simd = [x for x in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {x} " in flags + " "]
    commit = subprocess.run(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "log", "-1", "--format=%h of %cs"],
                            capture_output=True, text=True).stdout.strip()
    return dict(cpu=model, cores=os.cpu_count(), memory_gb=memory_gb, simd=" ".join(simd),
                when=time.strftime("%Y-%m-%d"), version=call(esmm, "version").splitlines()[0], commit=commit or "unknown commit")


def call(*command, env=None):
    """The command's output; its failure is the bench's."""
    result = subprocess.run([str(x) for x in command], capture_output=True, text=True, env=env)
    if result.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def figures_of(text, name):
    """The key=value pairs of the lines that begin with bench=NAME."""
    for line in text.splitlines():
        if line.startswith(f"bench={name} "):
            pairs = dict(word.split("=", 1) for word in line.split()[1:])
            yield {k: number(v) for k, v in pairs.items()}


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


# --- data ------------------------------------------------------------------------------------------

def make_log(b, name, impressions, features):
    """A log of Ali-CCP's shape, and its shards."""
    log, shards = b.path(name + "-log"), b.path(name)
    call(ESMM, "synth", "--shape", "aliccp", "--impressions", impressions, "--features", features,
         "--holdout", max(2000, impressions // 50), "--seed", 1, "--out", log)
    for part in ("train", "eval"):
        call(ESMM, "prep", "--format", "aliccp", "--skeleton", f"{log}/{part}/sample_skeleton.csv",
             "--common", f"{log}/{part}/common_features.csv", "--out", f"{shards}-{part}")
    return log, shards + "-train"


# --- part 1 and 2: the whole system, and the dense part alone -------------------------------------------

def train(b, shards, servers=1, workers=1, threads=2, batch=4096, settings=()):
    run = b.path("run")
    shutil.rmtree(run, ignore_errors=True)
    command = [ESMM, "train", "--data", shards, "--out", run, "--servers", servers, "--workers", workers,
               "--threads", threads, "--batch", batch]
    for s in settings:
        command += ["--set", s]
    call(*command)
    with open(os.path.join(run, "summary.json")) as f:
        s = json.load(f)
    n = s["impressions"]
    usage = s["usage"]
    wire = (usage["workers"]["sent_bytes"] + usage["workers"]["received_bytes"]) / n
    cpu = {role: usage[role]["cpu_s"] / n * 1e6 for role in usage}
    return dict(ips=s["impressions_per_s"], wire_bytes=wire, cpu_s_per_m=sum(cpu.values()),
                cpu_s_per_m_by_role=cpu, peak_mb={r: usage[r]["peak_bytes"] / 1e6 for r in usage},
                stages_s_per_m={r: {k: v / n * 1e6 for k, v in usage[r]["stages_s"].items()}
                                for r in usage}, rows=s["servers"]["rows"], loss=s["epoch_loss"])


def dense_only(b, threads):
    """Impressions a second of the matrix products alone, one process a core at once, by (input, kernel).
    bench_model measures in CPU time; data stay in cache."""
    command = [os.path.join(BUILD, "bench_model"), "4096", "1" if b.quick else "5"]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(threads)]
    texts = [c.communicate()[0] for c in children]
    if any(c.returncode for c in children):
        sys.exit(f"bench: {' '.join(command)} failed")
    limit = {}
    for text in texts:
        for f in figures_of(text, "model"):
            if "compute" in f:
                key = (f["input"], f["compute"])
                limit[key] = limit.get(key, 0) + f["train_ips"] * f["product_gflops"] / f["gflops"]
    return limit


PRECISIONS = {"f32": [], "bf16": ["compute.precision=bf16", "wire.values=bf16"]}


def part_system(b):
    b.log, b.shards = make_log(b, "log", 60000 if b.quick else 2000000,
                               300000 if b.quick else 10000000)
    small_eval(b)
    cores = os.cpu_count()
    for run in range(b.runs):
        limit = dense_only(b, cores)
        for model_input in ("sides", "concat"):
            for precision, settings in PRECISIONS.items():
                figures = train(b, b.shards, threads=cores, settings=[f"model.input={model_input}"] + settings)
                b.record("system", run=run, input=model_input, precision=precision, servers=1,
                         workers=1, threads=cores, batch=4096,
                         limit_ips=limit.get((model_input, precision), limit[(model_input, "blas")]),
                         **figures)
            peer(b, run, model_input)
        for servers, workers in ((1, 2), (2, 2)):
            figures = train(b, b.shards, servers, workers, 1, settings=["model.input=sides"])
            b.record("system", run=run, input="sides", precision="f32", servers=servers,
                     workers=workers, threads=1, batch=4096, **figures)


# --- part 3: the peer ------------------------------------------------------------------------------------

def peer_python(b):
    for python in filter(None, (b.args.python, sys.executable)):
        if subprocess.run([python, "-c", "import torch, numpy"], capture_output=True).returncode == 0:
            return python
    return None


def peer(b, run, model_input):
    """The PyTorch program on the same files: grouped and, on fewer rows, flat; 1 and 2 threads."""
    python = peer_python(b) if b.args.peer else None
    if python is None:
        if run == 0 and model_input == "sides":
            print("skipped: the peer (needs --peer FILE and a python with torch and numpy)", flush=True)
        return
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    for grouped in (True, False):
        if not grouped and model_input == "concat":
            continue
        rows = (60000 if grouped else 12000) if not b.quick else 3000
        for threads in (1, 2):
            text = call(python, b.args.peer, "--train", f"{b.log}/train", "--eval", b.path("peer-eval"),
                        "--input", model_input, "--threads", threads, "--batch", 4096, "--max-rows", rows,
                        *(["--grouped"] if grouped else []), env=environment)
            line = json.loads(text.strip().splitlines()[-1])
            b.record("peer", run=run, input=model_input, grouped=grouped, threads=threads, rows=rows,
                     ips=line["impressions_per_s"], cpu_s_per_m=line["cpu_s_per_million"],
                     peak_mb=line["peak_rss_mb"])


def small_eval(b):
    """The peer evaluates after its epoch; a thousand rows keep that short."""
    os.makedirs(b.path("peer-eval"), exist_ok=True)
    with open(f"{b.log}/eval/sample_skeleton.csv") as src, \
            open(b.path("peer-eval", "sample_skeleton.csv"), "w") as dst:
        for _, line in zip(range(1000), src):
            dst.write(line)
    shutil.copy(f"{b.log}/eval/common_features.csv", b.path("peer-eval"))


# --- part 4: the server alone -------------------------------------------------------------------------------

def part_server(b):
    millions = (0.1,) if b.quick else (1, 10, 30)
    for rows in millions:
        for zipf in (0, 1.05):
            for keys in (10000, 100000):
                for transport in ("ipc", "tcp"):
                    if transport == "tcp" and (rows != millions[0] or keys != 100000):
                        continue
                    server(b, rows, zipf, keys, transport)
    server(b, millions[min(1, len(millions) - 1)], 0, 100000, "ipc", optimizer="rowwise_adagrad")


def server(b, rows, zipf, keys, transport, optimizer="adam"):
    command = [os.path.join(BUILD, "bench_server"), "--rows", int(rows * 1e6), "--keys", keys, "--zipf", zipf,
               "--runs", max(b.runs, 1), "--seconds", 0.3 if b.quick else 1.5, "--optimizer", optimizer]
    command += ["--tcp"] if transport == "tcp" else []
    b.record("server", **next(figures_of(call(*command), "server")))


# --- part 5: parts -------------------------------------------------------------------------------------------

def part_parts(b):
    for f in figures_of(text := call(os.path.join(BUILD, "bench_parts"), "--shards", b.shards), "part"):
        b.record("parts", **f)
    for name in ("shard", "timer"):
        for f in figures_of(text, name):
            b.record(name, **f)
    for f in figures_of(call(os.path.join(BUILD, "bench_model"), 4096, 1 if b.quick else 5), "model"):
        b.record("model", **f)
    for name in ("table",):
        text = call(os.path.join(BUILD, f"bench_{name}"), 100000 if b.quick else 2000000)
        b.record(name, text=text)


# --- part 6: growth ------------------------------------------------------------------------------------------

def part_growth(b):
    sides = ["model.input=sides"]
    for run in range(b.runs):
        for n in (1, 2) if b.quick else (1, 2, 4, 8):
            f = train(b, b.shards, n, n, 1, settings=sides)
            b.record("growth", run=run, what="processes", x=n, **f)
        for batch in (1024, 4096) if b.quick else (512, 1024, 2048, 4096, 8192, 16384):
            f = train(b, b.shards, batch=batch, settings=sides)
            b.record("growth", run=run, what="batch", x=batch, **f)
    for rows in (0.1,) if b.quick else (1, 3, 10, 30, 60):
        text = call(os.path.join(BUILD, "bench_server"), "--rows", int(rows * 1e6), "--runs", b.runs,
                    "--seconds", 0.3 if b.quick else 1)
        b.record("growth", what="rows", x=rows, **next(figures_of(text, "server")))


# --- tools: prep, synth, predict, start-up, idling ------------------------------------------------------------

def part_tools(b):
    n = 20000 if b.quick else 500000
    for run in range(b.runs):
        shutil.rmtree(b.path("tool"), ignore_errors=True)
        start = time.time()
        call(ESMM, "synth", "--impressions", n, "--seed", run, "--out", b.path("tool"))
        b.record("tools", run=run, what="synth", unit="impressions/s", value=n / (time.time() - start))
        prep(b, run)
        predict(b, run)
        start_up(b, run)
    idle(b)


def prep(b, run):
    shutil.rmtree(b.path("tool-shards"), ignore_errors=True)
    names = [f"{b.log}/train/sample_skeleton.csv", f"{b.log}/train/common_features.csv"]
    size = sum(map(os.path.getsize, names))
    start = time.time()
    call(ESMM, "prep", "--format", "aliccp", "--skeleton", names[0], "--common", names[1], "--out",
         b.path("tool-shards"))
    b.record("tools", run=run, what="prep", unit="MB/s", value=size / 1e6 / (time.time() - start))


def predict(b, run):
    """Against training with as many threads, and the same model."""
    f = train(b, b.shards, threads=os.cpu_count(), settings=["model.input=sides"])
    start = time.time()
    text = call(ESMM, "predict", "--checkpoint", b.path("run"), "--data", b.shards, "--threads",
                os.cpu_count(), "--out", b.path("p.csv"))
    seconds = time.time() - start
    with open(b.path("p.csv")) as csv:
        lines = sum(1 for _ in csv) - 1
    b.record("tools", run=run, what="predict", unit="impressions/s", value=lines / seconds,
             train_ips=f["ips"], says=text.strip().splitlines()[-1:])


def start_up(b, run):
    """Seconds from the command to the first batch applied and the job's orderly end."""
    out = b.path("start")
    shutil.rmtree(out, ignore_errors=True)
    start = time.time()
    child = subprocess.Popen([ESMM, "train", "--data", b.shards, "--out", out, "--servers", "1", "--workers",
                              "1", "--max-steps", "1", "--set", "model.input=sides"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = None
    while child.poll() is None:
        if first is None and os.path.exists(log := f"{out}/logs/coord-0.log"):
            with open(log) as f:
                if "all roles are there" in f.read():
                    first = time.time() - start
        time.sleep(0.01)
    b.record("tools", run=run, what="start-up", unit="s to the first lease", value=first,
             whole_s=time.time() - start)


def idle(b):
    """CPU of a coordinator and a server that wait for a worker."""
    seconds = 3 if b.quick else 10
    endpoint = f"ipc://{b.path('coord')}"
    coord = subprocess.Popen([ESMM, "coord", "--listen", endpoint, "--data", b.shards, "--out", b.path("idle"),
                              "--servers", "1", "--workers", "1"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    ps = subprocess.Popen([ESMM, "ps", "--coord", endpoint, "--listen", f"ipc://{b.path('ps')}"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    before = [cpu_s(c.pid) for c in (coord, ps)]
    time.sleep(seconds)
    after = [cpu_s(c.pid) for c in (coord, ps)]
    for c in (ps, coord):
        c.kill()
        c.wait()
    for name, x, y in zip(("coordinator", "server"), before, after):
        b.record("tools", what=f"idle {name}", unit="% of a core", value=100 * (y - x) / seconds)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


PARTS = {"system": part_system, "server": part_server, "parts": part_parts, "growth": part_growth,
         "tools": part_tools}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--out", required=True, help="where results.jsonl goes")
    ap.add_argument("--quick", action="store_true", help="small sizes, one run: does it work?")
    ap.add_argument("--runs", type=int, help="measurements of each figure (5; quick 1)")
    ap.add_argument("--parts", default=",".join(PARTS), help="of " + ",".join(PARTS))
    ap.add_argument("--peer", help="the PyTorch program to compare with")
    ap.add_argument("--python", help="a python with torch and numpy, for the peer")
    ap.add_argument("--build", help="where the programs were built (build/release)")
    ap.add_argument("--tmp", help="where logs and shards go meanwhile (2 GB)")
    args = ap.parse_args()
    if args.build:
        global BUILD, ESMM
        BUILD, ESMM = args.build, os.path.join(args.build, "esmm")
    os.makedirs(args.out, exist_ok=True)
    b = Bench(args)
    parts = args.parts.split(",")
    unknown = [p for p in parts if p not in PARTS]
    if unknown:
        sys.exit(f"bench: unknown part {unknown[0]}; there are {', '.join(PARTS)}")
    try:
        if "system" not in parts and set(parts) & {"parts", "growth", "tools"}:
            b.log, b.shards = make_log(b, "log", 60000 if b.quick else 2000000,
                                       300000 if b.quick else 10000000)
        for part in parts:
            PARTS[part](b)
    finally:
        shutil.rmtree(b.work, ignore_errors=True)


if __name__ == "__main__":
    main()
