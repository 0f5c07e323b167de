#!/usr/bin/env bash
# Lint, types and tests, after installing what they need: bash tools/run_tests.sh [--fast] [pytest options]
# --fast leaves out what is marked slow (full-size models). Tests run in two processes of one thread
# each; -n 0 among the pytest options runs them in one.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh tests quickstart
. tools/find_python.sh
export OMP_NUM_THREADS=1

options=()
if [ "${1:-}" = --fast ]; then
  options=(-m 'not slow')
  shift
fi
echo '== ruff'
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
echo '== mypy'
"$PYTHON" -m mypy
echo '== pytest'
"$PYTHON" -m pytest -n 2 "${options[@]}" "$@"
