# To be sourced. Sets PYTHON to the interpreter that tools/setup_env.sh installed into: that of the
# active environment, else that of .venv in this checkout. If there is neither, PYTHON keeps its
# value, or becomes python3 if it has none.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -n "${VIRTUAL_ENV:-}" ] || [ -n "${CONDA_PREFIX:-}" ]; then
  PYTHON=python
elif [ -x "$checkout/.venv/bin/python" ]; then
  PYTHON=$checkout/.venv/bin/python
else
  PYTHON=${PYTHON:-python3}
fi
