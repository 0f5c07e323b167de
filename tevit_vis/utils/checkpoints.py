"""Checkpoint files: read safely, written whole or not at all."""

from __future__ import annotations

import glob
import logging
import os
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmcv.runner import CheckpointLoader

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import write_atomically

LOGGER = logging.getLogger('tevit_vis')
ARRAY_PARTS = ('_reconstruct', 'scalar')
# Errors that torch, pickle and zipfile raise on damaged files and on files of another kind.
NOT_A_CHECKPOINT = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    OverflowError,
    MemoryError,
    AssertionError,
    zipfile.BadZipFile,
)


def read_checkpoint(path: str, trust: bool = False) -> dict:
    """Load a checkpoint file on the CPU.

    Args:
        path: a local file.
        trust: also load files that hold Python objects, which may run code of whoever wrote them.

    Raises:
        InputError: the file is absent, truncated or no checkpoint, or it needs ``trust``.
    """
    try:
        if str(path).endswith('.safetensors'):
            return read_safetensors(str(path))
        is_zip = zipfile.is_zipfile(path)
        if not is_zip and str(path).endswith('.pkl'):
            checkpoint = read_plain_pickle(str(path))
        else:
            checkpoint = torch.load(
                path,
                map_location='cpu',
                weights_only=not trust,
                # Tensors are read when they are copied, so the file is never in memory twice.
                mmap=is_zip or None,
            )
    except FileNotFoundError:
        raise InputError(f'{path}: checkpoint must be a file, but there is none') from None
    except pickle.UnpicklingError as error:
        reason = str(error)
        if not trust and 'global' in reason.lower():
            raise InputError(
                f'{path}: checkpoint holds Python objects besides weights; loading it may run code '
                'of whoever wrote it: if you trust it, add --trust-checkpoint '
                '(trust_checkpoint=True in Python)'
            ) from None
        raise InputError(f'{path}: is no checkpoint, or a truncated one') from None
    except NOT_A_CHECKPOINT as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f'{path}: is no checkpoint, or a truncated one ({reason})') from None
    if not isinstance(checkpoint, Mapping):
        raise InputError(
            f'{path}: checkpoint must hold a dict of weights, but got {type(checkpoint).__name__}'
        )
    return checkpoint


@contextmanager
def safe_init_cfg_loading(trust: bool = False) -> Iterator[None]:
    """Makes mmcv load the files of ``init_cfg`` with ``read_checkpoint``, and refuse URLs.

    mmcv's own loaders download files and run the code that these hold.

    Args:
        trust: also load files that hold Python objects.

    Raises:
        InputError: inside the context, if ``init_cfg`` names a URL or a file that cannot be read.
    """

    def load(path: str, map_location: object = None) -> dict:
        if '://' in path:
            raise InputError(
                f'init_cfg: {path} must be a local file, but is a URL: download it first'
            )
        return read_checkpoint(path, trust)

    loaders = CheckpointLoader._schemes
    CheckpointLoader._schemes = {'': load}
    try:
        yield
    finally:
        CheckpointLoader._schemes = loaders


def write_checkpoint(content: object, path: str | os.PathLike) -> None:
    """Saves a checkpoint; if that fails, the file that was there before stays.

    Args:
        content: what ``torch.save`` takes.
        path: file to write.

    Raises:
        InputError: the file cannot be written.
    """

    def write(unfinished: str) -> None:
        # Given a path, torch.save hides what the system says of a full disk.
        with open(unfinished, 'wb') as file:
            torch.save(content, file)

    write_atomically(path, write)


def read_safetensors(path: str) -> dict:
    """Returns the weights of a safetensors file under the key ``state_dict``.

    Raises:
        InputError: the package that reads it is not installed.
    """
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise InputError(
            f'{path}: needs safetensors, which is not installed: pip install safetensors'
        ) from None
    return {'state_dict': load_file(path)}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles numpy arrays, such as detectron2's weights, and refuses whatever could run code."""

    ALLOWED = {  # noqa: RUF012  (read only)
        *((f'numpy.{core}.multiarray', name) for core in ('core', '_core') for name in ARRAY_PARTS),
        *(('numpy', name) for name in ('ndarray', 'dtype')),
        ('collections', 'OrderedDict'),
        ('_codecs', 'encode'),
    }

    def find_class(self, module: str, name: str) -> Any:
        """Returns a class that pickled arrays need; any other class is an error."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f'global {module}.{name} is no array')
        return super().find_class(module, name)


def read_plain_pickle(path: str) -> dict:
    """Returns the content of a pickle of numpy arrays, with the arrays as tensors."""
    with open(path, 'rb') as file:
        content = ArrayUnpickler(file, encoding='latin1').load()

    def as_tensors(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: as_tensors(item) for key, item in value.items()}
        if isinstance(value, np.ndarray) and value.dtype != object:
            return torch.from_numpy(np.array(value))
        return value

    return as_tensors(content)  # type: ignore[return-value]


def weights_of(checkpoint: Mapping, path: str, key: str = 'state_dict') -> Mapping:
    """Returns ``checkpoint[key]``, or the checkpoint itself if it has no such key.

    Args:
        path: names the file in the error.

    Raises:
        InputError: the value is no dict.

    Example:
        >>> weights_of({'state_dict': {'fc.bias': 0}}, 'a.pth')
        {'fc.bias': 0}
        >>> weights_of({'fc.bias': 0}, 'a.pth')
        {'fc.bias': 0}
    """
    weights = checkpoint.get(key, checkpoint)
    if not isinstance(weights, Mapping):
        raise InputError(
            f'{path}: "{key}" must be a dict of weights, but got {type(weights).__name__}'
        )
    return weights


def class_names_of(checkpoint: Mapping) -> tuple[str, ...] | None:
    """Returns the class names that mmcv's or MMEngine's runner stored in a checkpoint, or None.

    Example:
        >>> class_names_of({'meta': {'CLASSES': ['cat', 'dog']}})
        ('cat', 'dog')
    """
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    dataset_meta = meta.get('dataset_meta')
    names = meta.get('CLASSES')
    if names is None and isinstance(dataset_meta, Mapping):
        names = dataset_meta.get('classes', dataset_meta.get('CLASSES'))
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def checkpoints_of(work_dir: str) -> list[str]:
    """Returns the checkpoints of a run, the newest first.

    The first is ``latest.pth`` if it points to a file; ``iter_<n>.pth`` follow by falling number.
    """
    latest = os.path.join(work_dir, 'latest.pth')
    numbered = {}
    for path in glob.glob(os.path.join(glob.escape(work_dir), 'iter_*.pth')):
        number = os.path.basename(path)[len('iter_') : -len('.pth')]
        if number.isdigit() and os.path.isfile(path):
            numbered[int(number)] = path
    return [latest] * os.path.isfile(latest) + [numbered[n] for n in sorted(numbered, reverse=True)]


def latest_checkpoint(work_dir: str, trust: bool = False) -> str | None:
    """Returns the newest checkpoint of a run that can be read, or None.

    Args:
        work_dir: folder of the run.
        trust: also read files that hold Python objects.

    Raises:
        InputError: the run has checkpoints, but none can be read.
    """
    fault = None
    for path in checkpoints_of(work_dir):
        try:
            read_checkpoint(path, trust)
            return path
        except InputError as error:
            LOGGER.warning('%s; an older checkpoint is tried', error)
            fault = error
    if fault is not None:
        raise fault
    return None
