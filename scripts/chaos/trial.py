"""trial.py - one job under faults: starts it, does what was drawn, starts it again with --resume where it is allowed to
fail, and holds the result against the oracle."""
import json
import os
import shutil
import signal
import subprocess
import time

from oracle import read_export
from shape import Shape, events_of, faults_of, trial_rng
from world import kill_all, roles, send, state, wait_gone

ATTEMPTS = 12
GONE_S = 40      # for roles whose launcher died
LONGEST_S = 150  # of one attempt


class Failed(Exception):
    pass


class Trial:
    def __init__(self, program, oracle, data, work, seed, kind, epochs_factor=1.0):
        self.program, self.oracle, self.data, self.seed, self.kind = program, oracle, data, seed, kind
        rng = trial_rng(seed, kind)
        self.shape = Shape(rng, program, epochs_factor)
        self.events = events_of(kind, rng)
        self.faults = faults_of(kind, rng, program.points)
        self.rng = rng
        self.dir = os.path.join(work, "trial-%d-%s" % (seed, kind))
        self.run = os.path.join(self.dir, "run")
        self.claims = os.path.join(self.dir, "faults")
        self.seen = {}       # pid: (role, index) of all that were seen
        self.stopped = {}    # pid: when it goes on
        self.said = []       # what was done, for people
        self.kills = {}      # role: signals and faults that reached one
        self.hit = []        # (role, what) of this attempt
        self.job = None
        self.resumed = 0
        self.fired = set()
        self.longest = LONGEST_S

    # --- what happens ----------------------------------------------------------------------------

    def note(self, role, what, since):
        self.said.append("%.2f s: %s %s" % (time.monotonic() - since, "%s-%d" % role if role else "?", what))
        name = role[0] if role else "?"
        self.kills[name] = self.kills.get(name, 0) + 1
        self.hit.append((name, what))

    def look(self):
        now = roles(self.dir)
        for role, pid in now.items():
            self.seen[pid] = role
        return now

    def claimed(self, since):
        """Fault points that have fired since the last look."""
        for name in os.listdir(self.claims):
            if name in self.fired:
                continue
            try:
                with open(os.path.join(self.claims, name)) as f:
                    pid = int(f.read() or 0)
            except (OSError, ValueError):
                continue
            if pid == 0:
                continue
            self.fired.add(name)
            role = self.seen.get(pid)
            if pid == self.job.pid:
                role = ("launcher", 0)
            self.note(role, "passed " + self.faults.split(",")[int(name.split("-", 1)[0])], since)

    def go_on(self, now):
        """Lets stopped processes go on whose time is over; those that stopped themselves get a time."""
        for pid in list(self.seen) + [self.job.pid]:
            if state(pid) == "T" and pid not in self.stopped:
                self.stopped[pid] = now + self.rng.choice([0.2, 1.0, 2.5, 6.0])
        for pid, when in list(self.stopped.items()):
            if now >= when:
                send(pid, signal.SIGCONT)
                del self.stopped[pid]

    def act(self, event, since):
        if event.role == "launcher":
            pid, role = self.job.pid, ("launcher", 0)
        else:
            there = sorted(x for x in self.look().items() if event.role == x[0][0] or
                           (event.role is None and (not event.lasting or x[0][0] in self.program.survives)))
            if not there:
                return False
            role, pid = there[int(event.pick * len(there))]
        if send(pid, event.number):
            self.note(role, signal.Signals(event.number).name[3:] + (" for %.1f s" % event.away if event.away else ""), since)
            if event.number == signal.SIGSTOP:
                self.stopped[pid] = time.monotonic() + event.away
            if event.number == signal.SIGKILL and self.death == 0:
                self.death = time.monotonic()
        return True

    def begun(self):
        try:
            with open(os.path.join(self.run, "logs", "coord-0.log")) as f:
                return "all roles are there" in f.read()
        except OSError:
            return False

    # --- an attempt ------------------------------------------------------------------------------

    def start(self, resume):
        env = dict(os.environ, TMPDIR=os.path.join(self.dir, "tmp"), ESMM_FAULT=self.faults, ESMM_FAULT_DIR=self.claims)
        words = self.launch_words() + ["--out", self.run] + self.shape.words(self.data) + (["--resume"] if resume else [])
        with open(os.path.join(self.dir, "out"), "a") as out:
            out.write("# %s\n" % " ".join(words))
            out.flush()
            self.job = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.hit, self.death = [], 0

    def launch_words(self):
        return [self.program.esmm, "train"]

    def attend(self):
        """Until the launcher has ended; does what is due meanwhile."""
        since = time.monotonic()
        training = 0
        while self.job.poll() is None:
            now = time.monotonic()
            self.look()
            self.claimed(since)
            self.go_on(now)
            training = training or (now if self.begun() else 0)
            self.outside(now, training)
            for e in list(self.events):
                start = since if e.early else self.death if e.after_death else training
                if start and now >= start + e.at and self.act(e, since):
                    self.events.remove(e)
            if now > since + self.longest:
                raise Failed("it hangs: after %d s it still runs" % self.longest)
            time.sleep(0.02)
        self.claimed(since)
        for pid in self.stopped:
            send(pid, signal.SIGCONT)
        self.stopped = {}
        return self.job.returncode

    def outside(self, now, training):
        """For trials that do something to the network."""

    def may_fail(self):
        """Whether what happened in this attempt is more than the program promises to survive."""
        deaths = {}
        for role, what in self.hit:
            stop = what.startswith("STOP") or what.endswith(":stop")
            if role in ("launcher", "?") or what in ("TERM", "INT") or what.endswith(":term"):
                return True
            if role == "coord" and stop:
                return True # the others end when it is silent for net.give_up_ms
            name = role + " deterministic" if role == "worker" and self.shape.mode == "deterministic" else role
            if name not in self.program.survives:
                return True
            deaths[role] = deaths.get(role, 0) + (not stop)
        return self.program.restarts_bounded and deaths.get("worker", 0) > 3

    def status(self):
        try:
            with open(os.path.join(self.run, "summary.json")) as f:
                return json.load(f)["status"]
        except (OSError, ValueError, KeyError):
            return ""

    def ended(self, code):
        """Judges the end of an attempt. True: the job is complete."""
        left = wait_gone(self.dir, GONE_S if code < 0 else 5)
        if left:
            raise Failed("still there %s: %s" % ("after the launcher's death" if code < 0 else "after the end",
                                                 ["%d %s" % (p, " ".join(w[:2])) for p, w in left.items()]))
        if code == 0 and self.status() == "complete":
            return True
        if code == 0 and not self.may_fail():
            raise Failed("exit code 0, and the job is %s" % (self.status() or "not summed up"))
        if not self.hit:
            raise Failed("exit code %d, and nothing had been done to it" % code)
        if not self.may_fail():
            raise Failed("exit code %d after what it should survive" % code)
        return False

    def prepare(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        for name in ("tmp", "faults"):
            os.makedirs(os.path.join(self.dir, name))

    def clean_up(self):
        kill_all(self.dir)

    def perform(self):
        """Raises Failed. Keeps the directory then, else removes it."""
        try:
            self.prepare()
            for attempt in range(ATTEMPTS):
                self.start(attempt > 0)
                if self.ended(self.attend()):
                    break
                self.resumed += 1
            else:
                raise Failed("not complete after %d attempts" % ATTEMPTS)
            export = os.path.join(self.dir, "export")
            if self.shape.real:
                wrong = self.oracle.bytes.check(self.shape, self.run, export)
            else:
                wrong = self.oracle.check(*read_export(self.program, self.run, export), self.shape.epochs)
            if wrong:
                raise Failed("; ".join(wrong))
            clean = not self.resumed and not any(n == "launcher" for n in self.kills)
            if clean and os.listdir(os.path.join(self.dir, "tmp")):
                raise Failed("left over: %s" % os.listdir(os.path.join(self.dir, "tmp")))
        finally:
            self.clean_up()
            if self.job is not None and self.job.poll() is None:
                self.job.kill()
            if self.job is not None:
                self.job.wait()
        shutil.rmtree(self.dir)
