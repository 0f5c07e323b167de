#!/usr/bin/env bash
# From nothing to a trained model: installs, makes videos, trains a small model, shows what it learned.
# bash tools/quickstart.sh [tevit|seqformer|ifc|ms_sts] [--out DIR] [--iters N]
# writes outputs/quickstart[_SYSTEM]/{results.json,overlay.mp4,curve.png}
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh quickstart
. tools/find_python.sh
exec "$PYTHON" tools/quickstart.py "$@"
