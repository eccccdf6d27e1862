#!/usr/bin/env bash
# Vowpal Wabbit does not hash an id of digits: ids that differ by a multiple of the table share a weight.
#
# vowpalwabbit 9.11.9, its own choices. A feature whose name is made of digits is read as a number,
# cut to the table's 2^18 weights, and only the namespace is hashed. So in one field
#
#     17, 017 and 0000017          are one feature,
#     17 and 262161 (17 + 2^18)    are one feature; with -b 24 they are two,
#     17 and 18446744073709551633  (17 + 2^64) are one feature with any table,
#     17 and 17.0, 17 and -17      are different ones.
#
# The number of collisions of ids that count up is not what a hash would give: none below the size
# of the table, and beyond it each id meets the one exactly 2^18 before it, which in a log means ads
# of different times or campaigns. With --hash all every text is hashed and all of these are apart.
# Whoever compares a model of ours, where `kind = id` keeps all 64 bits and refuses more, with VW's
# on the same log should give VW --hash all.
#
# Seen, after training on 17 alone with label 1:
#     id                    default  -b 24  --hash all
#     17                        1.0    1.0         1.0
#     017                       1.0    1.0         0.0
#     262161                    1.0    0.0         0.0
#     18446744073709551633      1.0    1.0         0.0
#     17.0                      0.0    0.0         0.0
#
# Fails if any of these changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check vowpalwabbit==9.11.9 numpy==2.4.6 \
    scipy==1.17.1 scikit-learn==1.9.1 2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import vowpalwabbit

IDS = ("17", "017", "262161", "18446744073709551633", "17.0")
SEEN = {"": (1, 1, 1, 1, 0), "-b 24": (1, 1, 0, 1, 0), "--hash all": (1, 0, 0, 0, 0)}


def scores(options):
    model = vowpalwabbit.Workspace(f"--quiet --noconstant {options}")
    for _ in range(50):
        model.learn("1 |item 17")
    return tuple(round(model.predict(f"|item {name}"), 2) for name in IDS)


found = {options: scores(options) for options in SEEN}
print(f"vowpalwabbit {vowpalwabbit.__version__}")
print("id                    default  -b 24  --hash all")
for name, row in zip(IDS, zip(*found.values())):
    print(f"{name:20s}  {row[0]:7.1f}  {row[1]:5.1f}  {row[2]:10.1f}")
raise SystemExit(found != SEEN)
PYTHON
