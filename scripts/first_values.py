#!/usr/bin/env python3
"""A log in Ali-CCP's format with the first value of each field only, weight 1, for programs that know no others:

    scripts/first_values.py FROM-DIR OUT-DIR [--rows N]

FROM-DIR holds one sample_skeleton*.csv and one common_features*.csv, or .csv.gz. Writes OUT-DIR/sample_skeleton.csv and
common_features.csv, in the order of FROM-DIR; the first N impressions with --rows. Many programs take one id for each
field, with no weight beside it; compared on this log all see the same. Python's standard library only.
"""
import argparse
import glob
import gzip
import os
import sys


def the_file(directory, name):
    """The one file directory/NAME*.csv or .csv.gz."""
    found = [f for end in (".csv", ".csv.gz") for f in sorted(glob.glob(os.path.join(directory, name + "*" + end)))]
    if len(found) != 1:
        sys.exit(f"first_values: {directory}: expected one {name}*.csv or .csv.gz, found {len(found)}")
    return found[0]


def lines_of(path):
    with (gzip.open(path, "rt") if path.endswith(".gz") else open(path)) as f:
        for line in f:
            yield line.rstrip("\n")


def first_values(features):
    """'field\\x02id\\x03value' joined by \\x01: how many and which are left. A field's first value counts."""
    first = {}
    for feature in features.split("\x01"):
        field, _, rest = feature.partition("\x02")
        if field not in first:
            first[field] = f"{field}\x02{rest.partition(chr(3))[0]}\x031.0"
    return f"{len(first)},{chr(1).join(first.values())}"


def rewrite(directory, out, name, columns, rows=None):
    """Copies a file; `columns` cells stand before the number of features."""
    path = the_file(directory, name)
    with open(os.path.join(out, name + ".csv"), "w") as f:
        for n, line in enumerate(lines_of(path)):
            if n == rows:
                break
            cells = line.split(",", columns + 1)
            if len(cells) != columns + 2:
                sys.exit(f"first_values: {path}: line {n + 1}: expected {columns + 2} cells, found {len(cells)}")
            f.write(",".join([*cells[:columns], first_values(cells[-1])]) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("source", metavar="FROM-DIR")
    ap.add_argument("out", metavar="OUT-DIR")
    ap.add_argument("--rows", type=int, help="the first N impressions only")
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    rewrite(args.source, args.out, "sample_skeleton", 4, args.rows)
    rewrite(args.source, args.out, "common_features", 1)


if __name__ == "__main__":
    main()
