#!/usr/bin/env bash
# Test with several processes: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of test_vis.py]
# Each process takes a share of the videos; the results file is the one a single process writes.
# Without GPUs add --device cpu. Environment: PYTHON, NNODES, NODE_RANK, MASTER_ADDR, PORT.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test_vis.py]" >&2
  exit 2
fi
config=$1 checkpoint=$2 gpus=$3
shift 3
tools=$(dirname "$0")
. "$tools/find_python.sh"

# torchrun would set one thread per process; results are equal to the last bit only with the
# number of threads that a single process would use.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$("$PYTHON" -c 'import torch; print(torch.get_num_threads())')}
if [ "${NNODES:-1}" -gt 1 ]; then
  where=(--master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
else
  where=(--standalone)
fi
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
status=0
"$PYTHON" -m torch.distributed.run --nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}" \
  "${where[@]}" --nproc_per_node "$gpus" "$tools/test_vis.py" "$config" "$checkpoint" "$@" \
  2> >(tee "$errors" >&2) || status=$?
if [ "$status" != 0 ]; then
  # torchrun ends with a page of its own: what went wrong comes last, in one line.
  tr '\r' '\n' <"$errors" | grep -a -m 1 '^error: ' >&2 || true
fi
exit "$status"
