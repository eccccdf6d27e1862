#!/bin/bash
# What multiplies: a small job with each kernel that this machine has, whose scores do not depend on the number of
# threads nor on OpenBLAS's environment; a kernel that is missing, and a build of OpenBLAS that several threads
# may not call, are refused by every command before it writes anything.
. "$(dirname "$0")/lib.sh"

step "one file calls OpenBLAS"
equal "files that include cblas.h" \
    "$(cd "$REPO" && grep -rl --include='*.[ch]' --exclude-dir=build '^#include.*cblas' .)" ./worker/kernel/blas.c

step "data"
make_data data 16000 7 --shard-impressions 2000
make_data eval 6000 8 --shard-impressions 500

# run NAME KERNEL [option...]: two trainer threads.
run() {
    local name=$1 kernel=$2
    shift 2
    train "$name" --servers 1 --workers 1 --threads 2 --eval "$dir/eval" --set compute.kernel="$kernel" "$@"
}
predict() { # OUT CHECKPOINT [option...]
    ok "$ESMM" predict --checkpoint "$dir/$2" --data "$dir/eval" --out "$dir/$1" "${@:3}"
}
# The same bytes whatever the number of threads: of a prediction, and of everything that eval says.
same_scores() { # CHECKPOINT [option...]
    predict one "$@" --threads 1
    ok "$ESMM" eval --checkpoint "$dir/$1" --data "$dir/eval" --json --bootstrap 40 "${@:2}"
    grep '^{' "$dir/out" >"$dir/one.json"
    for threads in 2 8 8; do
        predict many "$@" --threads "$threads"
        cmp -s "$dir/one" "$dir/many" || die "$* with $threads threads: other predictions than with one"
        ok "$ESMM" eval --checkpoint "$dir/$1" --data "$dir/eval" --json --bootstrap 40 "${@:2}" \
            --threads "$threads"
        grep '^{' "$dir/out" | cmp -s - "$dir/one.json" || die "$* with $threads threads: another evaluation than with one"
    done
}
has() { grep -Eqm1 "^flags.* $1( |$)" /proc/cpuinfo; }

step "kernels: auto is one of those that can be asked for by name"
run run auto
kernels=(blas)
declare -A says_of=([blas]='float32, OpenBLAS for ' [avx2]='float32, AVX2' [avx512]='float32, AVX-512'
    [neon]='float32, NEON')
for kernel in avx2 avx512 neon; do
    rm -f "$dir/p"
    code=0
    "$ESMM" predict --checkpoint "$dir/run" --data "$dir/eval" --out "$dir/p" --kernel $kernel >"$dir/out" 2>&1 || code=$?
    if [ "$code" = 0 ]; then
        kernels+=($kernel)
        continue
    fi
    missing="compute\.kernel is $kernel, which this CPU or this build lacks; here is: blas(, [a-z0-9]*)*; auto takes the best"
    says "^esmm predict: $missing"
    [ ! -e "$dir/p" ] || die "predictions nobody could make"
    expect 1 "$ESMM" train --data "$dir/data" --out "$dir/lacking" --set compute.kernel=$kernel
    says "^esmm train: $missing"
    [ ! -e "$dir/lacking" ] || die "a run directory of a job that could not start"
done
own=${kernels[-1]}
[ ${#kernels[@]} -gt 1 ] || own=
expect 1 "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --kernel avx1024
says "compute\.kernel is 'avx1024', expected auto\|blas\|avx2\|avx512\|neon\|amx"
expect 1 "$ESMM" eval --checkpoint "$dir/run" --data "$dir/eval" --kernel amx
says 'compute\.kernel is amx, which multiplies bf16 only: it needs compute\.precision=bf16'

for kernel in "${kernels[@]}"; do
    step "$kernel"
    run "$kernel" "$kernel"
    name=${says_of[$kernel]}
    grep -q "matrix products: $name" "$dir/$kernel/logs/worker-0.log" || die "the worker does not say '$name'"
    ok "$ESMM" eval --checkpoint "$dir/$kernel" --data "$dir/eval" --json
    says "\"kernel\":\"$name"
    ok "$ESMM" eval --checkpoint "$dir/$kernel" --data "$dir/eval" --bootstrap 0
    says "^products: $name"
    same_scores "$kernel"
done
# auto is the last of the list: the widest vectors that there are.
grep -q "matrix products: ${says_of[${kernels[-1]}]}" "$dir/run/logs/worker-0.log" || die "auto is not ${kernels[-1]}"

step "AUCs of all kernels are close"
near() { awk -v a="$2" -v b="$3" 'BEGIN { exit !(a - b < 0.002 && b - a < 0.002) }' || die "$1 is $2, with blas $3"; }
for kernel in "${kernels[@]}"; do
    train "same-$kernel" --servers 1 --workers 1 --deterministic --set compute.kernel="$kernel"
    train "again-$kernel" --servers 1 --workers 1 --deterministic --set compute.kernel="$kernel"
    predict p "same-$kernel"
    predict q "again-$kernel"
    cmp -s "$dir/p" "$dir/q" || die "$kernel: two deterministic runs differ"
    ok "$ESMM" eval --checkpoint "$dir/same-$kernel" --data "$dir/eval" --json --bootstrap 0
    for task in ctr ctcvr; do
        [ "$kernel" != blas ] || declare "blas_$task=$(number "$dir/out" auc_$task)"
        which=blas_$task
        near "$kernel: auc_$task" "$(number "$dir/out" auc_$task)" "${!which}"
    done
done

ok "$ESMM" compare --data "$dir/data" --eval "$dir/eval" --out "$dir/table" --methods esmm --seeds 1 "${small[@]}"
says '^AUC x 100, .*; products: float32, '

if has avx512_bf16 && [ "$own" = avx512 ]; then
    step "avx512, bf16"
    run bf16 avx512 --set compute.precision=bf16
    ok "$ESMM" eval --checkpoint "$dir/bf16" --data "$dir/eval" --json
    says '"kernel":"bf16'
    same_scores bf16
fi

for core in avx:Sandybridge avx2:Haswell avx2:Zen avx512vl:SkylakeX; do
    has "${core%:*}" || continue
    step "OpenBLAS for ${core#*:}"
    export OPENBLAS_CORETYPE=${core#*:}
    run "$OPENBLAS_CORETYPE" blas
    same_scores "$OPENBLAS_CORETYPE"
    says "\"kernel\":\"float32, OpenBLAS for $OPENBLAS_CORETYPE\""
    unset OPENBLAS_CORETYPE
done

step "OPENBLAS_NUM_THREADS changes nothing"
big=(--set model.tower=512,256 --batch 2000)
train plain --servers 1 --workers 1 --deterministic --set compute.kernel=blas "${big[@]}"
predict p plain
export OPENBLAS_NUM_THREADS=8
train env8 --servers 1 --workers 1 --deterministic --set compute.kernel=blas "${big[@]}"
predict q env8 --threads 3
unset OPENBLAS_NUM_THREADS
cmp -s "$dir/p" "$dir/q" || die "predictions depend on OPENBLAS_NUM_THREADS"

step "a checkpoint's kernel is followed, --kernel is stronger"
ok "$ESMM" eval --checkpoint "$dir/blas" --data "$dir/eval" --json --kernel "${kernels[-1]}"
says "\"kernel\":\"${says_of[${kernels[-1]}]}"

libraries=$(dirname "$(dirname "$(ldd "$ESMM" | awk '$1 == "libopenblas.so.0" { print $3 }')")")
for build in serial openmp; do
    if [ ! -e "$libraries/openblas-$build/libopenblas.so.0" ]; then
        echo "skipped: no $build build of OpenBLAS (libopenblas0-$build)"
        continue
    fi
    step "the $build build of OpenBLAS is refused"
    wrong=(env "LD_LIBRARY_PATH=$libraries/openblas-$build" "$ESMM")
    rm -f "$dir/p"
    for command in "train --data $dir/data --out $dir/wrong --set compute.kernel=blas" \
        "compare --data $dir/data --eval $dir/eval --out $dir/wrong-table --set compute.kernel=blas" \
        "predict --checkpoint $dir/run --data $dir/eval --out $dir/p --kernel blas" \
        "eval --checkpoint $dir/run --data $dir/eval --kernel blas --json"; do
        expect 1 "${wrong[@]}" $command
        says "the ($build|OpenMP) build of OpenBLAS is loaded, .*\(package libopenblas0-pthread;"
        equal "lines of ${command%% *}" "$(grep -c OpenBLAS "$dir/out")" 1
    done
    [ ! -e "$dir/wrong" ] && [ ! -e "$dir/p" ] || die "something was written"
    if [ -n "$own" ]; then # not used, no objection; and a checkpoint is not bound to where it was trained
        ok "${wrong[@]}" predict --checkpoint "$dir/$own" --data "$dir/eval" --out "$dir/p"
        predict q "$own"
        cmp -s "$dir/p" "$dir/q" || die "OpenBLAS has a part in the predictions of $own"
        ok "${wrong[@]}" predict --checkpoint "$dir/blas" --data "$dir/eval" --out "$dir/p"
        says 'warn .*OpenBLAS is loaded, .*: as the checkpoint has it; scored with auto instead'
    fi
done
step "done"
