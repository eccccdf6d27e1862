#!/usr/bin/env python3
"""What the methods of model.delay are worth: each is trained once over a stream of records, in the
order of time, up to the moment the stream is cut, and judged by final labels on the impressions
that follow that moment; or, with --prequential, again and again while the stream goes on.

    scripts/delay.py [--impressions N] [--days D] [--methods "vanilla es-dfm oracle"] ...
    scripts/delay.py --prequential HOURS --drift RADIANS ...

For each seed a log with delays is made (esmm synth), its shards and those of a holdout right after
it (esmm prep), the streams (esmm records), and per method one run of esmm train with one worker.
What comes after the last day is cut off by train.max_steps: the streams go on until all
windows are closed, but a trainer at that moment has not seen it.

With --prequential H the log's second half is cut into slices of H hours. A slice is judged, by
final labels, with the checkpoint that was made just before it, when the trainer had seen nothing
but what a joiner had emitted until then. A figure is the mean over the slices, each weighted by its
clicks, as in the published evaluations (Yang et al. 2021, stream_train_test.py); unlike there, each
method trains on its own stream from the beginning, and not on final labels in the first half.

Prints, as a table in Markdown, means over the seeds: log loss, PR-AUC and AUC of p_cvr on
clicked impressions, its mean over the true one on all impressions (--prequential: over the rate
of conversions of clicked ones; and what the oracle is better by, day by day), and
R = (M - M_vanilla) / (M_oracle - M_vanilla) of each, 0 for a trainer that knows nothing of delays
and 1 for one that is told final labels at once, with the standard error of M - M_vanilla over the
seeds as that of R; "-" where the oracle is not better than vanilla by twice that: R says nothing there.

Only the standard library is used. With --out a run that was interrupted goes on where it was.
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

# Method: the stream it reads and model.delay. "log" reads no stream but the log itself: final labels as
# the oracle, and both terms of a click in one record.
METHODS = {
    "vanilla": ("vanilla", "none"),
    "oracle": ("oracle", "none"),
    "log": (None, "none"),
    "none": ("es-dfm", "none"),
    "fnw": ("fnw", "fnw"),
    "pu": ("fnw", "pu"),
    "es-dfm": ("es-dfm", "es-dfm"),
    "defer": ("defer", "defer"),
    "defuse": ("es-dfm", "defuse"),
    "dfm": ("dfm", "dfm"),
}
FIGURES = ["logloss_cvr_clicked", "pr_auc_cvr_clicked", "auc_cvr_clicked"]
RATIO = "predicted_over_true"
SLICE = 3600
HOURS = 24


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--esmm", default="build/release/esmm", help="the program")
    p.add_argument("--impressions", type=int, default=600000, help="of the stream's log")
    p.add_argument("--holdout", type=int, default=200000, help="impressions judged on")
    p.add_argument("--days", type=int, default=8, help="length of the stream")
    p.add_argument("--prequential", type=int, default=0, metavar="HOURS",
                   help="judge the second half in slices of so many hours, each with what was learnt before it")
    p.add_argument("--drift", type=float, default=0, help="radians a day (esmm synth --drift)")
    p.add_argument("--synth", default="", metavar="WORDS", help="more options of esmm synth")
    p.add_argument("--window", type=int, default=3600, help="observation window, seconds")
    p.add_argument("--click-window", type=int, default=1800, help="until a click's label is given")
    p.add_argument("--attribution", type=int, default=3, help="attribution window, days")
    p.add_argument("--delay-mean", type=float, default=3, help="days, of the slow conversions")
    p.add_argument("--delay-spread", type=float, default=0.5, help="how much it depends on features")
    p.add_argument("--delay-fast", type=float, default=0.1, help="share of fast conversions")
    p.add_argument("--dfm-window", type=int, default=48 * 3600,
                   help="dfm's: it sees a click once, old enough to tell of delays")
    p.add_argument("--users", type=int, default=2000)
    p.add_argument("--items", type=int, default=2000)
    p.add_argument("--ctr", type=float, default=0.3)
    p.add_argument("--cvr", type=float, default=0.2)
    p.add_argument("--methods", default=" ".join(METHODS), help="vanilla and oracle are needed for R; log not with --prequential")
    p.add_argument("--seeds", default="1 2 3")
    p.add_argument("--batch", type=int, default=512, help="impressions a batch, about")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for esmm train")
    p.add_argument("--out", help="keeps everything there (a temporary directory)")
    return p.parse_args()


def run(args):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("delay.py: %s\n%s%s" % (" ".join(args), done.stdout[-2000:], done.stderr[-2000:]))
    return done.stdout


def make_log(a, seed, out):
    """Raw log, shards of it and of the holdout."""
    raw = os.path.join(out, "raw")
    if not os.path.isdir(raw):
        holdout = 0 if a.prequential else a.holdout
        run([a.esmm, "synth", "--impressions", str(a.impressions), "--holdout", str(holdout),
             "--days", str(a.days), "--seed", str(seed), "--ctr", str(a.ctr), "--cvr", str(a.cvr),
             "--users", str(a.users), "--items", str(a.items),
             "--delay-spread", str(a.delay_spread), "--delay-mean", str(a.delay_mean), "--delay-fast", str(a.delay_fast),
             "--attribution", str(a.attribution), "--drift", str(a.drift)] + a.synth.split() +
            ["--out", raw])
    for part in ("train",) if a.prequential else ("train", "eval"):
        prepare(a, raw, part, os.path.join(raw, part, "log.csv"), os.path.join(out, part))


def prepare(a, raw, part, log, to):
    if not os.path.exists(os.path.join(to, "manifest")):
        shutil.rmtree(to, ignore_errors=True)
        run([a.esmm, "prep", "--format", "csv", "--schema", os.path.join(raw, part, "log.schema"),
             "--input", log, "--out", to])


def make_stream(a, stream, out):
    if stream is None:
        return os.path.join(out, "train")
    to = os.path.join(out, "stream-" + stream)
    if not os.path.exists(os.path.join(to, "end")):
        shutil.rmtree(to, ignore_errors=True)
        window = {"fnw": 0, "dfm": a.dfm_window}.get(stream, a.window)
        run([a.esmm, "records", "--data", os.path.join(out, "train"), "--stream", stream,
             "--window", str(window), "--click-window", str(a.click_window),
             "--attribution", str(a.attribution * 86400),
             "--slice", str(SLICE), "--out", to])
    return to


def batches_until(a, stream, data):
    """The size of a batch, and how many each shard of the first `days` days makes. A log begins at
    midnight and each slice has records, so shard k is hour k. Streams differ in the number of their
    records; so that all methods make about as many steps, a batch is larger where there are more."""
    shards = json.loads(run([a.esmm, "inspect", data, "--json"]))["shards"]
    if stream is not None:
        shards = shards[: a.days * HOURS]
    hours = [s["impressions"] for s in shards]
    batch = round(a.batch * sum(hours) / a.impressions)
    return batch, [math.ceil(n / batch) for n in hours]


def train(a, delay, seed, source, batch, steps, model, more):
    shutil.rmtree(model, ignore_errors=True)
    words = [a.esmm, "train"] + source + [
             "--out", model, "--servers", "1", "--workers", "1", "--seed", str(seed), "--batch", str(batch),
             "--max-steps", str(steps), "--set", "train.shuffle=false",
             "--set", "train.in_flight=1", "--set", "model.tower=64,32", "--set", "table.dim=8",
             "--set", "model.delay=" + delay]
    for s in more + a.set:
        words += ["--set", s]
    run(words)


def judge(a, model, data, more):
    return json.loads(run([a.esmm, "eval", "--checkpoint", model, "--data", data, "--bootstrap", "0",
                           "--json"] + more))


def at_the_end(a, delay, seed, data, batch, hours, model, out):
    """One run to the end, judged on the holdout after it."""
    train(a, delay, seed, ["--data", data], batch, sum(hours), model, [])
    r = judge(a, model, os.path.join(out, "eval"),
              ["--truth", os.path.join(out, "raw", "eval", "truth.bin")])
    return {**{k: r[k] for k in FIGURES}, RATIO: r["ratio_cvr_entire"]}


def judged_hours(a):
    """Where the slices of the second half begin; the last one is whole."""
    end = a.days * HOURS
    first = -(-end // 2 // a.prequential) * a.prequential
    return range(first, end - a.prequential + 1, a.prequential)


def make_slices(a, out):
    """Shards of each judged slice: the log's lines by time, the first of which is the log's begin."""
    raw, text, begin = os.path.join(out, "raw"), os.path.join(out, "slice.csv"), None
    lines = {hour: [] for hour in judged_hours(a)}
    with open(os.path.join(raw, "train", "log.csv")) as f:
        header = f.readline()
        column = header.rstrip().split(",").index("time")
        for line in f:
            time = int(line.split(",", column + 1)[column])
            begin = time if begin is None else begin
            hour = (time - begin) // 3600
            slot = hour // a.prequential * a.prequential
            if slot in lines:
                lines[slot].append(line)
    for hour in lines:
        with open(text, "w") as f:
            f.write(header)
            f.writelines(lines[hour])
        prepare(a, raw, "train", text, os.path.join(out, "slice-%d" % hour))
        os.remove(text)


def prequential(a, delay, seed, data, batch, hours, model, out):
    """One run that keeps a checkpoint every `prequential` hours; each judged on the slice after it."""
    begins = judged_hours(a)
    # A cut waits for a heartbeat of every role: by default a second.
    train(a, delay, seed, ["--stream", data], batch, sum(hours[: begins[-1]]), model,
          ["checkpoint.every_shards=%d" % a.prequential, "checkpoint.keep=10000",
           "net.heartbeat_ms=100"])
    slices = []
    for begin in begins:
        made = os.path.join(model, "checkpoints", "step-%012d" % sum(hours[:begin]))
        r = judge(a, made, os.path.join(out, "slice-%d" % begin), [])
        slices.append({"hour": begin, "clicks": r["clicks"], "conversions": r["conversions"],
                       RATIO: r["pcoc_cvr_clicked"], **{k: r[k] for k in FIGURES}})
    return {**pooled(slices), "slices": slices}


def pooled(slices):
    """Figures weighted by clicks; of all predictions the sum over that of all conversions."""
    def mean(figure, weight):
        return sum(s[weight] * s[figure] for s in slices) / sum(s[weight] for s in slices)
    return {**{k: mean(k, "clicks") for k in FIGURES}, RATIO: mean(RATIO, "conversions")}


def measure(a, method, seed, out):
    stream, delay = METHODS[method]
    figures = os.path.join(out, method + ".json")
    if os.path.exists(figures):
        with open(figures) as f:
            return json.load(f)
    data, model = make_stream(a, stream, out), os.path.join(out, "run-" + method)
    batch, hours = batches_until(a, stream, data)
    how = prequential if a.prequential else at_the_end
    result = how(a, delay, seed, data, batch, hours, model, out)
    shutil.rmtree(model)
    with open(figures + ".tmp", "w") as f:
        json.dump(result, f)
    os.rename(figures + ".tmp", figures)
    return result


def paired(results, method, figure):
    """Mean over the seeds of a method's figure less vanilla's, and the standard error of that."""
    pairs = zip(results[method], results["vanilla"])
    d = [r[figure] - v[figure] for r, v in pairs]
    return statistics.mean(d), statistics.stdev(d) / math.sqrt(len(d)) if len(d) > 1 else math.inf


def recovered(results, method, figure):
    """R, where the oracle is better than vanilla by more than twice the standard error of that."""
    if "vanilla" not in results or "oracle" not in results:
        return "-"
    gap, error = paired(results, "oracle", figure)
    better = -1 if figure.startswith("logloss") else 1
    if not better * gap > 2 * error:
        return "-"
    d, own = paired(results, method, figure)
    return "%.2f ± %.2f" % (d / gap, own / abs(gap)) if d != 0 else "0"


def table(results):
    """results[method][seed]: figures."""
    mean = {m: {k: statistics.mean(r[k] for r in by_seed) for k in FIGURES + [RATIO]}
            for m, by_seed in results.items()}
    print("| method | stream | log loss | R | PR-AUC | R | AUC | R | predicted / true |")
    print("|---|---|---|---|---|---|---|---|---|")
    for method, by_seed in results.items():
        cells = []
        for k in FIGURES:
            cells += ["%.4f" % mean[method][k], recovered(results, method, k)]
        print("| %s | %s | %s | %.3f |" % (method, METHODS[method][0] or "(the log)", " | ".join(cells),
                                          mean[method][RATIO]))


def by_day(a, results):
    """Whether what late labels cost goes away as the stream goes on."""
    for figure in FIGURES:
        cells = []
        for day in sorted({h // HOURS for h in judged_hours(a)}):
            gaps = []
            for oracle, vanilla in zip(results["oracle"], results["vanilla"]):
                o, v = ([s for s in r["slices"] if s["hour"] // HOURS == day] for r in (oracle, vanilla))
                gaps.append(pooled(o)[figure] - pooled(v)[figure])
            cells.append("day %d %+.4f" % (day + 1, statistics.mean(gaps)))
        print("%s, oracle less vanilla: %s" % (figure, ", ".join(cells)))


def main():
    a = arguments()
    # The log itself has shards of so many impressions, not of hours.
    methods = [m for m in a.methods.split() if not (a.prequential and m == "log")]
    seeds = [int(s) for s in a.seeds.split()]
    for m in methods:
        if m not in METHODS:
            sys.exit("delay.py: no method '%s': expected some of %s" % (m, " ".join(METHODS)))
    if a.prequential and not list(judged_hours(a)):
        sys.exit("delay.py: the second half of %d days has no whole slice of %d hours"
                 % (a.days, a.prequential))
    root = a.out or tempfile.mkdtemp()
    try:
        results = {m: [] for m in methods}
        for seed in seeds:
            out = os.path.join(root, "seed-%d" % seed)
            os.makedirs(out, exist_ok=True)
            make_log(a, seed, out)
            if a.prequential:
                make_slices(a, out)
            for m in methods:
                r = measure(a, m, seed, out)
                results[m].append(r)
                print("seed %d %-8s" % (seed, m), *("%s %.5f" % (k, r[k]) for k in FIGURES + [RATIO]),
                      file=sys.stderr, flush=True)
        table(results)
        if a.prequential and "vanilla" in results and "oracle" in results:
            print()
            by_day(a, results)
    finally:
        if a.out is None:
            shutil.rmtree(root)


main()
