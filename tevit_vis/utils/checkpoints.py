"""Reading checkpoints: safely, whole or not at all."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from tevit_vis.utils.errors import InputError

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
    except NOT_A_CHECKPOINT as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f'{path}: is no checkpoint, or a truncated one ({reason})') from None
    if not isinstance(checkpoint, Mapping):
        raise InputError(
            f'{path}: checkpoint must hold a dict of weights, but got {type(checkpoint).__name__}'
        )
    return checkpoint


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


@dataclass(frozen=True)
class TakenWeights:
    """What a model took from a checkpoint of another one; keys throughout.

    Args:
        path: of the checkpoint.
        taken: now in the model.
        new: of the model, absent from the checkpoint: they stay as drawn.
        reshaped: in both with other shapes, which are told: they stay as drawn.
        left_over: of the checkpoint, without a place in the model.
    """

    path: str
    taken: list[str]
    new: list[str]
    reshaped: list[str]
    left_over: list[str]

    def __str__(self) -> str:
        lines = [f'{self.path}: {len(self.taken)} weights taken']
        for what, keys in (
            ('stay new (not in the checkpoint)', self.new),
            ('stay new (another shape)', self.reshaped),
            ('of the checkpoint not used', self.left_over),
        ):
            lines.append(f'  {len(keys)} {what}{": " if keys else ""}{", ".join(keys)}')
        return '\n'.join(lines)


def take_weights(model: nn.Module, checkpoint: Mapping, path: str) -> TakenWeights:
    """Copy what fits of another model's checkpoint, such as QueryInst's into TeViT.

    Raises:
        InputError: nothing fits.
    """
    weights = weights_of(checkpoint, path)
    wanted = model.state_dict()
    common = [key for key in wanted if key in weights]
    taken = [key for key in common if _shape(weights[key]) == _shape(wanted[key])]
    if not any(wanted[key].dim() > 1 for key in taken):  # a shared counter is no common ground
        raise InputError(
            f'{path}: load_from must have weights in common with the model, but has none '
            f"(its first key: {next(iter(weights), None)}; the model's: {next(iter(wanted))})"
        )
    check_finite({key: weights[key] for key in taken}, path)
    model.load_state_dict({**wanted, **{key: weights[key] for key in taken}})
    return TakenWeights(
        path,
        taken,
        new=[key for key in wanted if key not in weights],
        reshaped=[_reshaped(key, weights, wanted) for key in common if key not in set(taken)],
        left_over=[str(key) for key in weights if key not in wanted],
    )


def _reshaped(key: str, weights: Mapping, wanted: Mapping) -> str:
    return f'{key} {_shape(weights[key])} for {_shape(wanted[key])}'


def load_weights(model: nn.Module, checkpoint: Mapping, path: str) -> None:
    """Copy the weights of ``checkpoint['state_dict']``, or of the bare dict, into ``model``.

    Raises:
        InputError: a key is missing, left over or of another shape; the first ones are listed.
    """
    weights = weights_of(checkpoint, path)
    wanted = model.state_dict()
    faults = {
        'missing': [key for key in wanted if key not in weights],
        'left over': [key for key in weights if key not in wanted],
        'of another shape': [
            _reshaped(key, weights, wanted)
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
    check_finite(weights, path)
    model.load_state_dict(weights)


def check_finite(weights: Mapping[str, torch.Tensor], path: str) -> None:
    """Check that no weight is NaN or infinite.

    Raises:
        InputError: names the first that is.
    """
    bad = [
        key
        for key, value in weights.items()
        if isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and not torch.isfinite(value).all()
    ]
    if bad:
        raise InputError(
            f'{path}: weights must be finite, but {len(bad)} of {len(weights)} are not '
            f'(first: {bad[0]}): its training diverged, or they were stored in half precision '
            'and are too large for it; take an earlier checkpoint'
        )


def _shape(value: object) -> list[int] | str:
    """The shape of a weight; the kind of anything that cannot be one, such as a sparse tensor."""
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    if value.layout != torch.strided:
        return 'a sparse tensor'
    if value.is_quantized:
        return 'a quantised tensor'
    if value.is_meta:
        return 'a tensor without values'
    return list(value.shape)
