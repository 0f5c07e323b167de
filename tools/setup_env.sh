#!/usr/bin/env bash
# Install all that this checkout needs:
# bash tools/setup_env.sh [--again] [--without-ops] [tests] [quickstart] [export] [docs]
#
# Uses the active virtual or conda environment, else makes .venv here. A torch that is already
# there is kept. mmcv-full comes as source only: its ops are built once, with CUDA when there are a
# GPU and nvcc, and the wheel is kept for the next time. Steps that are done are skipped; --again
# checks all of them again, e.g. after a CUDA toolkit was installed. --without-ops takes mmcv without
# its ops where there is neither a wheel nor CUDA: models on the CPU need none, and nothing is built.
#
# Environment: PYTHON        the interpreter that .venv is made from (default python3)
#              WHEEL_FOLDERS where to look for a wheel of mmcv-full, colon-separated
#              MAX_JOBS      compilers at a time (default: number of cores)
set -euo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$checkout"

again=0 without_ops=0
while [[ "${1:-}" == --* ]]; do
  case $1 in
    --again) again=1 ;;
    --without-ops) without_ops=1 ;;
    *) echo "error: $1: must be --again or --without-ops" >&2; exit 1 ;;
  esac
  shift
done

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
say() { printf '%s[%3ds] %s%s\n' "$bold" "$SECONDS" "$*" "$plain"; }
die() { echo "error: $*" >&2; exit 1; }

# ---- the environment ------------------------------------------------------------------------
if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
  if [ ! -x .venv/bin/python ]; then
    base=${PYTHON:-python3}
    site_packages=()
    "$base" -c 'import torch' 2>/dev/null && site_packages=(--system-site-packages)
    say "making .venv from $("$base" --version)${site_packages:+, with the torch of that Python}"
    # On Debian, venv cannot install pip without another package; then the pip of $base installs it.
    if ! "$base" -m venv "${site_packages[@]}" .venv >/dev/null 2>&1 &&
      ! { "$base" -m venv --without-pip "${site_packages[@]}" .venv &&
        "$base" -m pip --python .venv/bin/python install --quiet pip; }; then
      rm -rf .venv
      die "$base cannot make virtual environments; on Debian: apt-get install python3-venv"
    fi
  fi
  PYTHON=$checkout/.venv/bin/python
else
  PYTHON=python
fi
"$PYTHON" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' ||
  die "Python must be 3.9 to 3.12, but $("$PYTHON" --version) was found; set PYTHON"
prefix=$("$PYTHON" -c 'import sys; print(sys.prefix)')
pip() { "$PYTHON" -m pip --disable-pip-version-check "$@"; }
# Prints pip's output without the lines about what is installed already.
install() { pip install "$@" | { grep -v '^Requirement already satisfied' || true; }; }

# ---- what was done before -------------------------------------------------------------------
# A stamp holds a checksum of the files that an installation read, and the versions it installed.
installed_versions() {
  "$PYTHON" - <<'PY'
from importlib.metadata import PackageNotFoundError, version
for name in ('torch', 'mmcv-full', 'mmdet', 'tevit-vis'):
    try:
        print(name, version(name))
    except PackageNotFoundError:
        print(name, 'absent')
PY
}
stamp_of() { echo "$(cat "$@" | cksum) $checkout $(installed_versions | tr '\n' ' ')"; }
stamp_is_fresh() { # name, files...
  local stamp=$prefix/.tevit_vis_$1
  shift
  [ "$again" = 0 ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(stamp_of "$@")" ]
}
write_stamp() {
  local stamp=$prefix/.tevit_vis_$1
  shift
  stamp_of "$@" >"$stamp"
}

# ---- mmcv-full ------------------------------------------------------------------------------
mmcv_loads() { # whether the compiled ops fit this torch, and have CUDA if with_cuda is 1
  "$PYTHON" - "$with_cuda" <<'PY' 2>/dev/null
import sys
import torch
from mmcv import _ext
sys.exit(sys.argv[1] == '1' and _ext.get_compiling_cuda_version() == 'not available')
PY
}

install_mmcv() {
  mmcv=$(grep '^mmcv-full' requirements/mminstall.txt)
  with_cuda=$("$PYTHON" - <<'PY'
import torch
from torch.utils.cpp_extension import CUDA_HOME
print(int(torch.cuda.is_available() and CUDA_HOME is not None))
PY
)
  mmcv_loads && return
  pip uninstall --quiet --yes mmcv 2>/dev/null || true  # owns the same folder as mmcv-full
  local tag wheels folder
  tag=$("$PYTHON" -c 'import sys, torch; print(f"cp{sys.version_info[0]}{sys.version_info[1]}-torch{torch.__version__}")')
  [ "$with_cuda" = 1 ] && tag=$tag-cuda
  wheels=${XDG_CACHE_HOME:-$HOME/.cache}/tevit_vis/$tag
  IFS=: read -ra folders <<<"$wheels:${WHEEL_FOLDERS:-}:../shared/wheels:../shared/wheels_gpu"
  for folder in "${folders[@]}"; do
    compgen -G "$folder/mmcv_full-*.whl" >/dev/null || continue
    if pip install --quiet --no-index --no-deps --force-reinstall --find-links "$folder" "$mmcv" \
      2>/dev/null && mmcv_loads; then
      say "installed $mmcv from $folder"
      return
    fi
  done
  if [ "$without_ops" = 1 ] && [ "$with_cuda" = 0 ]; then
    say "installing mmcv without its ops, which models on the CPU do not need"
    install -r requirements/build.txt
    install --no-deps --no-build-isolation "${mmcv/-full/}"
    return
  fi
  build_mmcv "$wheels"
  install --no-index --no-deps --force-reinstall --find-links "$wheels" "$mmcv"
  mmcv_loads || die "$mmcv was built, but its ops cannot be loaded: see docs/troubleshooting.md"
}

build_mmcv() { # folder for the wheel
  local log
  command -v g++ >/dev/null || die "a C++ compiler must be there to build mmcv-full; on Debian: apt-get install g++ python3-dev"
  mkdir -p "$1"
  log=$1/build.log
  say "building $mmcv $([ "$with_cuda" = 1 ] && echo with || echo without) CUDA: 5 to 15 minutes, once; log: $log"
  install -r requirements/build.txt
  # ninja builds the ops; awk shows its [done/all] lines as one counter.
  if ! MMCV_WITH_OPS=1 FORCE_CUDA=$with_cuda MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} \
    CFLAGS="-O2 -g0 -DNDEBUG -fwrapv -w" "$PYTHON" -m pip --disable-pip-version-check wheel -v \
    --no-build-isolation --no-deps --no-binary mmcv-full --wheel-dir "$1" "$mmcv" 2>&1 |
    tee "$log" | awk 'match($0, /\[[0-9]+\/[0-9]+\]/) {
      printf "\r  compiled %s", substr($0, RSTART, RLENGTH); fflush() } END { print "" }'; then
    grep -iE 'error' "$log" | head -n 5 >&2 || true
    die "building $mmcv failed; see $log and docs/troubleshooting.md"
  fi
}

# ---- install --------------------------------------------------------------------------------
base_files=(requirements/{torch,runtime,build,mminstall}.txt setup.py pyproject.toml tools/setup_env.sh)
lacks_ops() { [ "$without_ops" = 0 ] && installed_versions | grep -q '^mmcv-full absent'; }
if ! stamp_is_fresh base "${base_files[@]}" || lacks_ops; then
  if ! "$PYTHON" -c 'import torch' 2>/dev/null; then
    say "installing torch"
    install -r requirements/torch.txt
  fi
  say "installing the libraries"
  install -r requirements/runtime.txt
  install_mmcv
  install --no-deps -r <(grep '^mmdet' requirements/mminstall.txt)
  install --no-deps --no-build-isolation -e . 2>/dev/null || install --no-deps -e .
  "$PYTHON" -c 'import tevit_vis' || die "tevit_vis cannot be imported"
  write_stamp base "${base_files[@]}"
  say "environment is ready"
fi
for extra in "$@"; do
  [ -f "requirements/$extra.txt" ] || die "extra must name a file of requirements/, but got '$extra'"
  if ! stamp_is_fresh "$extra" "requirements/$extra.txt"; then
    say "installing what $extra needs"
    install -r "requirements/$extra.txt"
    write_stamp "$extra" "requirements/$extra.txt"
  fi
done
