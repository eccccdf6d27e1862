"""world.py - the program under test, the log that all trials train on, and the processes of a job."""
import os
import random
import signal
import subprocess
import sys
import time

# What makes parameters exact counts (docs/models.md, "count"), and timing that finds the dead soon.
COUNT = ["model.name=count", "model.tower=1", "table.dim=1", "table.init_scale=0", "table.optimizer=sgd",
         "table.lr=1", "dense.optimizer=sgd", "dense.lr=1"]
# A net with everything that a deterministic job must repeat.
REAL = ["model.tower=16,8", "model.dropout=0.25", "table.dim=4"]
PROMPT = ["net.heartbeat_ms=100", "net.request_ms=500", "net.lease_ms=2000", "net.give_up_ms=4000",
          "net.stall_ms=40000"]
ROLES = ("coord", "ps", "worker")


def run(words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        sys.exit("chaos: exit code %d of: %s\n%s" % (done.returncode, " ".join(words), done.stdout[-2000:]))
    return done.stdout


class Program:
    """What this build can do: the script must know what is to survive."""

    def __init__(self, esmm):
        self.esmm = os.path.abspath(esmm)
        if not os.access(self.esmm, os.X_OK):
            sys.exit("chaos: no program at %s; --esmm or $ESMM names it" % self.esmm)
        config = run([self.esmm, "config"])
        options = run([self.esmm, "train", "--help"])
        self.points = run([self.esmm, "faults"]).split()
        self.survives = {"worker"}
        if "`recovery.wait_seconds`" in config:
            self.survives |= {"ps", "worker deterministic"}
        if "--launch" in run([self.esmm, "coord", "--help"]):
            self.survives.add("coord")
        self.push_log = "`recovery.push_log`" in config
        self.restarts_bounded = "--restarts" not in options


def make_log(path, impressions):
    """A delimited log with one field, `request`, that has one value per impression."""
    rng = random.Random(7)
    with open(path + ".schema", "w") as f:
        f.write("[log]\ndelimiter = comma\nheader = yes\nimpression = request\ngroup = session\nclick = clicked\n"
                "conversion = bought\nuser = user, tags\nitem = item, once\n[column.tags]\nmulti = |\n")
    with open(path, "w") as f:
        f.write("request,session,user,tags,item,once,clicked,bought\n")
        at, session = 0, 0
        while at < impressions:
            session += 1
            user = rng.randrange(500)
            tags = "|".join("t%d" % rng.randrange(40) for _ in range(rng.randrange(1, 9)))
            for _ in range(min(rng.randrange(1, 12), impressions - at)):
                click = rng.random() < 0.2
                f.write("%d,s%d,u%d,%s,i%d,r%d,%d,%d\n" % (at, session, user, tags, rng.randrange(800), at, click,
                                                          click and rng.random() < 0.2))
                at += 1


def make_data(program, work, impressions):
    log, shards = os.path.join(work, "log.csv"), os.path.join(work, "data")
    make_log(log, impressions)
    run([program.esmm, "prep", "--format", "csv", "--schema", log + ".schema", "--input", log, "--out", shards,
         "--shard-impressions", str(max(200, impressions // 12))])
    return shards


# --- processes -----------------------------------------------------------------------------------

def command(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def state(pid):
    """R, S, D, T (stopped), Z, or "" if there is none."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""


def processes(scratch):
    """Processes of a trial {pid: words}: those of the program that name its directory."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            words = command(int(entry))
            if words and os.path.basename(words[0]) == "esmm" and any(scratch in w for w in words):
                found[int(entry)] = words
    return found


def roles(scratch):
    """{("worker", 1): pid, ...} of the roles that run."""
    found = {}
    for pid, words in processes(scratch).items():
        if len(words) > 1 and words[1] in ROLES and state(pid) not in ("", "Z"):
            index = int(words[words.index("--index") + 1]) if "--index" in words else 0
            found[(words[1], index)] = pid
    return found


def send(pid, number):
    try:
        os.kill(pid, number)
        return True
    except OSError:
        return False


def kill_all(scratch):
    for pid in processes(scratch):
        send(pid, signal.SIGKILL)


def wait_gone(scratch, seconds):
    """The processes that are still there after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        left = {p: w for p, w in processes(scratch).items() if state(p) not in ("", "Z")}
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)
