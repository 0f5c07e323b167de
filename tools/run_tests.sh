#!/usr/bin/env bash
# Run linter, type checker and tests: bash tools/run_tests.sh [--fast] [pytest options]
# What they need is installed first. --fast leaves out tests marked slow: full-size models, several
# processes, long fuzzing.
# Tests run in two processes of one thread each; with -n 0 as a pytest option they run in one.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup_env.sh tests quickstart export docs
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
