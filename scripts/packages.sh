# packages.sh - what the build and the tests need, in one place; installs only what is missing.
# Sourced by the other scripts.
#
# OpenBLAS is the pthread build; the tests also load the other two, which must be refused (worker/kernel/blas.h).

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev
    libzmq3-dev libopenblas-pthread-dev liblz4-dev libxxhash-dev libinih-dev)
TEST_PACKAGES=(libcmocka-dev libopenblas0-serial libopenblas0-openmp openssh-server openssh-client
    iproute2 procps python3 clang-format)
# For a build for AArch64; scripts/sysroot.sh has the libraries.
CROSS_PACKAGES=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross cmake ninja-build pkg-config
    protobuf-c-compiler qemu-user)
BENCH_PACKAGES=(python3)

# install_packages PACKAGE...: apt, with sudo only when needed; says what it installs.
install_packages() {
    local missing=() package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "these packages are missing and there is no sudo: ${missing[*]}" >&2
            return 1
        fi
        sudo=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

# build_preset PRESET TARGET [CMAKE OPTION...]: configures and builds into build/PRESET.
build_preset() {
    local preset=$1 target=$2
    shift 2
    cmake --preset "$preset" "$@" >/dev/null
    cmake --build --preset "$preset" --target "$target"
}
