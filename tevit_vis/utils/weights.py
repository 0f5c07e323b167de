"""Loads the weights of a checkpoint into a model, and says which ones do not fit."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from tevit_vis.utils.checkpoints import weights_of
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.weight_hints import CLASS_LAYER, fit_hint, shape_of

LOGGER = logging.getLogger('tevit_vis')
# Keys under which frameworks keep the weights of a checkpoint; the first one present is used.
CONTAINERS = ('state_dict', 'model', 'state_dict_ema', 'model_state_dict', 'ema', 'ema_state_dict')
# Prefixes that wrappers put before the names of a model's weights.
WRAPPERS = ('module.', 'model.', 'detector.', 'net.', 'ema_model.', 'teacher.')


def find_weights(checkpoint: Mapping, path: str, model_keys: Iterable[str]) -> Mapping:
    """Returns the weights of a checkpoint, named as in the model where that is possible.

    Opens the containers of other frameworks and removes the prefixes of wrappers; both are logged.

    Args:
        checkpoint: content of a file, see ``read_checkpoint``.
        path: path of the file, for messages.
        model_keys: names of the model's weights.

    Raises:
        InputError: the checkpoint has no dict of weights.

    Example:
        >>> find_weights({'model': {'module.fc.bias': 0}}, 'a.pth', ['fc.bias'])
        {'fc.bias': 0}
    """
    expected_keys = set(model_keys)
    containers = [key for key in CONTAINERS if isinstance(checkpoint.get(key), Mapping)]
    weights = weights_of(checkpoint, path, containers[0] if containers else 'state_dict')
    notes = []
    if containers and containers[0] != 'state_dict':
        notes.append(f'the weights are those of {containers[0]!r}')
    averaged = [key for key in containers[1:] if 'ema' in key]
    if averaged:
        notes.append(
            f'averaged weights are there as well ({", ".join(averaged)}), but were not taken'
        )
    renamed = {str(key).replace('_orig_mod.', ''): value for key, value in weights.items()}
    if set(renamed) != set(map(str, weights)):
        notes.append('"_orig_mod." of torch.compile was taken off')
    prefix = _wrapper_prefix(renamed, expected_keys)
    if prefix:
        renamed = {key[len(prefix) :]: value for key, value in renamed.items()}
        notes.append(f'the prefix {prefix!r} was taken off')
    ema_copies = [key for key in renamed if key.startswith('ema_') and key not in expected_keys]
    if ema_copies and len(ema_copies) < len(renamed):
        renamed = {key: value for key, value in renamed.items() if key not in set(ema_copies)}
        notes.append(
            f'{len(ema_copies)} weights named ema_... were left out: mmcv stores the averaged ones '
            'under the plain names'
        )
    for note in notes:
        LOGGER.warning('%s: %s', path, note)
    return renamed


def _wrapper_prefix(keys: Iterable[str], expected_keys: set[str]) -> str:
    """Returns the prefix of all names (``module.`` of DDP, ``model.`` of Lightning, ...), or ''."""
    names, prefix = list(keys), ''
    while names and not expected_keys & set(names):
        first = names[0].partition('.')[0] + '.'
        if first not in WRAPPERS or not all(name.startswith(first) for name in names):
            return ''
        names = [name[len(first) :] for name in names]
        prefix += first
    return prefix if expected_keys & set(names) else ''


@dataclass(frozen=True)
class MatchedWeights:
    """The names of the weights that a model took, or did not take, from another model's checkpoint.

    Args:
        path: path of the checkpoint.
        taken: weights that were copied into the model.
        new: weights that the checkpoint lacks; they keep their initial values.
        reshaped: weights with different shapes in both, with the shapes; they keep their initial
            values.
        left_over: weights of the checkpoint that the model lacks.
        by_name: weights among the taken whose rows were chosen by the names of classes.
    """

    path: str
    taken: list[str]
    new: list[str]
    reshaped: list[str]
    left_over: list[str]
    by_name: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'{self.path}: {len(self.taken)} weights taken']
        for what, keys in (
            ('stay new (not in the checkpoint)', self.new),
            ('stay new (another shape)', self.reshaped),
            ('of the checkpoint not used', self.left_over),
        ):
            lines.append(f'  {len(keys)} {what}{": " if keys else ""}{", ".join(keys)}')
        return '\n'.join(lines)


def rows_by_name(
    weights: Mapping, initial: Mapping, old_names: Sequence[str], new_names: Sequence[str]
) -> Mapping:
    """Returns weights with the rows of class layers as the classes of the model want them.

    Args:
        weights: weights of a checkpoint.
        initial: weights of the model; classes that the checkpoint lacks keep these rows.
        old_names: class names of the checkpoint.
        new_names: class names of the model, of any number.

    Returns:
        All weights. The last row of a layer with one row more than classes, for "no object", stays
        the last.
    """
    moved = dict(weights)
    for key, value in weights.items():
        if not (CLASS_LAYER.search(key) and key in initial and isinstance(value, torch.Tensor)):
            continue
        old_shape, new_shape = shape_of(value), shape_of(initial[key])
        if not isinstance(old_shape, list) or not old_shape or old_shape[1:] != new_shape[1:]:
            continue
        num_more = old_shape[0] - len(old_names)
        if num_more not in (0, 1) or new_shape[0] - len(new_names) != num_more:
            continue
        moved[key] = initial[key].clone()
        moved[key][len(new_names) :] = value[len(old_names) :]
        for label, name in enumerate(new_names):
            if name in old_names:
                moved[key][label] = value[list(old_names).index(name)]
    return moved


def load_matching_weights(
    model: nn.Module,
    checkpoint: Mapping,
    path: str,
    classes: tuple[Sequence[str], Sequence[str]] | None = None,
) -> MatchedWeights:
    """Copies the weights that fit from another model's checkpoint, such as QueryInst's into TeViT.

    Args:
        classes: class names of the checkpoint and of the model, if they are known and differ; the
            rows of class layers are then copied by name.

    Raises:
        InputError: nothing fits.
    """
    model_weights = model.state_dict()
    weights = find_weights(checkpoint, path, model_weights)
    by_name: list[str] = []
    if classes is not None:
        moved = rows_by_name(weights, model_weights, *classes)
        by_name = [key for key in weights if moved[key] is not weights[key]]
        weights = moved
    common = [key for key in model_weights if key in weights]
    taken = [key for key in common if shape_of(weights[key]) == shape_of(model_weights[key])]
    # Vectors and scalars alone, such as a counter, are not enough.
    if not any(model_weights[key].dim() > 1 for key in taken):
        raise InputError(
            f'{path}: load_from must have weights in common with the model, but has none '
            f'(its first key: {next(iter(weights), None)}; '
            f"the model's: {next(iter(model_weights))})"
        )
    check_weights_finite({key: weights[key] for key in taken}, path)
    model.load_state_dict({**model_weights, **{key: weights[key] for key in taken}})
    return MatchedWeights(
        path,
        taken,
        new=[key for key in model_weights if key not in weights],
        reshaped=[
            _reshaped(key, weights, model_weights) for key in common if key not in set(taken)
        ],
        left_over=[str(key) for key in weights if key not in model_weights],
        by_name=by_name,
    )


def _reshaped(key: str, weights: Mapping, model_weights: Mapping) -> str:
    """Returns a key with the shapes of its weight in the checkpoint and in the model."""
    return f'{key} {shape_of(weights[key])} for {shape_of(model_weights[key])}'


def load_weights(model: nn.Module, checkpoint: Mapping, path: str) -> None:
    """Copies the weights of a checkpoint into a model, which must have exactly these.

    Raises:
        InputError: a key is missing, left over or of another shape; the first ones are listed.
    """
    model_weights = model.state_dict()
    weights = find_weights(checkpoint, path, model_weights)
    faults = {
        'missing': [key for key in model_weights if key not in weights],
        'left over': [key for key in weights if key not in model_weights],
        'of another shape': [
            _reshaped(key, weights, model_weights)
            for key in model_weights
            if key in weights and shape_of(weights[key]) != shape_of(model_weights[key])
        ],
    }
    if any(faults.values()):
        parts = [
            f'{len(keys)} keys {kind} (first: {", ".join(map(str, keys[:3]))}{_by_module(keys)})'
            for kind, keys in faults.items()
            if keys
        ]
        raise InputError(
            f'{path}: checkpoint does not fit the model: {"; ".join(parts)}'
            f'{fit_hint(weights, model_weights, faults)}{_config_beside(path)}'
        )
    check_weights_finite(weights, path)
    model.load_state_dict(weights)


def _config_beside(path: str) -> str:
    """Returns which config lies beside a checkpoint, where trainings put it, or an empty text."""
    configs = sorted(Path(path).parent.glob('*.py'))
    return f'; was it trained with {configs[0]}?' if len(configs) == 1 else ''


def _by_module(keys: Sequence[str]) -> str:
    """Returns the number of keys of each module, or an empty text for three keys or fewer."""
    if len(keys) <= 3:
        return ''
    counts = Counter('.'.join(str(key).split('.')[:2]) for key in keys)
    shown = ', '.join(f'{name} {count}' for name, count in counts.most_common(4))
    return f'; {shown}{", ..." if len(counts) > 4 else ""}'


def check_weights_finite(weights: Mapping[str, torch.Tensor], path: str) -> None:
    """Checks that no weight is NaN or infinite.

    Raises:
        InputError: a weight is; the message names the first one.
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
