#!/usr/bin/env bash
# From a fresh Debian 12 to a trained ESMM model, on this machine:
#
#     scripts/quickstart.sh [--out DIR] [--impressions N] [--holdout N]
#
# Installs what is missing, builds, writes a synthetic log in Ali-CCP's format with known truth,
# prepares it, trains on a coordinator, two servers and two workers, evaluates, inspects.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

out=runs/quickstart
impressions=1200000
holdout=300000
while [ $# -gt 0 ]; do
    case $1 in
    --out) out=$2; shift 2 ;;
    --impressions) impressions=$2; shift 2 ;;
    --holdout) holdout=$2; shift 2 ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
    esac
done
if [ -e "$out" ]; then
    echo "quickstart.sh: $out exists; remove it or give --out DIR" >&2
    exit 2
fi

step() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

install_packages "${BUILD_PACKAGES[@]}"
step build_preset release esmm
esmm=build/release/esmm
mkdir -p "$out"

step "$esmm" synth --impressions "$impressions" --holdout "$holdout" --seed 1 --out "$out/log"
for part in train eval; do
    step "$esmm" prep --format aliccp --skeleton "$out/log/$part/sample_skeleton.csv" \
        --common "$out/log/$part/common_features.csv" --out "$out/shards-$part"
done
step "$esmm" train --data "$out/shards-train" --eval "$out/shards-eval" --out "$out/run" \
    --servers 2 --workers 2 --conf conf/quickstart.ini
step "$esmm" eval --checkpoint "$out/run" --data "$out/shards-eval" --truth "$out/log/eval/truth.bin"
step "$esmm" inspect "$out/run"

cat <<END

Everything is in $out: the raw log, its shards, the run with its checkpoints.
With a log of your own, in Ali-CCP's format or any delimited one (docs/prep.md):

    $esmm prep --format csv --schema my.schema --input my.csv --out my-shards
    $esmm train --data my-shards --out my-run
END
