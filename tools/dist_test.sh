#!/usr/bin/env bash
# Test with several processes: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of test_vis.py]
# Each process tests a part of the videos; the results file equals that of a single process.
# Without GPUs add --device cpu. Environment: PYTHON, NNODES, NODE_RANK, MASTER_ADDR, PORT.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test_vis.py]" >&2
  echo "example: bash tools/dist_test.sh tevit/tevit_msgshift tevit_msgshift.pth 8" >&2
  exit 2
fi
. "$(dirname "$0")/launch.sh"

# torchrun would set one thread per process; but results are equal to the last bit only with as many
# threads as a single process would use.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$("$PYTHON" -c 'import torch; print(torch.get_num_threads())')}
launch "$3" test_vis.py "$1" "$2" "${@:4}"
