"""Runs graphs of ONNX."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.versions import version_tuple

LOWEST_VERSION = '1.17'  # of onnxruntime
PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}
WARNINGS_FROM = 3  # severity of messages of onnxruntime: errors


def providers_of(device: str) -> list[str]:
    """Returns the providers for a device, each with those behind it that take what it cannot.

    Args:
        device: ``cpu``, ``cuda`` or ``tensorrt``.

    Raises:
        InputError: onnxruntime is absent or too old, or has no provider for the device.

    Example:
        >>> providers_of('cpu')
        ['CPUExecutionProvider']
    """
    runtime = import_runtime()
    if device not in PROVIDERS:
        raise InputError(f'device: must be {", ".join(PROVIDERS)}, but got {device!r}')
    names = list(PROVIDERS)
    wanted = [PROVIDERS[name] for name in reversed(names[: names.index(device) + 1])]
    available = runtime.get_available_providers()
    if wanted[0] not in available:
        raise InputError(
            f'device: {device} needs {wanted[0]}, but this onnxruntime has '
            f'{", ".join(available)}: pip install onnxruntime-gpu, or take cpu'
        )
    return [name for name in wanted if name in available]


def import_runtime() -> Any:
    """Returns the module onnxruntime.

    Raises:
        InputError: it is not installed, or too old.
    """
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            'onnxruntime: must be installed to run an exported model: '
            'pip install onnxruntime, or ".[deploy]" of tevit_vis'
        ) from None
    if version_tuple(onnxruntime.__version__) < version_tuple(LOWEST_VERSION):
        raise InputError(
            f'onnxruntime: must be {LOWEST_VERSION} or later, but is {onnxruntime.__version__}: '
            'pip install --upgrade onnxruntime'
        )
    return onnxruntime


class Graph:
    """A graph, loaded.

    Args:
        path: of the file.
        device: see ``providers_of``.
        threads: of the CPU; None takes ``OMP_NUM_THREADS``, else all cores.

    Raises:
        InputError: the file is no graph that this onnxruntime can load.
    """

    def __init__(self, path: Path, device: str, threads: int | None) -> None:
        runtime = import_runtime()
        options = runtime.SessionOptions()
        options.log_severity_level = WARNINGS_FROM
        options.intra_op_num_threads = threads or _threads_of_environment()
        self.path = path
        try:
            self.session = runtime.InferenceSession(str(path), options, providers_of(device))
        except Exception as error:  # noqa: BLE001  (its errors have no common class)
            if isinstance(error, InputError):
                raise
            raise InputError(f'{path}: cannot be loaded: {" ".join(str(error).split())}') from None
        if PROVIDERS[device] not in self.session.get_providers():
            raise InputError(
                f'device: {device} cannot be used: onnxruntime took '
                f'{", ".join(self.session.get_providers())} instead: install the CUDA, cuDNN or '
                'TensorRT that it was built for, or take cpu'
            )
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.outputs = [each.name for each in self.session.get_outputs()]

    def __call__(self, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name.

        Args:
            arrays: the inputs, in order.

        Raises:
            InputError: they are not of the shape that the graph takes.
        """
        feed = dict(zip(self.inputs, arrays))
        try:
            return dict(zip(self.outputs, self.session.run(self.outputs, feed)))
        except Exception as error:  # noqa: BLE001  (its errors have no common class)
            reason = ' '.join(str(error).split())
            raise InputError(f'{self.path}: cannot be run: {reason[:300]}') from error


def _threads_of_environment() -> int:
    """Returns the first number of ``OMP_NUM_THREADS``, which may have several; 0 without one."""
    first = os.environ.get('OMP_NUM_THREADS', '').partition(',')[0].strip()
    return int(first) if first.isdecimal() else 0
