#!/usr/bin/env bash
# Runs one training job on the machines of a hostfile, over ssh; docs/launch.md tells the rest:
#
#     scripts/launch.sh --hostfile FILE --data DIR --out RUN [options]
#
# It is `esmm train` with the same options (--help shows them), by this tree's program or $ESMM, whose
# path is that of the program on the hosts, too, unless --program says another.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
esmm=${ESMM:-$here/../build/release/esmm}
if [ ! -x "$esmm" ]; then
    echo "launch.sh: no program at $esmm: build it, or set ESMM to where it is" >&2
    exit 2
fi
esmm=$(cd "$(dirname "$esmm")" && pwd)/$(basename "$esmm")

hostfile=no program=(--program "$esmm")
for word in "$@"; do
    case $word in
    -h | --help) exec "$esmm" train --help ;;
    --ho*) hostfile=yes ;; # names may be shortened
    --pr*) program=() ;;
    esac
done
if [ "$hostfile" = no ]; then
    echo "launch.sh: --hostfile is missing" >&2
    exit 2
fi
exec "$esmm" train "$@" "${program[@]}"
