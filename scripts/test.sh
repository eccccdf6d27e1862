#!/usr/bin/env bash
# Builds and passes the tests. From a fresh Debian 12 with git and a shell:
#
#     scripts/test.sh [--preset release|no-avx512|debug|asan-ubsan|tsan|coverage] [--unit] [ctest option...]
#
# Installs what is missing, builds with warnings as errors, runs ctest. Skipped tests are listed
# with the reason they gave. --unit leaves the system tests out. no-avx512: as on a CPU without it, so
# that OpenBLAS multiplies; with OPENBLAS_CORETYPE=Haswell in the environment, as on one with AVX2.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

preset=release
filter=()
while [ $# -gt 0 ]; do
    case $1 in
    --preset) preset=$2; shift 2 ;;
    --unit) filter=(-E '^system_'); shift ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) break ;;
    esac
done

install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
build_preset "$preset" all -DESMM_WERROR=ON
cmake --build --preset "$preset" --target benches >/dev/null

log="build/$preset/tests.log"
status=0
ctest --test-dir "build/$preset" --no-tests=error --output-on-failure -j"$(nproc)" "${filter[@]}" "$@" || status=$?
cp "build/$preset/Testing/Temporary/LastTest.log" "$log" 2>/dev/null || true
if grep -q '^skipped:' "$log" 2>/dev/null; then
    echo
    grep '^skipped:' "$log" | sort -u
fi
exit "$status"
