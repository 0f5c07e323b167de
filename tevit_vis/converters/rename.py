"""Renames the weights of a checkpoint by a table, and reports what became of every key."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from tevit_vis.utils.errors import InputError

from .key_table import (
    DDP_PREFIX,
    KeyTable,
    Rule,
    fill_numbers,
)

# Patterns of keys that only one kind of checkpoint has, and the name of that kind.
SIGNATURES = {
    r'detr\.transformer\.decoder\.layers\.0\.time_attention_weights\.weight': (
        "SeqFormer's official checkpoint"
    ),
    r'bbox_head\.decoder\.layers\.0\.time_weights\.weight': 'a SeqFormer of tevit_vis',
    r'sem_seg_head\.predictor\..*': "Mask2Former's or MinVIS's official checkpoint",
    r'panoptic_head\..*': 'a Mask2Former of mmdet or tevit_vis',
    r'(.*\.)?memory_bus': "IFC's official checkpoint",
    r'roi_head\.bbox_head\.0\.attention_temporal\..*|.*\.stqi.*': 'a TeViT',
    r'roi_head\.bbox_head\.0\.instance_interactive_conv\..*': 'a QueryInst or TeViT',
    r'(module\.)?backbone\.bottom_up\..*': 'a model of detectron2',
    r'layer1\.0\.conv1\.weight|patch_embed\.proj\.weight': 'a backbone alone',
}


@dataclass(frozen=True)
class ConversionResult:
    """Renamed weights and what became of each key.

    Args:
        weights: the weights by their new names.
        renamed: old and new name of each renamed key.
        dropped: old name of each dropped key, and the reason.
        made: name of each new key, and how it was made.
        missing: keys that the checkpoint lacks, judging from its other keys.
    """

    weights: dict[str, torch.Tensor]
    renamed: list[tuple[str, str]]
    dropped: list[tuple[str, str]]
    made: list[tuple[str, str]]
    missing: list[str]

    def __str__(self) -> str:
        lines = [f'renamed {old} -> {new}' for old, new in self.renamed]
        lines += [f'dropped {old}: {reason}' for old, reason in self.dropped]
        lines += [f'made {new}: {how}' for new, how in self.made]
        lines += [f'missing {name}' for name in self.missing]
        lines.append(
            f'{len(self.renamed)} renamed, {len(self.dropped)} dropped, {len(self.made)} made, '
            f'{len(self.missing)} missing'
        )
        return '\n'.join(lines)


def convert_checkpoint(
    weights: Mapping[str, torch.Tensor], table: KeyTable, path: str, reverse: bool = False
) -> ConversionResult:
    """Renames weights of the official layout to ours, or with ``reverse`` ours to the official.

    Args:
        weights: the weights of the checkpoint.
        table: key table of the system.
        path: path of the checkpoint, for messages.
        reverse: whether the weights are in our layout.

    Raises:
        InputError: no rule applies to a key, or the weights are of another system.

    Example:
        >>> table = KeyTable('tiny', 'model', [Rule('detr.input_proj.', 'neck.levels.0.')])
        >>> official = {f'detr.input_proj.{part}': torch.zeros(8) for part in ('weight', 'bias')}
        >>> list(convert_checkpoint(official, table, 'official.pth').weights)
        ['neck.levels.0.weight', 'neck.levels.0.bias']
    """
    if weights and all(key.startswith(DDP_PREFIX) for key in weights):
        weights = {key[len(DDP_PREFIX) :]: value for key, value in weights.items()}
    rules = table.rules_for(list(weights), reverse)
    converted: dict[str, torch.Tensor] = {}
    renamed, dropped, unknown = [], [], []
    for key, value in weights.items():
        reason = _why_dropped(key, table, reverse)
        rule = next((rule for rule in rules if rule.match(key, reverse)), None)
        if reason is not None:
            dropped.append((key, reason))
        elif rule is not None:
            name, change = str(rule.renamed(key, reverse)), rule.change(reverse)
            converted[name] = change(value) if change else value
            renamed.append((key, name))
        else:
            unknown.append(key)
    if not renamed or len(unknown) > len(renamed):
        raise InputError(
            f'{path}: weights must be of {"our" if reverse else "the official"} {table.system}, '
            f'but it looks like {guess_origin(weights)}; {len(unknown)} keys have no name there '
            f'(first: {next(iter(unknown), None)})'
        )
    if unknown:
        raise InputError(
            f'{path}: {len(unknown)} keys are not of {table.system} (first: '
            f'{", ".join(unknown[:3])})'
        )
    missing = missing_keys(rules, weights, reverse)
    if not reverse:
        missing += _missing_copies(weights, table, path)
    new = _made_keys(converted, table, reverse)
    converted.update({name: value for name, value, _ in new})
    made = [(name, how) for name, _, how in new]
    return ConversionResult(converted, renamed, dropped, made, missing)


def missing_keys(rules: Sequence[Rule], keys: Collection[str], reverse: bool) -> list[str]:
    """Returns the keys that a checkpoint lacks, judging from the keys that it has.

    Every layer up to the last one that has a key must have all of its parts.
    """
    layers_of_rule = {
        rule: [[int(n) for n in match[0]] for key in keys if (match := rule.match(key, reverse))]
        for rule in rules
    }
    last: dict[object, int] = {}  # the highest first number of each family
    for rule, layers in layers_of_rule.items():
        family = rule.family or rule
        last[family] = max([last.get(family, 0), *(layer[0] for layer in layers if layer)])
    expected = []
    for rule, layers in layers_of_rule.items():
        name = rule.names(reverse)[0]
        all_numbers: list[list[int]] = [[]]
        if '*' in name:
            all_numbers = [[first] for first in range(last[rule.family or rule] + 1)]
        if name.count('*') == 2:
            all_numbers = [
                [first, second]
                for (first,) in all_numbers
                for second in range(max([x[1] for x in layers if x[0] == first], default=0) + 1)
            ]
        expected += [
            fill_numbers(name, numbers) + part for numbers in all_numbers for part in rule.parts
        ]
    return [key for key in expected if key not in keys]


def guess_origin(weights: Mapping[str, torch.Tensor]) -> str:
    """Returns what kind of checkpoint the weights seem to be of, in words.

    Example:
        >>> guess_origin({'layer1.0.conv1.weight': torch.zeros(1)})
        'a backbone alone'
    """
    for signature, kind in SIGNATURES.items():
        if any(re.fullmatch(signature, str(key)) for key in weights):
            return kind
    return f'none we know (its first key: {next(iter(weights), None)})'


def _why_dropped(key: str, table: KeyTable, reverse: bool) -> str | None:
    """Returns why a key is dropped, or None if it is not."""
    if reverse:
        reasons = [reason for end, reason in table.counters.items() if key.endswith(end)]
    else:
        reasons = [extra.reason for extra in table.extras if extra.source_of(key)]
    return reasons[0] if reasons else None


def _missing_copies(weights: Mapping[str, torch.Tensor], table: KeyTable, path: str) -> list[str]:
    """Returns the official keys that must be there with the values of another key, but are not.

    Raises:
        InputError: the values of the two keys differ.
    """
    missing = []
    for key in weights:
        for extra in table.extras:
            copy = extra.extra_of(key) if extra.must_equal else None
            if copy is None:
                continue
            if copy not in weights:
                missing.append(copy)
            elif not torch.equal(weights[copy], weights[key]):
                raise InputError(f'{path}: {copy} must equal {key}, but does not')
    return missing


def _made_keys(
    weights: Mapping[str, torch.Tensor], table: KeyTable, reverse: bool
) -> list[tuple[str, torch.Tensor, str]]:
    """Returns the keys that only the new layout has: name, value and how it was made."""
    if reverse:
        return [
            (name, extra.made(value), extra.reason)
            for extra in table.extras
            for key, value in weights.items()
            if (name := extra.extra_of(key)) is not None
        ]
    norms = [key[: -len('.running_var')] for key in weights if key.endswith('.running_var')]
    return [
        (norm + end, torch.tensor(0), how) for norm in norms for end, how in table.counters.items()
    ]
