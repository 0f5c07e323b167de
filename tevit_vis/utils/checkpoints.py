"""Reading checkpoints: safely, whole or not at all."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping

import torch
from torch import nn

from tevit_vis.utils.errors import InputError


def read_checkpoint(path: str, trust: bool = False) -> dict:
    """Load a checkpoint file on the CPU.

    Args:
        path: a local file.
        trust: also load files that hold Python objects, which may run code of whoever wrote them.

    Raises:
        InputError: the file is absent, truncated, no checkpoint, or needs ``trust``.
    """
    try:
        is_zip = zipfile.is_zipfile(path)
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
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, ModuleNotFoundError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f'{path}: is no checkpoint, or a truncated one ({reason})') from None
    if not isinstance(checkpoint, Mapping):
        raise InputError(
            f'{path}: checkpoint must hold a dict of weights, but got {type(checkpoint).__name__}'
        )
    return checkpoint


def load_weights(model: nn.Module, checkpoint: Mapping, path: str) -> None:
    """Copy the weights of ``checkpoint['state_dict']``, or of the bare dict, into ``model``.

    Raises:
        InputError: a key is missing, left over or of another shape; the first ones are listed.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    if not isinstance(weights, Mapping):
        raise InputError(
            f'{path}: "state_dict" must be a dict of weights, but got {type(weights).__name__}'
        )
    wanted = model.state_dict()
    faults = {
        'missing': [key for key in wanted if key not in weights],
        'left over': [key for key in weights if key not in wanted],
        'of another shape': [
            f'{key} {_shape(weights[key])} for {_shape(wanted[key])}'
            for key in wanted
            if key in weights and _shape(weights[key]) != _shape(wanted[key])
        ],
    }
    if any(faults.values()):
        parts = [
            f'{len(keys)} keys {kind} (first: {", ".join(map(str, keys[:3]))})'
            for kind, keys in faults.items()
            if keys
        ]
        raise InputError(f'{path}: checkpoint does not fit the model: {"; ".join(parts)}')
    model.load_state_dict(weights)


def _shape(value: object) -> list[int] | str:
    return list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
