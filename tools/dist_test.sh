#!/usr/bin/env bash
# Test with several processes: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of test_vis.py]
# Each process takes a share of the videos; the results file is the one a single process writes.
# Without GPUs add --device cpu. Environment: PYTHON, NNODES, NODE_RANK, MASTER_ADDR, PORT.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test_vis.py]" >&2
  exit 2
fi
. "$(dirname "$0")/launch.sh"

# torchrun would set one thread per process; results are equal to the last bit only with the
# number of threads that a single process would use.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$("$PYTHON" -c 'import torch; print(torch.get_num_threads())')}
launch "$3" test_vis.py "$1" "$2" "${@:4}"
