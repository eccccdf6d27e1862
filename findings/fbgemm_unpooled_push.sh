#!/usr/bin/env bash
# FBGEMM's CPU tables: rows that are not pooled are updated ten to a hundred times slower than bags of one.
#
# fbgemm-gpu-cpu 1.9.0, torch 2.14.1 (which it does not name; with 2.13 it does not load), on a CPU. Where each key has
# its own row of output, as for sequences, PoolingMode.NONE is what the class offers: no bags, no sums. Its backward pass
# gives the very rows that PoolingMode.SUM gives with offsets 0, 1, 2, ..., that is, with bags of one key each, but takes
# far longer for it, and longer by the key the more keys there are. Nothing is said. So a program on a CPU should pool
# bags of one, and whoever measures these tables with NONE measures them far too slow.
#
# Seen on a busy AMD EPYC, one thread, a table of 1,000,000 rows of 20 floats, SGD, distinct ascending keys:
#     keys      SUM, us a key     NONE, us a key     NONE/SUM     same rows
#     1000             0.093              0.285            3     True
#     10000            0.106              1.858           18     True
#     50000            0.077              2.766           36     True
#
# Fails if the rows differ, or if NONE takes less than five times as long for 50,000 keys.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check torch==2.14.1 numpy==2.4.6 fbgemm-gpu-cpu==1.9.0 \
    2>"$work/pip.log" || { cat "$work/pip.log" >&2; exit 1; }

cat >"$work/unpooled.py" <<'PYTHON'
import time

import fbgemm_gpu
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen

ROWS, DIM = 1_000_000, 20


def pushed(keys, gradient, mode):
    """The table after four pushes, and the CPU seconds of the fastest."""
    table = SplitTableBatchedEmbeddingBagsCodegen(
        [(ROWS, DIM, EmbeddingLocation.HOST, ComputeDevice.CPU)], optimizer=EmbOptimType.EXACT_SGD, learning_rate=0.1,
        weights_precision=SparseType.FP32, output_dtype=SparseType.FP32, stochastic_rounding=False, pooling_mode=mode)
    torch.nn.init.zeros_(table.split_embedding_weights()[0])
    offsets, seconds = torch.arange(len(keys) + 1), []
    for _ in range(4):
        out = table(keys, offsets)
        began = time.process_time()
        out.backward(gradient)
        seconds.append(time.process_time() - began)
    return table.split_embedding_weights()[0], min(seconds)


torch.set_num_threads(1)
torch.manual_seed(1)
print(f"fbgemm-gpu-cpu {fbgemm_gpu.__version__}, torch {torch.__version__}")
print("keys      SUM, us a key     NONE, us a key     NONE/SUM     same rows")
for count in (1000, 10000, 50000):
    keys, gradient = torch.randperm(ROWS)[:count].sort().values, torch.randn(count, DIM)
    (summed, fast), (plain, slow) = (pushed(keys, gradient, m) for m in (PoolingMode.SUM, PoolingMode.NONE))
    same = torch.equal(summed, plain)
    print(f"{count:<9d} {fast / count * 1e6:12.3f} {slow / count * 1e6:18.3f} {slow / fast:12.0f}     {same}")
    if not same or count == 50000 and slow < 5 * fast:
        raise SystemExit(1)
PYTHON
OMP_WAIT_POLICY=passive "$work/venv/bin/python" -W ignore "$work/unpooled.py" 2>"$work/run.log" ||
    { cat "$work/run.log" >&2; exit 1; }
