#!/usr/bin/env bash
# Train with several processes: bash tools/dist_train.sh CONFIG GPUS [options of train.py]
# Each process trains on data.samples_per_gpu clips of every batch.
# Without GPUs add --device cpu. Environment: PYTHON, NNODES, NODE_RANK, MASTER_ADDR, PORT.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
  echo "example: bash tools/dist_train.sh tevit/tevit_msgshift 8 --auto-resume" >&2
  exit 2
fi
. "$(dirname "$0")/launch.sh"
launch "$2" train.py "$1" "${@:3}"
