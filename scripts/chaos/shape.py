"""shape.py - a random job and random faults, both functions of a seed and a kind alone, so that a trial can be
run again by naming them."""
import random
import signal

from world import COUNT, PROMPT, REAL

# Passes over the log so that a job takes some seconds, by how much of it waits.
EPOCHS = {"async": 24, "hybrid": 12, "sync": 12, "deterministic": 10}
KINDS = ["kill", "pair", "again", "fault", "twice", "stop", "term", "launcher"]
RECOVERY = {"rollback", "restore", "leave", "hello", "welcome", "journal", "replay", "log", "spawn", "thread", "begin", "setup",
            "plan", "lost"}
NET_KINDS = ["net", "cut"]


class Shape:
    """The job of a trial."""

    def __init__(self, rng, program, epochs_factor):
        self.servers = rng.randrange(1, 4)
        self.workers = rng.randrange(1, 4)
        self.threads = rng.choice([1, 1, 2])
        self.mode = rng.choice(["async", "async", "async", "sync", "hybrid", "deterministic"])
        self.epochs = max(2, round(EPOCHS[self.mode] * epochs_factor))
        self.log = program.push_log and rng.random() < 0.5
        self.real = self.mode == "deterministic" and rng.random() < 0.7  # a net, held against other bytes
        self.sets = list(REAL if self.real else COUNT) + list(PROMPT)
        if self.mode in ("sync", "hybrid"):
            self.sets.append("train.consistency=" + self.mode)
        self.sets.append("server.threads=%d" % rng.choice([1, 1, 2]))
        self.sets.append(rng.choice(["checkpoint.every_seconds=1", "checkpoint.every_impressions=30000",
                                     "checkpoint.every_seconds=600"]))
        self.sets.append(rng.choice(["train.window=0", "train.window=1000000", "train.window=1000000"]))
        self.sets.append(rng.choice(["train.share_bags=auto", "train.share_bags=never", "train.share_bags=always"]))
        self.sets.append("train.batch=64")
        if self.log:
            self.sets.append("recovery.push_log=on")
        self.evaluates = rng.random() < 0.25

    def words(self, data):
        out = ["--data", data, "--servers", str(self.servers), "--workers", str(self.workers),
               "--threads", str(self.threads), "--epochs", str(self.epochs)]
        if self.mode == "deterministic":
            out.append("--deterministic")
        if self.evaluates:
            out += ["--eval", data]
        for s in self.sets:
            out += ["--set", s]
        return out

    def undisturbed(self):
        """Options of the job that a deterministic one must equal byte by byte; they are its name, too."""
        kept = ("model.", "table.", "train.window", "train.share_bags", "train.batch")
        return ["--deterministic", "--epochs", str(self.epochs), "--servers", "1", "--workers", "1"] + [
            w for s in self.sets if s.startswith(kept) for w in ("--set", s)]

    def text(self):
        return "%d servers, %d workers x %d, %s%s, %d epochs%s%s" % (
            self.servers, self.workers, self.threads, self.mode, " net" if self.real else "", self.epochs, ", push log" if self.log else "",
            ", eval" if self.evaluates else "")


class Event:
    """At `at` seconds after training begins (or, `early`, after the start) the role gets the signal; a stopped one
    goes on after `away` seconds. `after_death`: the seconds count from the first death instead."""

    def __init__(self, at, number, early=False, away=0.0, after_death=False):
        self.at, self.number, self.early, self.away, self.after_death = at, number, early, away, after_death
        self.pick = 0.0    # which of the roles that run: a fraction
        self.lasting = False  # of those alone whose death the program promises to survive
        self.role = None   # or a kind of role


def events_of(kind, rng):
    """What happens from outside."""
    out = []
    if kind == "kill":
        out = [Event(rng.uniform(0, 4), signal.SIGKILL, early=rng.random() < 0.3) for _ in range(rng.randrange(1, 6))]
    elif kind == "pair":
        at = rng.uniform(0, 3)
        out = [Event(at, signal.SIGKILL), Event(at + rng.choice([0, 0, rng.uniform(0, 0.05)]), signal.SIGKILL)]
    elif kind == "again":
        out = [Event(rng.uniform(0, 2), signal.SIGKILL)]
        out += [Event(rng.uniform(0, 1.5), signal.SIGKILL, after_death=True) for _ in range(rng.randrange(1, 4))]
    elif kind == "stop":
        out = [Event(rng.uniform(0, 3), signal.SIGSTOP, away=rng.choice([0.1, 0.5, 1, 2.5, 6])) for _ in range(rng.randrange(1, 4))]
    elif kind == "term":
        out = [Event(rng.uniform(0, 3), signal.SIGTERM, early=rng.random() < 0.2)]
    elif kind == "launcher":
        out = [Event(rng.uniform(0, 3), rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))]
        out[0].role = "launcher"
    elif kind == "twice" or (kind == "fault" and rng.random() < 0.5):  # many points are passed in a recovery only
        out = [Event(rng.uniform(0, 2), signal.SIGKILL)]
        out[0].role = rng.choice(["ps", "ps", "coord", "worker"])
    for e in out:
        e.lasting = rng.random() < 0.7
        e.pick = rng.random()
    return sorted(out, key=lambda e: e.at)


def faults_of(kind, rng, points):
    """ESMM_FAULT of a trial. Names are drawn evenly over the roles: some have many points."""
    if kind == "twice":  # a second death, perhaps a third, while the job recovers from the first
        some = [p for p in points if set(p.split(".")) & RECOVERY and not p.startswith("launch.")]
        return ",".join("%s:%d" % (p, rng.randrange(1, 4)) for p in rng.sample(some, 3))
    if kind != "fault":
        return ""
    rooms = sorted({p.split(".")[0] for p in points})
    often = [p for p in points if set(p.split(".")) & {"push", "pull", "batch", "lease", "request", "beat"}]
    out = []
    for _ in range(rng.randrange(2, 7)):
        room = rng.choice(rooms)
        name = rng.choice([p for p in points if p.split(".")[0] == room] if rng.random() < 0.6 else often)
        nth = rng.choice([1, 1, 1, rng.randrange(1, 4), int(10 ** rng.uniform(0, 2.5))])
        out.append("%s:%d%s" % (name, nth, rng.choice([""] * 9 + [":stop", ":stop", ":term"])))
    return ",".join(out)


def trial_rng(seed, kind):
    return random.Random("%d %s" % (seed, kind))
