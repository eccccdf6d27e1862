"""soak.py - one long job with a kill every 20 s: what it uses must not grow, and every impression must count."""
import os
import signal
import subprocess
import time

from oracle import read_export
from shape import trial_rng
from world import COUNT, PROMPT, kill_all, roles, send, wait_gone

EVERY_S = 20
LOOK_S = 5


def uses(pid):
    """Resident kilobytes, descriptors, threads."""
    try:
        with open("/proc/%d/status" % pid) as f:
            status = dict(line.split(":", 1) for line in f if ":" in line)
        return int(status["VmRSS"].split()[0]), len(os.listdir("/proc/%d/fd" % pid)), int(status["Threads"])
    except (OSError, KeyError, ValueError):
        return None


def tree_bytes(path):
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                pass
    return total


def slope(points):
    """Per hour, by least squares; 0 of fewer than three."""
    n = len(points)
    if n < 3:
        return 0.0
    mx, my = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    d = sum((p[0] - mx) ** 2 for p in points)
    return 3600 * sum((p[0] - mx) * (p[1] - my) for p in points) / d if d > 0 else 0.0


class Soak:
    def __init__(self, program, data, work, seed):
        self.program, self.dir = program, os.path.join(work, "soak")
        self.run_dir = os.path.join(self.dir, "run")
        self.rng = trial_rng(seed, "soak")
        self.series = {}   # (what, who): [(seconds, value)]
        self.kills = {}
        self.resumed = 0
        os.makedirs(os.path.join(self.dir, "tmp"))
        self.words = ["--data", data, "--out", self.run_dir, "--servers", "2", "--workers", "2", "--set", "train.batch=64",
                      "--set", "checkpoint.every_seconds=5", "--set", "train.epochs=1000000"]
        for s in COUNT + PROMPT:
            self.words += ["--set", s]
        if program.push_log:
            self.words += ["--set", "recovery.push_log=on"]

    def start(self, *more):
        env = dict(os.environ, TMPDIR=os.path.join(self.dir, "tmp"))
        words = [self.program.esmm, "train"] + self.words + list(more)
        with open(os.path.join(self.dir, "out"), "a") as out:
            return subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def look(self, job, at):
        there = roles(self.dir)
        there[("launcher", 0)] = job.pid
        for role, pid in there.items():
            figures = uses(pid)
            if figures is not None:
                for what, value in zip(("memory kB", "descriptors", "threads"), figures):
                    self.series.setdefault((what, role[0]), []).append((at, value))
        self.series.setdefault(("disk kB", "run"), []).append((at, tree_bytes(self.run_dir) / 1024))
        return there

    def train(self, seconds):
        """Until the time is over; a job that ends is resumed."""
        began, kill_s, look_s, job = time.monotonic(), EVERY_S, 0, self.start()
        while True:
            at = time.monotonic() - began
            if at > seconds:
                break
            if job.poll() is not None:
                wait_gone(self.dir, 20)
                self.resumed += 1
                print("%.0f s: the job ended with %d, resumed" % (at, job.returncode), flush=True)
                job = self.start("--resume")
            if at >= look_s:
                look_s += LOOK_S
                self.look(job, at)
            if at >= kill_s:
                kill_s += EVERY_S
                there = [r for r in sorted(roles(self.dir).items()) if r[0][0] in self.program.survives]
                if there:
                    role, pid = there[int(self.rng.random() * len(there))]
                    send(pid, signal.SIGKILL)
                    self.kills[role[0]] = self.kills.get(role[0], 0) + 1
            time.sleep(0.1)
        send(job.pid, signal.SIGTERM)
        return job.wait(60)

    def report(self):
        for (what, who), points in sorted(self.series.items()):
            half = points[len(points) // 2:]
            print("%-12s %-9s first %10.0f  last %10.0f  largest %10.0f  slope of the second half %+.1f an hour"
                  % (what, who, points[0][1], points[-1][1], max(v for _, v in points), slope(half)))


def soak(program, oracle, data, work, hours, seed):
    """Exit code. The job is stopped in the midst of an epoch, and then finishes it."""
    s = Soak(program, data, work, seed)
    code = s.train(hours * 3600)
    print("stopped with exit code %d; kills: %s; resumed by hand %d times" % (code, s.kills, s.resumed), flush=True)
    s.report()
    left = wait_gone(s.dir, 20)
    arrays, manifest = read_export(program, s.run_dir, os.path.join(s.dir, "export"))
    epochs = -(-manifest["impressions"] // oracle.impressions)
    job = s.start("--resume", "--set", "train.epochs=%d" % epochs)
    ended = job.wait(300)
    arrays, manifest = read_export(program, s.run_dir, os.path.join(s.dir, "export"))
    wrong = oracle.check(arrays, manifest, epochs)
    kill_all(s.dir)
    print("%d epochs of %d impressions: %s" % (epochs, oracle.impressions, "; ".join(wrong) if wrong else "exact"))
    return 0 if code == 128 + signal.SIGTERM and ended == 0 and not wrong and not left else 1
