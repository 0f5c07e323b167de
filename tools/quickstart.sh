#!/usr/bin/env bash
# From nothing to results: installs, cuts a small data set from a real video, runs TeViT on it.
# bash tools/quickstart.sh   writes outputs/quickstart/results.json and overlay videos
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh quickstart
. tools/find_python.sh
exec "$PYTHON" tools/quickstart.py "$@"
