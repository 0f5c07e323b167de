# To be sourced. Defines launch, which runs a tool of this folder in several processes by torchrun.
# Environment: PYTHON, NNODES, NODE_RANK, MASTER_ADDR, PORT.
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$tools/find_python.sh"

launch() { # number of processes, tool, arguments of the tool
  local processes=$1 tool=$2 rendezvous errors torchrun status=0
  shift 2
  if [ "${NNODES:-1}" -gt 1 ]; then
    rendezvous=(--master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
  else
    rendezvous=(--standalone)
  fi
  errors=$(mktemp)
  # torchrun runs in the background, in a process group of its own (set -m). The shell passes its
  # signals on to it, so that a signal to the shell alone ends all processes.
  set -m
  "$PYTHON" -m torch.distributed.run --nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}" \
    "${rendezvous[@]}" --nproc_per_node "$processes" "$tools/$tool" "$@" \
    2> >(tee -i "$errors" >&2) &
  torchrun=$!
  set +m
  trap 'kill -TERM "$torchrun" 2>/dev/null || true' TERM HUP
  trap 'kill -INT -- "-$torchrun" 2>/dev/null || true' INT
  # A trapped signal ends wait before torchrun has ended, so wait again.
  wait "$torchrun" || status=$?
  while kill -0 "$torchrun" 2>/dev/null; do
    status=0
    wait "$torchrun" || status=$?
  done
  trap - TERM HUP INT
  if [ "$status" != 0 ]; then
    # torchrun ends with a long report of its own, so the error line of the tool is printed again.
    tr '\r' '\n' <"$errors" | grep -a -m 1 '^error: ' >&2 || true
  fi
  rm -f "$errors"
  return "$status"
}
