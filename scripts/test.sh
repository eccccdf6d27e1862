#!/usr/bin/env bash
# Builds and passes the tests. From a fresh Debian 12 with git and a shell:
#
#     scripts/test.sh [--preset release|debug|asan-ubsan|tsan|coverage|aarch64] [--unit] [ctest option...]
#
# Installs what is missing, builds with warnings as errors, runs ctest. Skipped tests are listed with
# the reason they gave. Without --preset all that a change must pass: the release build with every
# test, the unit tests under asan-ubsan, and those of threads under tsan. With --preset that build
# alone: --unit leaves the system tests out, ctest options select (-R test_queue). As on a CPU with AVX2
# only: ESMM_CPU=avx2 OPENBLAS_CORETYPE=Haswell scripts/test.sh --preset release; with SSE4.2 only:
# ESMM_CPU=base OPENBLAS_CORETYPE=Nehalem. aarch64: built for AArch64 and run under qemu.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

preset=
unit=()
while [ $# -gt 0 ]; do
    case $1 in
    --preset) preset=$2; shift 2 ;;
    --unit) unit=(-E '^system_'); shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) break ;;
    esac
done

# Under a sanitizer these take minutes and find nothing that the others do not: left to --preset.
long='^test_(kernel_threads|synth|synth_world|loss_delay)$'

# run PRESET [CTEST OPTION...]: its tests, and why some were skipped. Two at a time: a core each.
run() {
    local preset=$1 log=build/$1/tests.log status=0
    shift
    ctest --test-dir "build/$preset" --no-tests=error --output-on-failure -j"$(nproc)" "$@" || status=$?
    cp "build/$preset/Testing/Temporary/LastTest.log" "$log" 2>/dev/null || true
    if grep -q '^skipped:' "$log" 2>/dev/null; then
        echo
        grep '^skipped:' "$log" | sort -u
    fi
    return "$status"
}

if [ "$preset" = aarch64 ]; then
    install_packages "${CROSS_PACKAGES[@]}"
    scripts/sysroot.sh build/sysroot-aarch64
else
    install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
fi
build_preset "${preset:-release}" all -DESMM_WERROR=ON
[ "$preset" = aarch64 ] || cmake --build --preset "${preset:-release}" --target benches >/dev/null
if [ -n "$preset" ] || [ $# -gt 0 ] || [ ${#unit[@]} -gt 0 ]; then
    run "${preset:-release}" "${unit[@]}" "$@"
    exit
fi

status=0
run release || status=1
build_preset asan-ubsan unit -DESMM_WERROR=ON
run asan-ubsan -L unit -E "$long" || status=1
build_preset tsan threads -DESMM_WERROR=ON
run tsan -L threads || status=1
exit "$status"
