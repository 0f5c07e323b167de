# Sets PYTHON to the interpreter that tools/setup_env.sh installed into: that of the active
# environment, else of this checkout's .venv; where there is neither, PYTHON stays, or is python3.
# To be sourced.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -n "${VIRTUAL_ENV:-}" ] || [ -n "${CONDA_PREFIX:-}" ]; then
  PYTHON=python
elif [ -x "$checkout/.venv/bin/python" ]; then
  PYTHON=$checkout/.venv/bin/python
else
  PYTHON=${PYTHON:-python3}
fi
