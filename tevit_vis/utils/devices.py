"""The device that a model runs on, the precision it runs in, and how much fits on it."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from tevit_vis.utils.errors import InputError

AMP_DTYPES = {None: None, 'fp16': torch.float16, 'bf16': torch.bfloat16}
# Messages of CUDA's libraries that mean the same as torch.OutOfMemoryError.
OUT_OF_MEMORY_MESSAGES = (
    'CUDA error: out of memory',
    'CUDNN_STATUS_ALLOC_FAILED',
    'CUBLAS_STATUS_ALLOC_FAILED',
)
ASSUMED_FREE_MEMORY = 4 << 30  # bytes, if the system does not say what is free


def check_device(name: str | None) -> torch.device:
    """Returns the device of a name, or the best one there is; a GPU always with its number.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N`` or None; ``cuda`` and None mean the current GPU.

    Raises:
        InputError: the name is none of these, or the machine has no such device.

    Example:
        >>> check_device('cpu')
        device(type='cpu')
    """
    if name is None:
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    if not re.fullmatch(r'cpu|cuda(:\d+)?', str(name)):
        raise InputError(f'device must be cpu, cuda or cuda:N, but got {name!r}')
    device = torch.device(name)
    if device.type == 'cpu':
        return device
    if device.index is None:
        # torch.cuda.set_device, among others, refuses a device without a number.
        current = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
        device = torch.device('cuda', current)
    count = torch.cuda.device_count()
    if device.index >= count:
        raise InputError(
            f'device {name} was asked for, but {count} CUDA devices are here: take cpu'
            + (f', or cuda:0 to cuda:{count - 1}' if count else '')
        )
    return device


def check_amp(amp: str | None, device: torch.device) -> torch.dtype | None:
    """Returns the torch dtype of a precision; None means full precision.

    Args:
        amp: None, ``'bf16'`` or ``'fp16'``.
        device: device that computes in this precision.

    Raises:
        InputError: the precision is none of these, or the device does not support it.

    Example:
        >>> check_amp('bf16', torch.device('cpu'))
        torch.bfloat16
    """
    if amp not in AMP_DTYPES:
        raise InputError(f'amp: must be None, fp16 or bf16, but got {amp!r}')
    if amp == 'fp16' and device.type == 'cpu':
        raise InputError('amp: fp16 needs a GPU; on the CPU take bf16 or None')
    if amp == 'bf16' and device.type == 'cuda' and not torch.cuda.is_bf16_supported():
        raise InputError(f'amp: {device} has no bf16: take fp16 or None')
    return AMP_DTYPES[amp]


def precision(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager:
    """Returns the context in which a network computes in a dtype; None changes nothing.

    Example:
        >>> with precision(torch.device('cpu'), torch.bfloat16):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    return torch.autocast(device.type, dtype) if dtype is not None else nullcontext()


def free_memory(device: torch.device) -> int:
    """Returns the bytes that a device has free; on the CPU, what the system can give."""
    if device.type == 'cuda':
        return (
            torch.cuda.mem_get_info(device)[0] if torch.cuda.is_available() else ASSUMED_FREE_MEMORY
        )
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            sizes = dict(line.split(':') for line in file)
        return int(sizes['MemAvailable'].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return ASSUMED_FREE_MEMORY


def has_pinned_memory(device: torch.device) -> bool:
    """Whether the device can copy from pinned host memory while it computes."""
    return device.type == 'cuda' and torch.cuda.is_available()


def how_many_fit(device: torch.device, each: int, least: int, most: int, part: float) -> int:
    """Returns how many things fit into a part of a device's free memory.

    Args:
        each: bytes of one thing.
        least, most: smallest and largest number to return.
        part: fraction of the free memory to use, 0 to 1.

    Example:
        >>> how_many_fit(torch.device('cpu'), each=1 << 60, least=2, most=9, part=0.5)
        2
    """
    return max(least, min(most, int(free_memory(device) * part) // max(1, each)))


def device_fault(error: BaseException) -> str | None:
    """Returns a one-line message with a remedy for a fault of the device, None for other errors.

    Args:
        error: error that was raised while a model ran.

    Example:
        >>> device_fault(torch.OutOfMemoryError('CUDA out of memory. Tried ...')).split(':')[0]
        'the GPU is out of memory'
    """
    text = str(error)
    if not isinstance(error, RuntimeError):
        return None
    is_out_of_memory = isinstance(error, torch.OutOfMemoryError)
    if is_out_of_memory or any(message in text for message in OUT_OF_MEMORY_MESSAGES):
        return (
            'the GPU is out of memory: lower model.test_cfg.frames_per_pass (testing), '
            'data.samples_per_gpu or data.train.clip_length (training), look at fewer frames at '
            'a time (--window, model.test_cfg.windows.length), or take amp=bf16'
        )
    if 'no kernel image is available' in text:
        return (
            'the GPU is not one that torch or mmcv-full was built for (no kernel image): install '
            'a torch for it and build mmcv-full there with tools/setup_env.sh --again, or take '
            '--device cpu'
        )
    if type(error).__module__.startswith(('torch._dynamo', 'torch._inductor')):
        first_line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
        return f'torch.compile failed on this machine ({first_line}): leave --compile out'
    return None


def time_on(device: torch.device, function: Callable, *args: Any) -> tuple[Any, float]:
    """Returns a function's result and the seconds it took, including the device's work."""
    synchronize(device)
    start = time.perf_counter()
    result = function(*args)
    synchronize(device)
    return result, time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Waits until a GPU has finished its work; the CPU never has any left."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device) -> None:
    """Starts a new measurement of a GPU's peak memory."""
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """Returns the peak memory in MiB: of the process, or on a GPU of tensors since
    ``reset_peak_memory``.
    """
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2**20
    scale = 2**20 if sys.platform == 'darwin' else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
