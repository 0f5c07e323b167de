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
from tevit_vis.utils.files import write_beside

LOGGER = logging.getLogger('tevit_vis')
ARRAY_PARTS = ('_reconstruct', 'scalar')
# What torch, pickle and zipfile raise on files that are damaged or something else.
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
        InputError: the file is absent, truncated, no checkpoint, or needs ``trust``.
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
                mmap=is_zip or None,  # tensors are read when copied: the file is never held twice
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
def first_weights_by_our_reader(trust: bool = False) -> Iterator[None]:
    """Let mmcv read what ``init_cfg`` names by ``read_checkpoint``, and nothing from addresses.

    mmcv's own loaders fetch files and run code that these hold.

    Args:
        trust: also read files that hold Python objects.

    Raises:
        InputError: within it, of an address, or a file that cannot be read.
    """

    def load(path: str, map_location: object = None) -> dict:
        if '://' in path:
            raise InputError(
                f'init_cfg: {path} must be a file here, but is an address: download it first'
            )
        return read_checkpoint(path, trust)

    loaders = CheckpointLoader._schemes
    CheckpointLoader._schemes = {'': load}
    try:
        yield
    finally:
        CheckpointLoader._schemes = loaders


def write_checkpoint(content: object, path: str | os.PathLike) -> None:
    """Save a checkpoint: whole, or what was there before stays.

    Args:
        content: what ``torch.save`` takes.
        path: file to write.

    Raises:
        InputError: it cannot be written.
    """

    def write(unfinished: str) -> None:
        with open(unfinished, 'wb') as file:  # so that a full disk is told by the system's words
            torch.save(content, file)

    write_beside(path, write)


def read_safetensors(path: str) -> dict:
    """The weights of a safetensors file.

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


class ArraysOnly(pickle.Unpickler):
    """Reads a pickle of numpy arrays, such as detectron2's, and runs no code of it."""

    ALLOWED = {  # noqa: RUF012  (read only)
        *((f'numpy.{core}.multiarray', name) for core in ('core', '_core') for name in ARRAY_PARTS),
        *(('numpy', name) for name in ('ndarray', 'dtype')),
        ('collections', 'OrderedDict'),
        ('_codecs', 'encode'),
    }

    def find_class(self, module: str, name: str) -> Any:
        """See ``pickle.Unpickler``."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f'global {module}.{name} is no array')
        return super().find_class(module, name)


def read_plain_pickle(path: str) -> dict:
    """The content of a pickle file, its arrays as tensors."""
    with open(path, 'rb') as file:
        content = ArraysOnly(file, encoding='latin1').load()

    def as_tensors(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: as_tensors(item) for key, item in value.items()}
        if isinstance(value, np.ndarray) and value.dtype != object:
            return torch.from_numpy(np.array(value))
        return value

    return as_tensors(content)  # type: ignore[return-value]


def weights_of(checkpoint: Mapping, path: str, key: str = 'state_dict') -> Mapping:
    """``checkpoint[key]``, or the bare dict.

    Raises:
        InputError: it is no dict.
    """
    weights = checkpoint.get(key, checkpoint)
    if not isinstance(weights, Mapping):
        raise InputError(
            f'{path}: "{key}" must be a dict of weights, but got {type(weights).__name__}'
        )
    return weights


def class_names_of(checkpoint: Mapping) -> tuple[str, ...] | None:
    """Class names that mmcv's or MMEngine's runner noted in a checkpoint, or None."""
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    of_data = meta.get('dataset_meta')
    names = meta.get('CLASSES')
    if names is None and isinstance(of_data, Mapping):
        names = of_data.get('classes', of_data.get('CLASSES'))
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def checkpoints_of(work_dir: str) -> list[str]:
    """Returns the checkpoints of a run, the newest first.

    That is ``latest.pth`` where it points to a file, then ``iter_<n>.pth`` from the highest on.
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
        work_dir: of the run.
        trust: also read files that hold Python objects.

    Raises:
        InputError: there are some, but none can be read.
    """
    fault = None
    for path in checkpoints_of(work_dir):
        try:
            read_checkpoint(path, trust)
            return path
        except InputError as error:
            LOGGER.warning('%s; an older checkpoint is looked for', error)
            fault = error
    if fault is not None:
        raise fault
    return None
