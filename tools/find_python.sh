# Sets PYTHON, unless it is set: that of the active environment, else of this checkout's .venv,
# else python3. To be sourced.
if [ -z "${PYTHON:-}" ]; then
  checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if [ -n "${VIRTUAL_ENV:-}" ] || [ -n "${CONDA_PREFIX:-}" ]; then
    PYTHON=python
  elif [ -x "$checkout/.venv/bin/python" ]; then
    PYTHON=$checkout/.venv/bin/python
  else
    PYTHON=python3
  fi
fi
