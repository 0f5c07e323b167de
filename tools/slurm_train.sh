#!/usr/bin/env bash
# Train under Slurm: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]
# Environment: GPUS (default 8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, PORT, PYTHON.
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]" >&2
  echo "example: bash tools/slurm_train.sh gpu tevit tevit/tevit_msgshift work_dirs/tevit" >&2
  exit 2
fi
partition=$1 job=$2 config=$3 work_dir=$4
shift 4
tools=$(cd "$(dirname "$0")" && pwd)
. "$tools/find_python.sh"
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-8}
[ "$gpus" -ge "$per_node" ] || per_node=$gpus

# Every task reads its rank from Slurm's variables; all connect to the first node of the job.
# shellcheck disable=SC2016,SC2086  (the inner shell expands them; SRUN_ARGS is a list of words)
exec srun -p "$partition" --job-name "$job" --gres "gpu:$per_node" --ntasks "$gpus" \
  --ntasks-per-node "$per_node" --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
  ${SRUN_ARGS:-} bash -c '
    export RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID
    export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
    export MASTER_PORT=${PORT:-29500}
    exec "$0" "$@"' \
  "$PYTHON" -u "$tools/train.py" "$config" --work-dir "$work_dir" "$@"
