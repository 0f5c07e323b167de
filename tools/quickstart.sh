#!/usr/bin/env bash
# Install, make synthetic videos, train a small model on them and show what it learned:
# bash tools/quickstart.sh [tevit|seqformer|ifc|ms_sts] [--out DIR] [--iters N]
# Writes outputs/quickstart[_SYSTEM]/{results.json,overlay.mp4,curve.png}.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh quickstart
. tools/find_python.sh
exec "$PYTHON" tools/quickstart.py "$@"
