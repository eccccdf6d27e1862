#!/bin/bash
# One program for every CPU: what it says of the CPU, ESMM_CPU, the same bytes on every level, a CPU that
# cannot run it (under qemu, where that is), and a host that cannot, before anything is started there.
. "$(dirname "$0")/lib.sh"
levels=(base avx2 avx512)
[ "$(uname -m)" = x86_64 ] || levels=(neon)
unset ESMM_CPU

step "--version: the version alone, what the CPU has, what multiplies"
ok "$ESMM" --version
equal "the first line" "$(head -n 1 "$dir/out" | sed 's/[0-9]\.[0-9]*\.[0-9]*/N/')" "esmm N"
says "^CPU: ($(IFS='|' && echo "${levels[*]}"))(, all of it built for this CPU)?$" "^kernels: blas"
best=$(sed -n 's/^CPU: \([a-z0-9]*\).*/\1/p' "$dir/out")
levels_here=()
for level in "${levels[@]}"; do
    levels_here+=("$level")
    [ "$level" != "$best" ] || break
done

step "ESMM_CPU"
for level in "${levels_here[@]}"; do
    ok env ESMM_CPU="$level" "$ESMM" --version
    [ "$level" = "$best" ] || says "^CPU: $level \(ESMM_CPU; the CPU has $best\)"
done
if [ "$best" != base ] && [ "$best" != neon ]; then
    ok env ESMM_CPU=base "$ESMM" --version
    says "^kernels: blas$"
fi
expect 1 env ESMM_CPU=sse9 "$ESMM" config
says "^esmm: ESMM_CPU is 'sse9', which is not one of: ${levels[*]}$"

step "the same bytes on every level, with the same products"
make_data data 12000 5 --shard-impressions 2000
for level in "${levels_here[@]}"; do
    ESMM_CPU=$level train "run-$level" --servers 2 --workers 1 --deterministic --set compute.kernel=blas \
        --set wire.values=bf16 --set model.dropout=0.2
    grep -q "CPU: $level" "$dir/run-$level/logs/worker-0.log" || die "the worker does not name its level"
    grep -q "CPU: $level" "$dir/run-$level/logs/coord-0.log" || die "the coordinator does not"
    ok "$ESMM" export "$dir/run-$level" --format npy --out "$dir/$level.npy"
    same_tree "$dir/${levels_here[0]}.npy" "$dir/$level.npy"
done

if [ "$best" != neon ] && command -v qemu-x86_64 >/dev/null; then
    step "a CPU without SSE4.2 is told so"
    expect 1 qemu-x86_64 -cpu core2duo,-ssse3 "$ESMM" --version
    says "^esmm: this CPU lacks SSSE3, .*SSE4\.2, POPCNT.*, (without which the program cannot run|which this program was built with \(ESMM_NATIVE=ON\))$"
fi

step "a host that cannot run it, before a launch"
hosts_here
# refused NAME=VALUE: of the launcher's environment, which is that of the "host".
refused() {
    expect 1 env "$@" "$ESMM" train "${here[@]}" "${train_on[@]}" --out "$dir/none" --servers 1 --workers 1
    [ ! -e "$dir/none" ] || die "it has made the run directory"
}
if [ "$best" != neon ]; then
    printf 'flags\t\t: fpu pni ssse3 cx16 sse4_1 lahf_lm avx\n' >"$dir/cpuinfo"
    refused ESMM_CPUINFO="$dir/cpuinfo"
    says "^  localhost: this CPU cannot run $ESMM: it lacks sse4_2 popcnt .*/proc/cpuinfo"
fi
mkdir "$dir/bin"
printf '#!/bin/sh\necho riscv64\n' >"$dir/bin/uname"
printf '#!/bin/sh\nexit 126\n' >"$dir/bin/esmm"
chmod +x "$dir/bin/uname" "$dir/bin/esmm"
here+=(--program "$dir/bin/esmm")
refused PATH="$dir/bin:$PATH"
says "^  localhost: $dir/bin/esmm does not run: .*this machine is riscv64, the launcher's program is for $(uname -m)$"
