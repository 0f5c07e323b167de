"""The processes that torchrun starts, as far as testing and training need to know them."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from tevit_vis.utils.errors import InputError

Result = TypeVar('Result')
PR_SET_PDEATHSIG = 1  # of Linux's <sys/prctl.h>
# Timeout of waiting for the slowest process: it may have a far longer video than the others.
WAIT_TIMEOUT = timedelta(days=7)
# Timeout of an exchange within an iteration: after it, a lost process is noticed.
EXCHANGE_TIMEOUT = timedelta(minutes=30)
# Timeout of joining at the start: if the launcher was killed, no other process comes.
JOIN_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True)
class Processes:
    """The rank of this process among all, and how they wait for each other.

    Args:
        rank: number of this process.
        count: number of all processes.
        local_rank: number of this process on its machine.
        waiting_group: group of all processes with a timeout that suffices to wait for the
            slowest; None is the default group.

    Example:
        >>> Processes().run_on_first(lambda: 5)  # a single process runs it itself
        5
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    waiting_group: dist.ProcessGroup | None = field(default=None, repr=False, compare=False)

    @classmethod
    def join(cls) -> Processes:
        """Joins the processes that torchrun started; without torchrun, there is only this one.

        Tensors on GPUs (gradients) are exchanged by nccl, all else by gloo.
        """
        if not {'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR'} <= set(os.environ):
            return cls()
        backend = 'cpu:gloo,cuda:nccl' if torch.cuda.is_available() else 'gloo'
        _end_with_parent()
        store, rank, count = next(rendezvous('env://', timeout=JOIN_TIMEOUT))
        dist.init_process_group(
            backend, timeout=EXCHANGE_TIMEOUT, store=store, rank=rank, world_size=count
        )
        atexit.register(_leave)
        waiting_group = dist.new_group(backend='gloo', timeout=WAIT_TIMEOUT)
        local_rank = int(os.environ['LOCAL_RANK'])
        return cls(dist.get_rank(), dist.get_world_size(), local_rank, waiting_group)

    def device(self, name: str | None) -> str | None:
        """Returns the device of this process. Each process gets its own GPU if it may choose.

        Args:
            name: the requested device; None and ``cuda`` leave the choice.
        """
        if self.count == 1 or name not in (None, 'cuda') or not torch.cuda.is_available():
            return name
        return f'cuda:{self.local_rank}'

    @property
    def is_first(self) -> bool:
        """Whether this process has rank 0."""
        return self.rank == 0

    def run_on_first(self, function: Callable[[], Result]) -> Result:
        """Runs ``function`` on the first process and returns its result on every process.

        Raises:
            InputError: ``function`` raised it; then every process raises it.
        """
        if self.count == 1:
            return function()
        box: list = [None]
        if self.is_first:
            try:
                box = [function()]
            except InputError as error:
                box = [error]
        dist.broadcast_object_list(box, src=0, group=self.waiting_group)
        if isinstance(box[0], InputError):
            raise box[0]
        return box[0]

    def broadcast(self, tensors: Iterable[torch.Tensor]) -> None:
        """Copies the first process's tensors to those of every process, in place."""
        for tensor in tensors if self.count > 1 else ():
            dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Waits until all processes have called this method."""
        if self.count > 1:
            dist.all_reduce(torch.zeros(1), group=self.waiting_group)  # on the CPU, by gloo


def _end_with_parent() -> None:
    """Asks Linux to kill this process with its launcher; else it would wait for the others."""
    prctl = getattr(ctypes.CDLL(None), 'prctl', None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _leave() -> None:
    """Ends gloo's threads before Python ends.

    A thread that frees a tensor while Python ends aborts the process (torch 2.13; seven of twelve
    small runs of four processes). The threads end with the last reference to the group; torch's
    DDP keeps one in a reference cycle, which only the garbage collector frees.
    """
    gc.collect()
    dist.destroy_process_group()


ALONE = Processes()
