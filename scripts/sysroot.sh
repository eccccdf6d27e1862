#!/usr/bin/env bash
# sysroot.sh DIR - the libraries of AArch64 that a cross build links and its tests load, in a directory of
# their own. Nothing is installed: dpkg has no part in it, since the development packages of two
# architectures cannot always be installed together.
#
# Debian only; the package lists are those of this machine's apt sources.
set -euo pipefail
dir=$(realpath -m "$1")
packages=(libc6 libc6-dev libgcc-s1 libzmq3-dev libprotobuf-c-dev libopenblas-pthread-dev liblz4-dev
    libxxhash-dev libinih-dev libcmocka-dev)
done=$dir/esmm-packages
[ "$(cat "$done" 2>/dev/null)" = "${packages[*]}" ] && exit 0

state=$dir/apt
mkdir -p "$state"/{lists/partial,cache/archives/partial}
: >"$state/status"
apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User= \
        -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state/cache" -o Debug::NoLocking=1 "$@"
}
echo "downloading the AArch64 libraries into $dir"
apt update
apt -y --no-install-recommends --download-only install "${packages[@]}" >/dev/null
for package in "$state"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$dir" --keep-directory-symlink \
        --exclude=./usr/share/doc --exclude=./usr/share/man
done
# What update-alternatives would have done.
library=$dir/usr/lib/aarch64-linux-gnu
ln -sf openblas-pthread/libopenblas.so.0 "$library/libopenblas.so.0"
rm -rf "$state"
echo "${packages[*]}" >"$done"
