#!/usr/bin/env bash
# OpenBLAS built for OpenMP: openblas_set_num_threads(1) holds in the thread that called it only.
#
# Debian 12's libopenblas0-openmp 0.3.21+ds-4, libgomp1 12.2.0. A program that is parallel itself says
# openblas_set_num_threads(1) when it starts. In threads that it starts afterwards products still run
# on all cores: before each product the library asks OpenMP for the number of threads, which is kept
# per thread, and takes that. openblas_get_num_threads() shows it only after a product; before the
# first one a new thread reads 1. The work is cut otherwise then, and the kernels for AVX2 give other
# last bits than the thread that was told to be alone. The pthread build of the same version keeps one
# number for the process. So worker/kernel/blas.c refuses the OpenMP build.
#
# Seen, with OMP_NUM_THREADS=4 and a product of 256 x 256 (kernels for Haswell):
#     parallel 2; threads: 1 where it was set, 1 then 4 in a new thread, 1 after its own call
#     9797 of 65536 cells have other bits in the new thread    (the number goes by kernels and shape)
#
# Fails if a new thread's product keeps to the one thread that was set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=0.3.21+ds-4
(
    cd "$work"
    apt-get update -qq
    apt-get download -qq "libopenblas0-openmp=$version" "libopenblas-openmp-dev=$version" libgomp1
    for package in *.deb; do dpkg -x "$package" root; done
) 2>"$work/apt.log" || { cat "$work/apt.log" >&2; exit 1; }

cat >"$work/threads.c" <<'C'
#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define N 256
static float a[N * N], b[N * N], c[3][N * N];
static int before[3], after[3];

static void product(int i) {
    before[i] = openblas_get_num_threads();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c[i], N);
    after[i] = openblas_get_num_threads();
}

static void *later(void *arg) {
    product(1);
    openblas_set_num_threads(1);
    product(2);
    return arg;
}

int main(void) {
    pthread_t thread;
    int other = 0;
    for (int i = 0; i < N * N; i++) {
        a[i] = (float)rand() / (float)RAND_MAX - 0.5f;
        b[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    }
    openblas_set_num_threads(1);
    product(0);
    pthread_create(&thread, NULL, later, NULL);
    pthread_join(thread, NULL);
    for (int i = 0; i < N * N; i++) {
        other += memcmp(&c[0][i], &c[1][i], sizeof(float)) != 0;
    }
    printf("%s\n", openblas_get_config());
    printf("parallel %d; threads: %d where it was set, %d then %d in a new thread, %d after its own "
           "call\n%d of %d cells have other bits in the new thread\n",
           openblas_get_parallel(), after[0], before[1], after[1], after[2], other, N * N);
    return !(after[0] == 1 && before[1] == 1 && after[1] == 4 && after[2] == 1);
}
C
lib=$(dirname "$(find "$work/root" -name libopenblas.so.0)")
gomp=$(dirname "$(find "$work/root" -name libgomp.so.1)")
include=$(dirname "$(find "$work/root" -name cblas.h | head -n 1)")
gcc -O2 -I "$include" "$work/threads.c" -o "$work/threads" "$lib/libopenblas.so.0" \
    -Wl,-rpath,"$lib" -Wl,-rpath-link,"$gomp" -lpthread
LD_LIBRARY_PATH=$lib:$gomp OMP_NUM_THREADS=4 OPENBLAS_CORETYPE=Haswell "$work/threads"
