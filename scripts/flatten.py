#!/usr/bin/env python3
"""A log in Ali-CCP's format with every impression a group of its own, for scripts/study.py:

    scripts/flatten.py SKELETON.csv COMMON.csv OUT-DIR

Writes OUT-DIR/sample_skeleton.csv and common_features.csv: the user side is repeated for each impression, so
the second file grows by as many times as a user has impressions. The first stays in its order.
"""
import os
import sys


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    skeleton, common, out = sys.argv[1:]
    users = {}
    with open(common) as f:
        for line in f:
            index, _, rest = line.rstrip("\n").partition(",")
            users[index] = rest
    os.makedirs(out, exist_ok=True)
    with open(skeleton) as f, open(os.path.join(out, "sample_skeleton.csv"), "w") as s, \
            open(os.path.join(out, "common_features.csv"), "w") as c:
        for n, line in enumerate(f):
            parts = line.rstrip("\n").split(",", 4)
            if parts[3] not in users:
                sys.exit(f"{skeleton}: line {n + 1}: {common} has no index {parts[3]}")
            index = f"{n:016x}"
            c.write(f"{index},{users[parts[3]]}\n")
            s.write(",".join([*parts[:3], index, parts[4]]) + "\n")


if __name__ == "__main__":
    main()
