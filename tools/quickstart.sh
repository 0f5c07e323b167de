#!/usr/bin/env bash
# Install, make synthetic videos, teach a small model objects that it never saw, and show what it
# learned: bash tools/quickstart.sh [tevit|seqformer|ifc|ms_sts|mask2former] [--out DIR] [--iters N]
# Writes outputs/quickstart[_SYSTEM]/{results.json,overlay.mp4,curve.png,report/}.
# Or install, and find the objects of your own videos with COCO weights (tools/day_one.py --help):
# bash tools/quickstart.sh day_one VIDEO... [--weights FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = day_one ]; then
    shift
    bash tools/setup_env.sh --without-ops
    . tools/find_python.sh
    cd "$OLDPWD"  # videos are named from where the user is
    exec "$PYTHON" "$checkout/tools/day_one.py" "$@"
fi
bash tools/setup_env.sh --without-ops quickstart
. tools/find_python.sh
exec "$PYTHON" tools/quickstart.py "$@"
