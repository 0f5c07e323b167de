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
# One process may have a far longer video than the others: where they wait for it.
PATIENCE = timedelta(days=7)
# Where all are at the same point, in an iteration: a process that is lost is noticed.
EXCHANGE = timedelta(minutes=30)
# Where they meet at first: a launcher that was killed meanwhile leaves nobody to meet.
JOINING = timedelta(minutes=5)


@dataclass(frozen=True)
class Processes:
    """This process among its fellows.

    Args:
        rank: of this process.
        count: of all.
        local_rank: of this process among those of its machine.
        waiting: group of all of them that waits for the slowest; None is the default group.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    waiting: dist.ProcessGroup | None = field(default=None, repr=False, compare=False)

    @classmethod
    def join(cls) -> Processes:
        """Join what torchrun started; alone where it did not.

        Tensors on GPUs go by nccl (gradients), all else by gloo.
        """
        if not {'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR'} <= set(os.environ):
            return cls()
        backend = 'cpu:gloo,cuda:nccl' if torch.cuda.is_available() else 'gloo'
        _end_with_parent()
        store, rank, count = next(rendezvous('env://', timeout=JOINING))
        dist.init_process_group(backend, timeout=EXCHANGE, store=store, rank=rank, world_size=count)
        atexit.register(_leave)
        waiting = dist.new_group(backend='gloo', timeout=PATIENCE)
        return cls(dist.get_rank(), dist.get_world_size(), int(os.environ['LOCAL_RANK']), waiting)

    def device(self, name: str | None) -> str | None:
        """The device of this process: one GPU each, where none was named and there are any.

        Args:
            name: as asked for; None and ``cuda`` leave the choice.
        """
        if self.count == 1 or name not in (None, 'cuda') or not torch.cuda.is_available():
            return name
        return f'cuda:{self.local_rank}'

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def from_first(self, function: Callable[[], Result]) -> Result:
        """What ``function`` returns on the first process, on every process.

        Raises:
            InputError: that the first process raised, on every process.
        """
        if self.count == 1:
            return function()
        box: list = [None]
        if self.is_first:
            try:
                box = [function()]
            except InputError as error:
                box = [error]
        dist.broadcast_object_list(box, src=0, group=self.waiting)
        if isinstance(box[0], InputError):
            raise box[0]
        return box[0]

    def broadcast(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give every process the first one's tensors, in place."""
        for tensor in tensors if self.count > 1 else ():
            dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.all_reduce(torch.zeros(1), group=self.waiting)  # on the CPU, by gloo


def _end_with_parent() -> None:
    """Ask Linux to end this process when its launcher is killed: else it would wait for others."""
    prctl = getattr(ctypes.CDLL(None), 'prctl', None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _leave() -> None:
    """End gloo's threads before Python ends.

    A thread that lets go of a tensor while Python ends aborts the process (torch 2.13; seven of
    twelve small runs of four processes). They end with the last reference to the group; torch's
    DDP holds one, in a reference cycle.
    """
    gc.collect()
    dist.destroy_process_group()


ALONE = Processes()
