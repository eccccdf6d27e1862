#!/usr/bin/env python3
"""FBGEMM's CPU tables: rows pulled and pushed a CPU second, of the keys that bench_requests draws.

    tables.py --rows 4000000 --keys FILE [--dim 20] [--optimizers sgd,rowwise_adagrad] [--threads 1,2] [--seconds 1]

bench/tables_run.py runs this beside ours. FILE is what `bench_requests --write-keys FILE` wrote. A pull is a forward pass
over bags of one key each, without autograd; a push is the backward pass of another forward pass, whose cost is not
counted: it updates the rows in place. PoolingMode.SUM, because PoolingMode.NONE pulls half as fast and pushes forty times
slower. Its tables index an array with the key: nothing is hashed. Tensors are made and all lists are used once before
the clock starts. Prints a line of JSON for each optimizer and number of threads: millions of rows a CPU second and a
second, pull and push. Needs numpy, torch and fbgemm-gpu-cpu (scripts/bench.sh says which).
"""
import argparse
import json
import time

import fbgemm_gpu
import numpy as np
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen

OPTIMIZERS = {"sgd": EmbOptimType.EXACT_SGD, "adagrad": EmbOptimType.EXACT_ADAGRAD,
              "rowwise_adagrad": EmbOptimType.EXACT_ROWWISE_ADAGRAD}


def read_lists(path):
    words, lists, at = np.fromfile(path, np.int64), [], 0
    while at < len(words):
        lists.append(torch.from_numpy(words[at + 1:at + 1 + words[at]]))
        at += 1 + int(words[at])
    return lists


def make_table(rows, dim, optimizer):
    table = SplitTableBatchedEmbeddingBagsCodegen(
        [(rows, dim, EmbeddingLocation.HOST, ComputeDevice.CPU)], optimizer=OPTIMIZERS[optimizer], learning_rate=0.001,
        weights_precision=SparseType.FP32, output_dtype=SparseType.FP32, stochastic_rounding=False,
        pooling_mode=PoolingMode.SUM)
    for weights in table.parameters():
        torch.nn.init.uniform_(weights, -0.01, 0.01)
    return table


class Clock:
    """CPU and wall seconds of what was timed, and its rows."""

    def __init__(self):
        self.seconds, self.rows = np.zeros(2), 0

    def time(self, rows, work):
        began = np.array([time.process_time(), time.perf_counter()])
        result = work()
        self.seconds += np.array([time.process_time(), time.perf_counter()]) - began
        self.rows += rows
        return result

    def rates(self):
        return (self.rows / self.seconds * 1e-6).round(3).tolist()


def measure(table, lists, gradient, seconds):
    """Each list is pulled, then pushed, until `seconds` of CPU have passed, or each has been once."""
    pull, push = Clock(), Clock()
    ends = [torch.arange(len(keys) + 1) for keys in lists]
    begin, turn = time.process_time(), 0
    while turn < len(lists) or time.process_time() < begin + seconds:
        keys, end = lists[turn % len(lists)], ends[turn % len(lists)]
        with torch.no_grad():
            pull.time(len(keys), lambda: table(keys, end))
        out = table(keys, end)
        push.time(len(keys), lambda: out.backward(gradient[:len(keys)]))
        turn += 1
    return pull.rates(), push.rates()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--rows", type=int, required=True)
    ap.add_argument("--keys", required=True, help="file of bench_requests --write-keys")
    ap.add_argument("--dim", type=int, default=20, help="a multiple of 4")
    ap.add_argument("--optimizers", default="sgd,rowwise_adagrad")
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--seconds", type=float, default=1)
    args = ap.parse_args()
    lists = read_lists(args.keys)
    gradient = (torch.rand(max(map(len, lists)), args.dim) - 0.5) * 1e-3
    for optimizer in args.optimizers.split(","):
        table = make_table(args.rows, args.dim, optimizer)
        for threads in map(int, args.threads.split(",")):
            torch.set_num_threads(threads)
            measure(table, lists, gradient, 0)
            pull, push = measure(table, lists, gradient, args.seconds)
            print(json.dumps(dict(optimizer=optimizer, threads=threads, pull=pull[0], pull_wall=pull[1], push=push[0],
                                  push_wall=push[1], fbgemm=fbgemm_gpu.__version__, torch=torch.__version__)),
                  flush=True)


if __name__ == "__main__":
    main()
