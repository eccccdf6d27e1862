"""main.py - what scripts/chaos.sh runs: trials of random jobs under random faults, and a report."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
from oracle import Bytes, Oracle, read_export  # noqa: E402
from shape import KINDS, NET_KINDS  # noqa: E402
from trial import Failed, Trial  # noqa: E402
from world import COUNT, Program, make_data, run  # noqa: E402

EPILOG = """Each trial draws a job (servers, workers, mode, checkpoints) and faults, and has a seed of its own: --seed plus its
number. Kinds: kill (-9, at random times), pair (two at once), again (more while the job recovers), fault (named points,
`esmm faults`), twice (points of a recovery, after a kill), stop (STOP, later CONT), term, launcher (KILL, TERM, INT), net (a proxy that cuts, resets and splits), cut
(namespaces, packets dropped). A job that suffers more than the program promises to survive may fail and is then resumed;
in every case each impression must have been counted exactly once an epoch. A trial that fails keeps its directory."""


def arguments():
    p = argparse.ArgumentParser(prog="chaos.sh", description="Random jobs under random faults.", epilog=EPILOG)
    p.add_argument("--esmm", default=os.environ.get("ESMM", "build/release/esmm"), help="the program")
    p.add_argument("--seed", type=int, default=int(time.time()) % 1000000 * 1000, help="of the first trial")
    p.add_argument("--trials", type=int, default=30)
    p.add_argument("--long", action="store_true", help="until 2000 kills, STOPs and faults have reached a process")
    p.add_argument("--kinds", default=",".join(KINDS), help="all: also %s" % ", ".join(NET_KINDS))
    p.add_argument("--impressions", type=int, default=12000, help="of the log")
    p.add_argument("--passes", type=float, default=1.0, help="factor on the epochs of a trial")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="this is process N of some; shifts the order of kinds")
    p.add_argument("--keep", metavar="DIR", help="where it all happens (a temporary directory)")
    p.add_argument("--soak", type=float, metavar="HOURS", help="one long job, with a kill every 20 s")
    return p.parse_args()


def make_oracle(program, data, work, impressions):
    """One undisturbed epoch."""
    out = os.path.join(work, "one")
    words = [program.esmm, "train", "--data", data, "--out", out, "--epochs", "1", "--set", "train.batch=64"]
    for s in COUNT:
        words += ["--set", s]
    run(words)
    arrays, manifest = read_export(program, out, os.path.join(work, "one.npy"))
    oracle = Oracle(arrays, impressions, Bytes(program, data, work))
    wrong = oracle.truth() + oracle.check(arrays, manifest, 1)
    if wrong:
        sys.exit("chaos: the oracle itself is wrong: %s" % "; ".join(wrong))
    shutil.rmtree(out)
    return oracle


class Report:
    def __init__(self):
        self.kinds = {}    # kind: [trials, failures]
        self.reached = {}  # role: signals and faults that reached one
        self.resumed = 0
        self.points = set()
        self.failures = []

    def kills(self):
        return sum(self.reached.values())

    def take(self, trial, failure, seconds):
        k = self.kinds.setdefault(trial.kind, [0, 0])
        k[0] += 1
        k[1] += failure is not None
        for role, n in trial.kills.items():
            self.reached[role] = self.reached.get(role, 0) + n
        self.resumed += trial.resumed > 0
        self.points |= {name.split("-", 1)[1] for name in trial.fired}
        what = "; ".join(trial.said) or "nothing reached it"
        print("seed %d %s: %s: %s: %s in %.1f s%s" % (
            trial.seed, trial.kind, trial.shape.text(), what,
            "FAILED" if failure else "ok", seconds, ", resumed %d times" % trial.resumed if trial.resumed else ""))
        if failure:
            self.failures.append((trial, failure))
            print("    %s\n    kept: %s\n    again: scripts/chaos.sh --trials 1 --seed %d --kinds %s%s" % (
                failure, trial.dir, trial.seed, trial.kind, "   (ESMM_FAULT=%s)" % trial.faults if trial.faults else ""))
        sys.stdout.flush()

    def end(self, program):
        print("\nkind       trials  failures")
        for kind, (trials, failures) in sorted(self.kinds.items()):
            print("%-9s %7d %9d   %s" % (kind, trials, failures,
                  "0 of %d: < %.2g at 95 %%" % (trials, 3 / trials) if failures == 0 else ""))
        trials = sum(t for t, _ in self.kinds.values())
        failures = len(self.failures)
        print("all       %7d %9d   %s" % (trials, failures,
              "0 of %d: < %.2g at 95 %%" % (trials, 3 / max(1, trials)) if failures == 0 else ""))
        print("%d signals and faults reached a process (%s); %d jobs were resumed by hand" % (
            self.kills(), ", ".join("%s %d" % (r, n) for r, n in sorted(self.reached.items())), self.resumed))
        if self.points:
            silent = [p for p in program.points if p not in self.points]
            print("%d of %d fault points fired; not: %s" % (len(self.points), len(program.points), " ".join(silent) or "-"))
        for trial, failure in self.failures:
            print("FAILED seed %d %s: %s" % (trial.seed, trial.kind, failure))


def make_trial(program, oracle, data, work, seed, kind, factor):
    if kind in NET_KINDS:
        import net
        return net.make(kind, program, oracle, data, work, seed, factor)
    return Trial(program, oracle, data, work, seed, kind, factor)


def main():
    a = arguments()
    kinds = KINDS + NET_KINDS if a.kinds == "all" else a.kinds.split(",")
    for k in kinds:
        if k not in KINDS + NET_KINDS:
            sys.exit("chaos.sh: no kind '%s': expected some of %s" % (k, " ".join(KINDS + NET_KINDS)))
    program = Program(a.esmm)
    work = a.keep or tempfile.mkdtemp(prefix="esmm-chaos-")
    os.makedirs(work, exist_ok=True)
    shutil.rmtree(os.path.join(work, "data"), ignore_errors=True)
    data = make_data(program, work, a.impressions)
    oracle = make_oracle(program, data, work, a.impressions)
    if a.soak:
        import soak
        sys.exit(soak.soak(program, oracle, data, work, a.soak, a.seed))
    print("surviving: %s; %d fault points; in %s" % (", ".join(sorted(program.survives)), len(program.points), work))
    report = Report()
    number = 0
    while number < a.trials or (a.long and report.kills() < 2000):
        seed, kind = a.seed + number, kinds[(a.seed + number) % len(kinds)]
        number += 1
        trial = make_trial(program, oracle, data, work, seed, kind, a.passes)
        if trial is None:
            continue
        began, failure = time.monotonic(), None
        try:
            trial.perform()
        except Failed as e:
            failure = str(e)
        except (OSError, AssertionError, SystemExit, subprocess.SubprocessError):
            failure = traceback.format_exc()
        report.take(trial, failure, time.monotonic() - began)
    report.end(program)
    if not report.failures and not a.keep:
        shutil.rmtree(work)
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
