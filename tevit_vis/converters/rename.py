"""Renaming the weights of a checkpoint by a table, with an account of every key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from tevit_vis.utils.errors import InputError

Change = Callable[[torch.Tensor], torch.Tensor]

# A key that only checkpoints of this kind have, and what to call them.
SIGNATURES = {
    r'detr\.transformer\.decoder\.layers\.0\.time_attention_weights\.weight': (
        "SeqFormer's official checkpoint"
    ),
    r'bbox_head\.decoder\.layers\.0\.time_weights\.weight': 'a SeqFormer of tevit_vis',
    r'(.*\.)?memory_bus': "IFC's official checkpoint",
    r'roi_head\.bbox_head\.0\.attention_temporal\..*|.*\.stqi.*': 'a TeViT',
    r'roi_head\.bbox_head\.0\.instance_interactive_conv\..*': 'a QueryInst or TeViT',
    r'(module\.)?backbone\.bottom_up\..*': 'a model of detectron2',
    r'layer1\.0\.conv1\.weight|patch_embed\.proj\.weight': 'a backbone alone',
}


@dataclass(frozen=True)
class Rule:
    """One line of a table: official keys and ours.

    ``*`` stands for a number, equal on both sides; a name that ends in ``.`` for all that begin
    with it.

    Args:
        official, ours: the names.
        to_ours, to_official: change of the values, where they are laid out otherwise.
    """

    official: str
    ours: str
    to_ours: Change | None = None
    to_official: Change | None = None

    def renamed(self, key: str, reverse: bool) -> str | None:
        """The key's new name, or None where the rule is not about it."""
        source, target = (self.ours, self.official) if reverse else (self.official, self.ours)
        match = pattern(source).fullmatch(key)
        if match is None:
            return None
        parts = iter(match.groups())
        name = re.sub(r'\*', lambda _: next(parts), target)
        return name + next(parts) if target.endswith('.') else name

    def change(self, reverse: bool) -> Change | None:
        """What happens to the values."""
        return self.to_official if reverse else self.to_ours


@dataclass(frozen=True)
class Extra:
    """Official keys without a counterpart of ours.

    Args:
        official: as in ``Rule``.
        reason: why ours has none.
        made_from: for the way back: an official key of another rule, whose value this one takes
            after ``made``; None leaves the key out.
        made: of that value.
        must_equal: whether the value has to be that of ``made_from``.
    """

    official: str
    reason: str
    made_from: str | None = None
    made: Change = torch.clone
    must_equal: bool = False


@dataclass(frozen=True)
class KeyTable:
    """The layout of an official checkpoint beside ours.

    Args:
        system: name.
        checkpoint_key: under which the official file holds its weights.
        rules: of the keys, the first that fits counts; those of one of ``variants`` besides.
        extras: official keys that ours has not.
        counters: ends of our keys that the official layout lacks: counters, made as zeros.
        variants: rules of the backbones; the one with most keys counts.
    """

    system: str
    checkpoint_key: str
    rules: Sequence[Rule]
    extras: Sequence[Extra] = ()
    counters: Mapping[str, str] = field(default_factory=dict)
    variants: Sequence[Sequence[Rule]] = ()

    def rules_for(self, keys: Sequence[str], reverse: bool) -> list[Rule]:
        """The common rules and those of the backbone that has most of the keys."""

        def fitting(rules: Sequence[Rule]) -> int:
            return sum(any(rule.renamed(key, reverse) for rule in rules) for key in keys)

        best: Sequence[Rule] = max(self.variants, key=fitting, default=())
        return [*best, *self.rules]


@dataclass(frozen=True)
class Converted:
    """Renamed weights and what became of each key.

    Args:
        weights: by their new names.
        renamed: old and new name.
        dropped: old name and why.
        made: new name and how.
        missing: names of the source's layout that the table expects and the file lacks.
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
) -> Converted:
    """Rename weights of the official layout to ours, or with ``reverse`` ours to the official.

    Raises:
        InputError: a key that no rule knows, or weights of another system.
    """
    rules = table.rules_for(list(weights), reverse)
    found: dict[str, torch.Tensor] = {}
    renamed, dropped, unknown, used = [], [], [], set()
    for key, value in weights.items():
        reason = _why_dropped(key, weights, table, path, reverse)
        if reason is not None:
            dropped.append((key, reason))
            continue
        for rule in rules:
            name = rule.renamed(key, reverse)
            if name is not None:
                change = rule.change(reverse)
                found[name] = change(value) if change else value
                renamed.append((key, name))
                used.add(rule)
                break
        else:
            unknown.append(key)
    if not renamed or len(unknown) > len(renamed):
        raise InputError(
            f'{path}: weights must be of {"our" if reverse else "the official"} {table.system}, '
            f'but it looks like {looks_like(weights)}'
        )
    if unknown:
        raise InputError(
            f'{path}: {len(unknown)} keys are not of {table.system} (first: '
            f'{", ".join(unknown[:3])})'
        )
    made = _made_keys(found, table, reverse)
    found.update({name: value for name, value, _ in made})
    missing = [rule.ours if reverse else rule.official for rule in rules if rule not in used]
    return Converted(found, renamed, dropped, [(name, how) for name, _, how in made], missing)


def pattern(name: str) -> re.Pattern:
    """The regular expression of a name in a table."""
    numbers = re.escape(name).replace(r'\*', r'(\d+)')
    return re.compile(numbers + ('(.*)' if name.endswith('.') else ''))


def looks_like(weights: Mapping[str, torch.Tensor]) -> str:
    """What a checkpoint seems to be, by keys that only one system has."""
    for signature, what in SIGNATURES.items():
        if any(re.fullmatch(signature, str(key)) for key in weights):
            return what
    return f'none we know (its first key: {next(iter(weights), None)})'


def _why_dropped(
    key: str, weights: Mapping[str, torch.Tensor], table: KeyTable, path: str, reverse: bool
) -> str | None:
    """Why a key has no counterpart, or None where it has one."""
    if reverse:
        reasons = [how for end, how in table.counters.items() if key.endswith(end)]
        return reasons[0] if reasons else None
    for extra in table.extras:
        match = pattern(extra.official).fullmatch(key)
        if match is None:
            continue
        if extra.must_equal and extra.made_from is not None:
            twin = _filled(extra.made_from, match.groups())
            if twin not in weights or not torch.equal(weights[twin], weights[key]):
                raise InputError(f'{path}: {key} must equal {twin}, but does not')
        return extra.reason
    return None


def _made_keys(
    weights: Mapping[str, torch.Tensor], table: KeyTable, reverse: bool
) -> list[tuple[str, torch.Tensor, str]]:
    """Keys that the source lacks and the target wants: name, value and how it was made."""
    made = []
    if not reverse:
        for key in weights:
            for end, how in table.counters.items():
                if key.endswith('.running_var'):
                    name = key[: -len('.running_var')] + end
                    made.append((name, torch.tensor(0), how))
        return made
    for extra in table.extras:
        if extra.made_from is None:
            continue
        for key, value in weights.items():
            match = pattern(extra.made_from).fullmatch(key)
            if match is not None:
                name = _filled(extra.official, match.groups())
                made.append((name, extra.made(value), extra.reason))
    return made


def _filled(name: str, parts: Sequence[str]) -> str:
    rest = iter(parts)
    filled = re.sub(r'\*', lambda _: next(rest), name)
    return filled + next(rest) if name.endswith('.') else filled
