#!/usr/bin/env bash
# Runs every fuzz target for a while with clang's libFuzzer, AddressSanitizer and UBSan:
#
#     scripts/fuzz.sh [SECONDS a target] [TARGET...]      default: 60, all of tests/fuzz
#
# Inputs found are kept in build/fuzz/corpus/TARGET; a crash is left in build/fuzz/crashes and ends the
# script with 1. Without clang it says so and ends with 0: the test suite runs the same targets for a
# second each as plain programs (tests/fuzz/driver.c).
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
-h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
seconds=${1:-60}
[ $# -gt 0 ] && shift
if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d == 0 && n == 1; }' |
    clang -x c -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null; then
    echo "skipped: no clang with libFuzzer (apt-get install clang libclang-rt-dev)"
    exit 0
fi
. scripts/packages.sh
install_packages "${BUILD_PACKAGES[@]}" libcmocka-dev
cmake --preset fuzz -Wno-dev >/dev/null
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        targets+=("$(basename "$source" .c)")
    done
fi
mkdir -p build/fuzz/crashes
cmake --build build/fuzz --target "${targets[@]}" >build/fuzz/build.log 2>&1 || {
    cat build/fuzz/build.log
    exit 1
}
status=0
for target in "${targets[@]}"; do
    echo "== $target, $seconds s"
    mkdir -p "build/fuzz/corpus/$target"
    "build/fuzz/tests/$target" -max_total_time="$seconds" -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/crashes/$target-" "build/fuzz/corpus/$target" \
        >"build/fuzz/$target.log" 2>&1 || { status=1; echo "CRASHED:"; }
    grep -E "number_of_executed_units|SUMMARY|Test unit written|ERROR" "build/fuzz/$target.log" || true
done
exit "$status"
