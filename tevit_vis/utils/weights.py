"""Weights of a checkpoint, fitted into a model: whole or not at all, with what differs named."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tevit_vis.utils.checkpoints import weights_of
from tevit_vis.utils.errors import InputError

LOGGER = logging.getLogger('tevit_vis')
# Where frameworks keep the weights of a checkpoint; the first one that is there counts.
CONTAINERS = ('state_dict', 'model', 'state_dict_ema', 'model_state_dict', 'ema', 'ema_state_dict')
# What wrappers put before the names of a model's weights.
WRAPPERS = ('module.', 'model.', 'detector.', 'net.', 'ema_model.', 'teacher.')
CLASS_LAYER = re.compile(r'fc_cls|conv_logits|class_branch')
# Systems by names that only they have.
SIGNATURES = {
    'an official SeqFormer checkpoint: tools/convert_checkpoint.py seqformer': re.compile(
        r'^detr\.(controller|mask_head|class_embed\.0\.)'
    ),
    'an official IFC checkpoint: tools/convert_checkpoint.py ifc': re.compile(
        r'^detr\.(transformer\.encoder\.memory_bus|mask_head|class_embed\.layers)|memory_bus'
    ),
    'a TeViT or QueryInst checkpoint (configs/tevit)': re.compile(r'^roi_head\.bbox_head\.0\.'),
    'an MS-STS checkpoint (configs/ms_sts)': re.compile(r'\.mixer\.'),
    'a SeqFormer checkpoint (configs/seqformer)': re.compile(r'^bbox_head\.controller\.'),
    'an IFC checkpoint (configs/ifc)': re.compile(r'^bbox_head\.encoder\.bus_layers\.'),
    'a Mask2Former checkpoint, which no config here takes': re.compile(
        r'^(panoptic_head|sem_seg_head)\.'
    ),
    'a detectron2 checkpoint: tools/convert_checkpoint.py reads those of SeqFormer and IFC': (
        re.compile(r'^(backbone\.bottom_up|proposal_generator|roi_heads)\.')
    ),
    'weights of a backbone alone: name them with model.backbone.init_cfg or load_from': re.compile(
        r'^(conv1\.weight|patch_embed|layer1\.|stem\.)'
    ),
}


def find_weights(checkpoint: Mapping, path: str, model_keys: Iterable[str]) -> Mapping:
    """Returns the weights of a checkpoint under the names of a model, as far as they are the same.

    Containers of other frameworks are opened, prefixes of wrappers taken off; that is logged.

    Args:
        checkpoint: of ``read_checkpoint``.
        path: names the file.
        model_keys: names of the model's weights.

    Raises:
        InputError: there are no weights.
    """
    wanted = set(model_keys)
    containers = [key for key in CONTAINERS if isinstance(checkpoint.get(key), Mapping)]
    weights = weights_of(checkpoint, path, containers[0] if containers else 'state_dict')
    notes = []
    if containers and containers[0] != 'state_dict':
        notes.append(f'the weights are those of {containers[0]!r}')
    others = [key for key in containers[1:] if 'ema' in key]
    if others:
        notes.append(
            f'averaged weights are there as well ({", ".join(others)}), but were not taken'
        )
    renamed = {str(key).replace('_orig_mod.', ''): value for key, value in weights.items()}
    if set(renamed) != set(map(str, weights)):
        notes.append('"_orig_mod." of torch.compile was taken off')
    prefix = _wrapper_prefix(renamed, wanted)
    if prefix:
        renamed = {key[len(prefix) :]: value for key, value in renamed.items()}
        notes.append(f'the prefix {prefix!r} was taken off')
    copies = [key for key in renamed if key.startswith('ema_') and key not in wanted]
    if copies and len(copies) < len(renamed):
        renamed = {key: value for key, value in renamed.items() if key not in set(copies)}
        notes.append(
            f'{len(copies)} weights named ema_... were left out: mmcv stores the averaged ones '
            'under the plain names'
        )
    for note in notes:
        LOGGER.warning('%s: %s', path, note)
    return renamed


def _wrapper_prefix(keys: Iterable[str], wanted: set[str]) -> str:
    """What wrappers put before all names: ``module.`` of DDP, ``model.`` of Lightning, ..."""
    names, prefix = list(keys), ''
    while names and not wanted & set(names):
        first = names[0].partition('.')[0] + '.'
        if first not in WRAPPERS or not all(name.startswith(first) for name in names):
            return '' if not wanted & set(names) else prefix
        names = [name[len(first) :] for name in names]
        prefix += first
    return prefix if wanted & set(names) else ''


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


def rows_by_name(
    weights: Mapping, drawn: Mapping, before: Sequence[str], now: Sequence[str]
) -> Mapping:
    """Weights whose class layers have their rows where the classes of these names now are.

    Args:
        weights: of a checkpoint.
        drawn: of the model; rows of classes that the checkpoint does not have stay so.
        before: class names of the checkpoint.
        now: class names of the model, as many.

    Returns:
        The weights; a last row of a layer with one more, which stands for no object, stays.
    """
    moved = dict(weights)
    for key, value in weights.items():
        rows = len(value) if isinstance(value, torch.Tensor) and value.dim() else 0
        fits = key in drawn and _shape(value) == _shape(drawn[key])
        if not (CLASS_LAYER.search(key) and fits and rows in (len(now), len(now) + 1)):
            continue
        moved[key] = drawn[key].clone()
        moved[key][len(now) :] = value[len(now) :]
        for label, name in enumerate(now):
            if name in before:
                moved[key][label] = value[list(before).index(name)]
    return moved


def take_weights(
    model: nn.Module,
    checkpoint: Mapping,
    path: str,
    classes: tuple[Sequence[str], Sequence[str]] | None = None,
) -> TakenWeights:
    """Copy what fits of another model's checkpoint, such as QueryInst's into TeViT.

    Args:
        classes: names of the checkpoint's classes and of the model's, as many, where they are
            known and differ: rows of class layers are then taken by name.

    Raises:
        InputError: nothing fits.
    """
    wanted = model.state_dict()
    weights = find_weights(checkpoint, path, wanted)
    if classes is not None:
        weights = rows_by_name(weights, wanted, *classes)
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
    wanted = model.state_dict()
    weights = find_weights(checkpoint, path, wanted)
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
            f'{len(keys)} keys {kind} (first: {", ".join(map(str, keys[:3]))}{_by_module(keys)})'
            for kind, keys in faults.items()
            if keys
        ]
        raise InputError(
            f'{path}: checkpoint does not fit the model: {"; ".join(parts)}'
            f'{fit_hint(weights, faults)}'
        )
    check_finite(weights, path)
    model.load_state_dict(weights)


def _by_module(keys: Sequence[str]) -> str:
    """How many keys of each module there are, where they are many."""
    if len(keys) <= 3:
        return ''
    counts = Counter('.'.join(str(key).split('.')[:2]) for key in keys)
    shown = ', '.join(f'{name} {count}' for name, count in counts.most_common(4))
    return f'; {shown}{", ..." if len(counts) > 4 else ""}'


def fit_hint(weights: Mapping, faults: Mapping[str, Sequence[str]]) -> str:
    """What a checkpoint that does not fit seems to be, and the remedy; an empty text if unknown.

    Args:
        weights: by name.
        faults: keys by what is wrong with them, of ``load_weights``.
    """
    only_shapes = not faults['missing'] and not faults['left over']
    if only_shapes and all(CLASS_LAYER.search(key) for key in faults['of another shape']):
        return '; only its class layers differ: it has another number of classes (num_classes)'
    for what, sign in SIGNATURES.items():
        if any(sign.search(str(key)) for key in weights):
            return f'; it looks like {what}'
    return ''


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
