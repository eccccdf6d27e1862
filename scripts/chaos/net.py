"""net.py - trials in which the network is bad: `net` through proxies, `cut` between network namespaces."""
import os
import random
import shutil
import subprocess
import sys
import time

from proxy import Proxy
from trial import Trial

GIVE_UP_S = 4  # net.give_up_ms of the trials


class Trouble:
    """From `at` seconds after training begins, for `seconds`, `what` befalls the connections."""

    def __init__(self, rng, whats):
        self.at = rng.uniform(0, 3)
        self.seconds = rng.choice([0.1, 0.3, 1.0, 2.0, 2.0, 7.0, 12.0])
        self.what = rng.choice(whats)
        self.where = rng.random()
        self.begun = False

    def text(self):
        return "%s for %.1f s" % (self.what, self.seconds)


class NetTrial(Trial):
    """Roles that are started by hand, and a proxy before each port."""

    def __init__(self, *args):
        super().__init__(*args)
        self.troubles = [Trouble(self.rng, ["hold", "hold one way", "reset", "flap", "split", "break", "refuse"])
                         for _ in range(self.rng.randrange(1, 4))]
        self.shape.workers = max(1, self.shape.workers)
        self.port = 21000 + self.seed * 16 % 9000
        self.threads = int(next(s for s in self.shape.sets if s.startswith("server.threads=")).split("=")[1])
        self.proxies = []
        self.longest = 200

    def start(self, resume):
        words = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "hands.py"), self.program.esmm,
                 self.run, str(self.port), str(self.shape.servers), str(self.threads), str(self.shape.workers),
                 str(self.shape.threads), "--", "--data", self.data, "--epochs", str(self.shape.epochs)]
        words += ["--deterministic"] if self.shape.mode == "deterministic" else []
        words += ["--eval", self.data] if self.shape.evaluates else []
        for s in self.shape.sets:
            words += ["--set", s]
        words += ["--resume"] if resume else []
        for p in self.proxies:
            p.calm()
        self.troubles = [t for t in self.troubles if not t.begun]
        for k in range(1 + self.shape.servers * self.threads - len(self.proxies)):
            self.proxies.append(Proxy(("127.0.0.2", self.port + k), ("127.0.0.1", self.port + k)))
        env = dict(os.environ, TMPDIR=os.path.join(self.dir, "tmp"))
        with open(os.path.join(self.dir, "out"), "a") as out:
            self.job = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.hit, self.death = [], 0

    def outside(self, now, training):
        for t in list(self.troubles):
            if not training or now < training + t.at:
                continue
            proxy = self.proxies[int(t.where * len(self.proxies))]
            if not t.begun:
                t.begun = True
                self.note(("net", self.proxies.index(proxy)), t.text(), training)
            if now > training + t.at + t.seconds:
                proxy.calm()
                self.troubles.remove(t)
            else:
                self.trouble(proxy, t, now)

    def trouble(self, proxy, t, now):
        if t.what == "hold":
            proxy.hold_out = proxy.hold_back = True
        elif t.what == "hold one way":
            proxy.hold_out, proxy.hold_back = t.where < 0.5, t.where >= 0.5
        elif t.what == "reset":
            proxy.reset()
            t.seconds = 0
        elif t.what == "flap":
            proxy.refuse = int(now * 5) % 2 == 0
            if proxy.refuse:
                proxy.reset()
        elif t.what == "split":
            proxy.piece = 7
        elif t.what == "break" and proxy.breaks <= 0:
            proxy.breaks = self.rng.randrange(1, 20000)
        elif t.what == "refuse":
            proxy.refuse = True

    def may_fail(self):
        """What is gone for longer than net.give_up_ms, or nearly, is dead."""
        longest = max([float(what.split()[-2]) for _, what in self.hit] or [0])
        return longest > 0.6 * GIVE_UP_S

    def clean_up(self):
        super().clean_up()
        for p in self.proxies:
            p.close()


class CutTrial(Trial):
    """`esmm train --hostfile` over three network namespaces on a bridge; packets are dropped in them."""

    def __init__(self, *args):
        super().__init__(*args)
        self.troubles = [Trouble(self.rng, ["cut", "cut one way", "flap", "loss 1", "loss 5", "loss 20"])
                         for _ in range(self.rng.randrange(1, 3))]
        self.net = "chaos%d" % os.getpid()
        self.hosts = ["one", "two", "three"]
        self.shape.servers, self.shape.workers = 1 + self.seed % 2, 2
        self.port = 27000 + self.seed * 16 % 5000
        self.longest = 200

    def ip(self, *words):
        subprocess.run(["ip"] + list(words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def prepare(self):
        super().prepare()
        self.ip("netns", "add", self.net + "l")
        self.ip("-n", self.net + "l", "link", "add", "bridge", "type", "bridge")
        self.ip("-n", self.net + "l", "address", "add", "10.214.0.254/24", "dev", "bridge")
        self.ip("-n", self.net + "l", "link", "set", "bridge", "up")
        self.ip("-n", self.net + "l", "link", "set", "lo", "up")
        for k, h in enumerate(self.hosts):
            self.ip("netns", "add", self.net + h)
            self.ip("-n", self.net + h, "link", "set", "lo", "up")
            self.ip("-n", self.net + "l", "link", "add", h, "type", "veth", "peer", "name", "eth0", "netns", self.net + h)
            self.ip("-n", self.net + "l", "link", "set", h, "master", "bridge", "up")
            self.ip("-n", self.net + h, "address", "add", "10.214.0.%d/24" % (k + 1), "dev", "eth0")
            self.ip("-n", self.net + h, "link", "set", "eth0", "up")
        with open(os.path.join(self.dir, "hosts"), "w") as f:
            for k, h in enumerate(self.hosts):
                f.write("%s slots=%d addr=10.214.0.%d\n" % (h, 1 if k == 0 else 4, k + 1))
        ssh = os.path.join(self.dir, "ssh")
        with open(ssh, "w") as f:
            f.write("#!/bin/sh\nfor word in \"$@\"; do host=$last; last=$word; done\n"
                    "exec ip netns exec %s\"$host\" sh -c \"$last\"\n" % self.net)
        os.chmod(ssh, 0o755)

    def launch_words(self):
        return ["ip", "netns", "exec", self.net + "l", self.program.esmm, "train", "--hostfile",
                os.path.join(self.dir, "hosts"), "--ssh", os.path.join(self.dir, "ssh"), "--port-base", str(self.port)]

    def nft(self, host, rule):
        """One rule, or none, for what comes into a host (not from itself)."""
        text = "flush ruleset\n"
        if rule:
            text += "table ip t { chain c { type filter hook input priority 0; iifname \"eth0\" %s; };\n" % rule["in"]
            text += "chain o { type filter hook output priority 0; oifname \"eth0\" %s; }; }\n" % rule["out"]
        subprocess.run(["ip", "netns", "exec", self.net + host, "nft", "-f", "-"], input=text, text=True, check=True,
                       stdout=subprocess.DEVNULL)

    def outside(self, now, training):
        for t in list(self.troubles):
            if not training or now < training + t.at:
                continue
            host = self.hosts[int(t.where * len(self.hosts))]
            if not t.begun:
                t.begun, t.on = True, None
                self.note(("net", self.hosts.index(host)), "%s for %.1f s" % (t.what, t.seconds), training)
            over = now > training + t.at + t.seconds
            want = not over and (t.what != "flap" or int(now * 4) % 2 == 0)
            if want != t.on:
                t.on = want
                self.nft(host, self.rule(t) if want else None)
            if over:
                self.troubles.remove(t)

    def rule(self, t):
        if t.what.startswith("loss"):
            drop = "numgen random mod 100 < %s drop" % t.what.split()[1]
            return {"in": drop, "out": drop}
        if t.what == "cut one way":
            return {"in": "drop", "out": "accept"} if t.where * 3 % 1 < 0.5 else {"in": "accept", "out": "drop"}
        return {"in": "drop", "out": "drop"}

    def may_fail(self):
        """Loss only slows; a cut is a death when it comes near net.give_up_ms (TCP's own pauses come on top)."""
        longest = max([float(what.split()[-2]) for _, what in self.hit if not what.startswith("loss 1 ")] or [0])
        return longest > 0.4 * GIVE_UP_S

    def clean_up(self):
        super().clean_up()
        for h in self.hosts + ["l"]:
            subprocess.run(["ip", "netns", "delete", self.net + h], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


told = set()


def no_cuts():
    """Why there can be no cuts here; "" if there can."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            return "needs " + tool
    name = "chaos%dx" % os.getpid()
    if subprocess.run(["ip", "netns", "add", name], stderr=subprocess.DEVNULL).returncode != 0:
        return "no network namespaces"
    rules = "table ip t { chain c { type filter hook input priority 0; numgen random mod 100 < 1 drop; }; }\n"
    works = subprocess.run(["ip", "netns", "exec", name, "nft", "-f", "-"], input=rules, text=True, stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "netns", "delete", name])
    return "" if works.returncode == 0 else "nft does not work in a namespace here"


def make(kind, program, oracle, data, work, seed, factor):
    if kind == "cut":
        why = no_cuts()
        if why:
            if kind not in told:
                print("skipped: cut: %s" % why)
                told.add(kind)
            return None
        return CutTrial(program, oracle, data, work, seed, kind, factor)
    return NetTrial(program, oracle, data, work, seed, kind, factor)
