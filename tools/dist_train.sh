#!/usr/bin/env bash
# Train with several processes: bash tools/dist_train.sh CONFIG GPUS [options of train.py]
# Each process takes its share of every batch: data.samples_per_gpu clips.
# Without GPUs add --device cpu. Environment: PYTHON, NNODES, NODE_RANK, MASTER_ADDR, PORT.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
  exit 2
fi
. "$(dirname "$0")/launch.sh"
launch "$2" train.py "$1" "${@:3}"
