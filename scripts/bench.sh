#!/usr/bin/env bash
# How fast, next to what, and what bounds it:
#
#     scripts/bench.sh [--quick] [--out DIR] [--parts system,server,parts,growth,tools] [--runs N]
#                      [--peer torch_esmm.py --python PYTHON-WITH-TORCH] [--tmp DIR]
#     scripts/bench.sh --peers --data DIR [--out DIR] [--python PYTHON-WITH-THE-PEERS] [option of bench/peers_run.py...]
#     scripts/bench.sh --tables [--out DIR] [--python PYTHON-WITH-FBGEMM] [option of bench/tables_run.py...]
#
# Builds in Release, measures every figure five times (bench/run.py), leaves results.jsonl, report.md
# and roofline.svg in DIR (runs/bench). --quick takes small sizes once: it shows that the bench works
# and measures nothing. The peer is skipped, with a message, where it or PyTorch is absent.
#
# --peers instead: how many seconds this program, a plain PyTorch one, deepctr-torch and torch-rechub take to a held-out
# AUC, on the log in DIR/train and DIR/val (Ali-CCP's format). Leaves peers.md, peers.svg and peers/ in DIR. Without
# --python the peers are installed into a new virtual environment, OUT/venv (PIP_EXTRA_INDEX_URL=
# https://download.pytorch.org/whl/cpu spares the download of CUDA). About an hour, and the machine must have nothing
# else to do; --rows N, --lrs "1e-3 2e-3", --epochs N, --programs esmm,torch make it shorter.
#
# --tables instead: rows a CPU second of our tables, in process and in a server, beside FBGEMM's on a CPU. Leaves
# tables.jsonl and tables.md in DIR. Without --python FBGEMM and its torch go into OUT/venv-tables. Half an hour;
# --cases ROWS:KEYS:ZIPF,... and --rounds N make it shorter.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

out=runs/bench peers='' tables='' python=''
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --out) out=$2; shift 2 ;;
    --peers) peers=1; shift ;;
    --tables) tables=1; shift ;;
    --python) python=$2; shift 2 ;;
    -h | --help) sed -n '2,22s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$1"); shift ;;
    esac
done

# python_with VENV CHECK PACKAGE...: sets $python to one that has the packages; made in VENV if none was given.
python_with() {
    local venv=$1 check=$2
    shift 2
    if [ -z "$python" ]; then
        python=$venv/bin/python
        [ -x "$python" ] || python3 -m venv "$venv"
        "$python" -W ignore -c "$check" >/dev/null 2>&1 || "$python" -m pip install -q "$@"
    fi
    "$python" -W ignore -c "$check" >/dev/null 2>&1 ||
        { echo "bench.sh: $python lacks a peer; give it: pip install $*" >&2; exit 1; }
}

# deepctr-torch does not say that it needs requests.
peers_python() {
    python_with "$out/venv" 'import numpy, torch, torch_rechub.models.multi_task, deepctr_torch.models.multitask' \
        torch==2.13.0 numpy deepctr-torch==0.3.0 torch-rechub==0.9.0 requests
}

# FBGEMM does not say which torch it needs: with 2.13 it does not load.
tables_python() {
    python_with "$out/venv-tables" 'import numpy, torch, fbgemm_gpu' torch==2.14.1 numpy fbgemm-gpu-cpu==1.9.0
}

install_packages "${BUILD_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
build_preset release esmm >/dev/null
mkdir -p "$out"
if [ -n "$peers" ]; then
    peers_python
    exec python3 bench/peers_run.py --out "$out" --python "$python" "${arguments[@]}"
fi
if [ -n "$tables" ]; then
    tables_python
    cmake --build --preset release --target bench_requests bench_server >/dev/null
    exec python3 bench/tables_run.py --out "$out" --python "$python" ${arguments[@]+"${arguments[@]}"}
fi
[ -z "$python" ] || arguments+=(--python "$python")
cmake --build --preset release --target benches >/dev/null
python3 bench/run.py --out "$out" ${arguments[@]+"${arguments[@]}"}
python3 bench/report.py "$out/results.jsonl" --svg "$out/roofline.svg" >"$out/report.md"
cat "$out/report.md"
echo
echo "raw numbers: $out/results.jsonl; picture: $out/roofline.svg"
