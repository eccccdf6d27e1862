#!/usr/bin/env python3
"""The last impressions of every user, held out of a training log in Ali-CCP's format: something to choose settings on
that is not the test set (docs/quality.md).

    scripts/holdout.py SKELETON.csv COMMON.csv OUT-DIR [--impressions N] [--user FIELD] [--history FIELD]

Of a user's groups the latest is the one with the most entries in the history field, a bag of what he had seen
before; its last N impressions (4) go to OUT-DIR/held.csv, all others to fit.csv, both in the order of the log. COMMON
serves both.
"""
import argparse
import os


def features(text):
    for item in filter(None, text.split("\x01")):
        field, rest = item.split("\x02")
        yield field, rest.split("\x03")[0]


def latest_groups(common, user_field, history_field):
    """{user: (entries of the history, index of the group)}"""
    latest = {}
    with open(common) as f:
        for line in f:
            index, _, text = line.rstrip("\n").split(",", 2)
            user, seen = None, 0
            for field, feature in features(text):
                if field == user_field:
                    user = feature
                seen += field == history_field
            if user is not None and (user not in latest or seen > latest[user][0]):
                latest[user] = (seen, index)
    return latest


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("skeleton", "common", "out"):
        p.add_argument(name)
    p.add_argument("--impressions", type=int, default=4)
    p.add_argument("--user", default="101")
    p.add_argument("--history", default="127_14")
    o = p.parse_args()
    rows = {index: [] for _, index in latest_groups(o.common, o.user, o.history).values()}
    with open(o.skeleton) as f:
        log = f.readlines()
    for n, line in enumerate(log):
        index = line.split(",", 4)[3]
        if index in rows:
            rows[index].append(n)
    held = {n for lines in rows.values() for n in lines[max(0, len(lines) - o.impressions):]}
    os.makedirs(o.out, exist_ok=True)
    with open(os.path.join(o.out, "fit.csv"), "w") as fit, open(os.path.join(o.out, "held.csv"), "w") as out:
        for n, line in enumerate(log):
            (out if n in held else fit).write(line)
    print(f"{len(log) - len(held)} impressions to fit, {len(held)} held out")


if __name__ == "__main__":
    main()
