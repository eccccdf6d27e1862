#!/usr/bin/env bash
# Proof without real processes: whole jobs under a seeded scheduler, disks after a loss of power, flipped bits.
#
#     scripts/simulate.sh [--seeds N] [--from S] [--coverage]    N seeded jobs (20000), on all cores
#     scripts/simulate.sh --seed S [--mask M]                    one of them again, with its history
#     scripts/simulate.sh --bug NAME                             with a bug planted: must find it
#     scripts/simulate.sh --disks [N]                            N disks (20000), and every 61st bit
#     scripts/simulate.sh --long                                 1,000,000 jobs, 100,000 disks, every bit; all bugs
#
# A job that fails prints its seed, what went wrong, and the fewest of its faults with which it still does.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
-h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
. scripts/packages.sh
install_packages "${BUILD_PACKAGES[@]}" libcmocka-dev
for target in sim sim_images sim_flips; do
    build_preset release "$target" >/dev/null
done
bin=build/release/tests

case ${1:-} in
--disks)
    "$bin/sim_images" "${2:-20000}"
    "$bin/sim_flips"
    ;;
--long)
    "$bin/sim_images" 120000
    "$bin/sim_flips" 1
    for bug in no-fence no-names early-delete same-fence early-ack; do
        "$bin/sim" --seeds 10000 --bug "$bug" | tail -n 1
    done
    "$bin/sim" --seeds 1000000 --jobs "$(nproc)" --coverage
    ;;
*) "$bin/sim" --seeds 20000 --jobs "$(nproc)" "$@" ;;
esac
