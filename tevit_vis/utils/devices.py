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
# What CUDA's libraries say besides torch.OutOfMemoryError.
NO_MEMORY = ('CUDA error: out of memory', 'CUDNN_STATUS_ALLOC_FAILED', 'CUBLAS_STATUS_ALLOC_FAILED')
UNKNOWN_FREE = 4 << 30  # bytes, where the system does not say what is free


def check_device(name: str | None) -> torch.device:
    """Returns the device of that name, or the best there is. A GPU always has its number.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N`` or None; ``cuda`` and None mean the current GPU.

    Raises:
        InputError: another name, or a device that is not here.

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
        raise InputError(f'device {name} was asked for, but {count} CUDA devices are here')
    return device


def check_amp(amp: str | None, device: torch.device) -> torch.dtype | None:
    """Returns the number type of a precision, None for full precision.

    Args:
        amp: None, ``'bf16'`` or ``'fp16'``.
        device: that is to compute in it.

    Raises:
        InputError: another precision, or one that the device lacks.

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
    """Returns the context in which a network runs in a number type; None changes nothing.

    Example:
        >>> with precision(torch.device('cpu'), torch.bfloat16):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    return torch.autocast(device.type, dtype) if dtype is not None else nullcontext()


def free_memory(device: torch.device) -> int:
    """Returns the bytes that a device has free; on the CPU, what the system can give."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0] if torch.cuda.is_available() else UNKNOWN_FREE
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            sizes = dict(line.split(':') for line in file)
        return int(sizes['MemAvailable'].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return UNKNOWN_FREE


def has_pinned_memory(device: torch.device) -> bool:
    """Whether the host has memory from which the device copies while it computes."""
    return device.type == 'cuda' and torch.cuda.is_available()


def how_many_fit(device: torch.device, each: int, least: int, most: int, part: float) -> int:
    """Returns how many things fit into a part of a device's free memory.

    Args:
        each: bytes of one.
        least, most: bounds of the answer.
        part: of the free memory, 0 to 1.

    Example:
        >>> how_many_fit(torch.device('cpu'), each=1 << 60, least=2, most=9, part=0.5)
        2
    """
    return max(least, min(most, int(free_memory(device) * part) // max(1, each)))


def device_fault(error: BaseException) -> str | None:
    """Returns one line for a fault of the device and its remedy, None for any other error.

    Args:
        error: that was raised while a model ran.

    Example:
        >>> device_fault(torch.OutOfMemoryError('CUDA out of memory. Tried ...')).split(':')[0]
        'the GPU is out of memory'
    """
    text = str(error)
    if not isinstance(error, RuntimeError):
        return None
    if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in NO_MEMORY):
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
        first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
        return f'torch.compile failed on this machine ({first}): leave --compile out'
    return None


def time_on(device: torch.device, function: Callable, *args: Any) -> tuple[Any, float]:
    """What a function returns and the seconds that it took, the device's work included."""
    synchronize(device)
    begun = time.perf_counter()
    result = function(*args)
    synchronize(device)
    return result, time.perf_counter() - begun


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Begin to look for the peak of a GPU's memory."""
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """MB at the peak: of a GPU's tensors since ``reset_peak``, of the process so far on the CPU."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2**20
    scale = 2**20 if sys.platform == 'darwin' else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
