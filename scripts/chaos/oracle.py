"""oracle.py - whether every impression was counted exactly once per epoch.

The jobs train `model.name = count`: a row is how often its feature occurred, and the field `once` has one feature
per impression. So after E epochs each of its rows must be E, there must be one for each impression, and every other
row and parameter must be E times what it is after one undisturbed epoch."""
import array
import json
import os
import shutil

from world import run

EXACT = 1 << 24  # float32


def npy(path, kind):
    """The values of a .npy file of ours (version 1.0, little-endian, C order)."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:6] == b"\x93NUMPY" and data[6] == 1, path
    begin = 10 + int.from_bytes(data[8:10], "little")
    values = array.array(kind)
    values.frombytes(data[begin:])
    return values


def read_export(program, run_dir, to):
    """{path: values} of all arrays, and the manifest."""
    shutil.rmtree(to, ignore_errors=True)
    run([program.esmm, "export", run_dir, "--format", "npy", "--out", to])
    arrays = {}
    for folder, _, files in os.walk(to):
        for name in files:
            if name.endswith(".npy"):
                path = os.path.join(folder, name)
                arrays[os.path.relpath(path, to)] = npy(path, "Q" if name == "ids.npy" else "f")
    with open(os.path.join(to, "manifest.json")) as f:
        manifest = json.load(f)
    shutil.rmtree(to)
    return arrays, manifest


def dump(program, run_dir, to):
    """{path: bytes} of the whole state, without the configuration: timing and servers are not the same."""
    shutil.rmtree(to, ignore_errors=True)
    run([program.esmm, "export", run_dir, "--format", "dump", "--out", to])
    files = {}
    for folder, _, names in os.walk(to):
        for name in sorted(set(names) - {"config.ini"}):
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                files[os.path.relpath(path, to)] = f.read()
    shutil.rmtree(to)
    return files


class Bytes:
    """What deterministic jobs come to that nobody disturbs."""

    def __init__(self, program, data, work):
        self.program, self.data, self.work, self.known = program, data, work, {}

    def check(self, shape, run_dir, to):
        key = " ".join(shape.undisturbed())
        if key not in self.known:
            out = os.path.join(self.work, "undisturbed")
            run([self.program.esmm, "train", "--data", self.data, "--out", out] + shape.undisturbed())
            self.known[key] = dump(self.program, out, out + ".dump")
            shutil.rmtree(out)
        want, got = self.known[key], dump(self.program, run_dir, to)
        other = sorted(n for n in set(want) | set(got) if want.get(n) != got.get(n))
        return ["other bytes than undisturbed: %s" % " ".join(other)] if other else []


class Oracle:
    def __init__(self, arrays, impressions, undisturbed=None):
        self.bytes = undisturbed
        self.one = arrays
        self.impressions = impressions

    def truth(self):
        """What is wrong with the undisturbed epoch, by what is known of the log."""
        once = self.one["once/emb.npy"]
        if len(once) != self.impressions or set(once) != {1.0}:
            return ["the undisturbed epoch is not one of each impression"]
        if sum(self.one["item/emb.npy"]) != self.impressions or sum(self.one["user/emb.npy"]) != self.impressions:
            return ["items or users do not occur once per impression"]
        return []

    def check(self, arrays, manifest, epochs):
        """What is wrong, in words; [] if nothing is."""
        wrong = []
        if manifest["impressions"] != epochs * self.impressions:
            wrong.append("the checkpoint says %d impressions, expected %d"
                         % (manifest["impressions"], epochs * self.impressions))
        if set(arrays) != set(self.one):
            return wrong + ["other arrays: %s" % sorted(set(arrays) ^ set(self.one))]
        for name, one in sorted(self.one.items()):
            got = arrays[name]
            times = 1 if name.endswith("ids.npy") else epochs
            if one and max(one) * times > EXACT and not name.startswith("once"):
                continue  # a long soak: no count any more
            want = array.array(one.typecode, [v * times for v in one])
            if len(got) != len(want):
                wrong.append("%s has %d values, expected %d" % (name, len(got), len(want)))
            elif got != want:
                bad = [i for i in range(len(got)) if got[i] != want[i]]
                wrong.append("%s: %d of %d values are wrong, the first is %g instead of %g; %g too many, %g too few"
                             % (name, len(bad), len(got), got[bad[0]], want[bad[0]],
                                sum(max(0, got[i] - want[i]) for i in bad), sum(max(0, want[i] - got[i]) for i in bad)))
        return wrong
