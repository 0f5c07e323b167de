"""Renaming the weights of a checkpoint by a table, with an account of every key."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from tevit_vis.utils.errors import InputError

Change = Callable[[torch.Tensor], torch.Tensor]

AFFINE = ('weight', 'bias')
BATCH_NORM = (*AFFINE, 'running_mean', 'running_var')
SELF_ATTENTION = ('in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias')  # torch's
WRAPPED = 'module.'  # before every key of a model that was saved as torch's DDP holds it
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

    ``*`` stands for a number, equal on both sides.

    Args:
        official, ours: the names, up to the parts.
        parts: ends of the keys, equal on both sides.
        family: rules of one family have the same first numbers, such as a decoder's layers and
            the classes of each.
        to_ours, to_official: change of the values, where they are laid out otherwise.
    """

    official: str
    ours: str
    parts: tuple[str, ...] = AFFINE
    family: str | None = None
    to_ours: Change | None = None
    to_official: Change | None = None

    def names(self, reverse: bool) -> tuple[str, str]:
        """The names on the side that is converted from, and on the other."""
        return (self.ours, self.official) if reverse else (self.official, self.ours)

    def match(self, key: str, reverse: bool) -> tuple[list[str], str] | None:
        """The numbers and the part of a key, or None where the rule is not about it."""
        found = pattern(self.names(reverse)[0]).match(key)
        if found is None or key[found.end() :] not in self.parts:
            return None
        return list(found.groups()), key[found.end() :]

    def renamed(self, key: str, reverse: bool) -> str | None:
        """The key's new name, or None where the rule is not about it."""
        found = self.match(key, reverse)
        return found and filled(self.names(reverse)[1], found[0]) + found[1]

    def change(self, reverse: bool) -> Change | None:
        """What happens to the values."""
        return self.to_official if reverse else self.to_ours


@dataclass(frozen=True)
class Extra:
    """Official keys without a counterpart of ours.

    Args:
        official: as in ``Rule``, but up to any end.
        reason: why ours has none.
        made_from: official keys with like numbers and ends, from whose values these are made on
            the way back.
        made: of such a value.
        must_equal: whether the two must both be there, with equal values.
    """

    official: str
    reason: str
    made_from: str
    made: Change = torch.clone
    must_equal: bool = False

    def twin(self, key: str) -> str | None:
        """The key that one of these is made from; None for other keys."""
        return _moved(key, self.official, self.made_from)

    def made_for(self, key: str) -> str | None:
        """The key that is made from this one, or None."""
        return _moved(key, self.made_from, self.official)


def _moved(key: str, source: str, target: str) -> str | None:
    found = pattern(source).match(key)
    return found and filled(target, found.groups()) + key[found.end() :]


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
        missing: keys that the source's layout has, as far as its other keys tell.
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
    if weights and all(key.startswith(WRAPPED) for key in weights):
        weights = {key[len(WRAPPED) :]: value for key, value in weights.items()}
    rules = table.rules_for(list(weights), reverse)
    found: dict[str, torch.Tensor] = {}
    renamed, dropped, unknown = [], [], []
    for key, value in weights.items():
        reason = _why_dropped(key, table, reverse)
        rule = next((rule for rule in rules if rule.match(key, reverse)), None)
        if reason is not None:
            dropped.append((key, reason))
        elif rule is not None:
            name, change = str(rule.renamed(key, reverse)), rule.change(reverse)
            found[name] = change(value) if change else value
            renamed.append((key, name))
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
    missing = missing_keys(rules, weights, reverse)
    if not reverse:
        missing += _missing_twins(weights, table, path)
    made = _made_keys(found, table, reverse)
    found.update({name: value for name, value, _ in made})
    return Converted(found, renamed, dropped, [(name, how) for name, _, how in made], missing)


def missing_keys(rules: Sequence[Rule], keys: Collection[str], reverse: bool) -> list[str]:
    """Returns the keys that ought to be there, but are not: every layer up to the last one that
    has a key must have all of its parts.
    """
    layers_of_rule = {
        rule: [[int(n) for n in match[0]] for key in keys if (match := rule.match(key, reverse))]
        for rule in rules
    }
    last: dict[object, int] = {}  # first number of each family
    for rule, layers in layers_of_rule.items():
        family = rule.family or rule
        last[family] = max([last.get(family, 0), *(layer[0] for layer in layers if layer)])
    expected = []
    for rule, layers in layers_of_rule.items():
        name = rule.names(reverse)[0]
        places: list[list[int]] = [[]]
        if '*' in name:
            places = [[first] for first in range(last[rule.family or rule] + 1)]
        if name.count('*') == 2:
            places = [
                [first, second]
                for (first,) in places
                for second in range(max([x[1] for x in layers if x[0] == first], default=0) + 1)
            ]
        expected += [filled(name, place) + part for place in places for part in rule.parts]
    return [key for key in expected if key not in keys]


def pattern(name: str) -> re.Pattern:
    """The regular expression of a name in a table."""
    return re.compile(re.escape(name).replace(r'\*', r'(\d+)'))


def filled(name: str, numbers: Sequence[object]) -> str:
    """A name in a table with numbers for its stars."""
    rest = iter(numbers)
    return re.sub(r'\*', lambda _: str(next(rest)), name)


def looks_like(weights: Mapping[str, torch.Tensor]) -> str:
    """What a checkpoint seems to be, by keys that only one system has."""
    for signature, what in SIGNATURES.items():
        if any(re.fullmatch(signature, str(key)) for key in weights):
            return what
    return f'none we know (its first key: {next(iter(weights), None)})'


def _why_dropped(key: str, table: KeyTable, reverse: bool) -> str | None:
    """Why a key has no counterpart, or None where it has one."""
    if reverse:
        reasons = [how for end, how in table.counters.items() if key.endswith(end)]
    else:
        reasons = [extra.reason for extra in table.extras if extra.twin(key)]
    return reasons[0] if reasons else None


def _missing_twins(weights: Mapping[str, torch.Tensor], table: KeyTable, path: str) -> list[str]:
    """Official keys that must stand twice, and do not.

    Raises:
        InputError: two that must be equal differ.
    """
    missing = []
    for key in weights:
        for extra in table.extras:
            twin = extra.made_for(key) if extra.must_equal else None
            if twin is None:
                continue
            if twin not in weights:
                missing.append(twin)
            elif not torch.equal(weights[twin], weights[key]):
                raise InputError(f'{path}: {twin} must equal {key}, but does not')
    return missing


def _made_keys(
    weights: Mapping[str, torch.Tensor], table: KeyTable, reverse: bool
) -> list[tuple[str, torch.Tensor, str]]:
    """Keys that the source lacks and the target wants: name, value and how it was made."""
    if reverse:
        return [
            (name, extra.made(value), extra.reason)
            for extra in table.extras
            for key, value in weights.items()
            if (name := extra.made_for(key)) is not None
        ]
    norms = [key[: -len('.running_var')] for key in weights if key.endswith('.running_var')]
    return [
        (norm + end, torch.tensor(0), how) for norm in norms for end, how in table.counters.items()
    ]
