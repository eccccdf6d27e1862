#!/usr/bin/env bash
# Random jobs under random faults, each checked by an exact count (docs/reliability.md):
#
#     scripts/chaos.sh [--long] [--seed N] [--trials N] [--kinds kill,pair,again,fault,stop,term,net,...]
#     scripts/chaos.sh --soak HOURS
#
# --help has all options. Needs python3 (its standard library alone); `net` and `cut` are skipped, with a
# word, where there is no root or no network namespaces.
exec python3 "$(dirname "$0")/chaos/main.py" "$@"
