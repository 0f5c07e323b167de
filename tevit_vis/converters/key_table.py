"""The rules of one official layout: which key is called what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

Change = Callable[[torch.Tensor], torch.Tensor]
AFFINE = ('weight', 'bias')


BATCH_NORM = (*AFFINE, 'running_mean', 'running_var')


SELF_ATTENTION = ('in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias')  # of torch


DEFORMABLE_ATTENTION = tuple(  # of Deformable DETR
    f'{linear}.{part}'
    for linear in ('sampling_offsets', 'attention_weights', 'value_proj', 'output_proj')
    for part in AFFINE
)


DDP_PREFIX = 'module.'  # begins every key of a model that was saved with torch's DDP around it


@dataclass(frozen=True)
class Rule:
    """One line of a table: how official keys are called in our layout.

    ``*`` stands for a number, equal on both sides.

    Args:
        official, ours: the beginnings of the keys.
        parts: the ends of the keys, equal on both sides.
        family: rules of one family have the same numbers for their first ``*``, such as the
            layers of a decoder and their class branches.
        to_ours, to_official: functions that convert the values, if the layouts order them
            differently.

    Example:
        >>> rule = Rule('decoder.layers.*.norm1.', 'decoder.layers.*.norms.0.')
        >>> rule.renamed('decoder.layers.3.norm1.bias', reverse=False)
        'decoder.layers.3.norms.0.bias'
    """

    official: str
    ours: str
    parts: tuple[str, ...] = AFFINE
    family: str | None = None
    to_ours: Change | None = None
    to_official: Change | None = None

    def names(self, reverse: bool) -> tuple[str, str]:
        """Returns the beginnings of the keys to convert from, and of the new keys."""
        return (self.ours, self.official) if reverse else (self.official, self.ours)

    def match(self, key: str, reverse: bool) -> tuple[list[str], str] | None:
        """Returns the numbers and the part of a key, or None if the rule does not apply."""
        beginning = pattern(self.names(reverse)[0]).match(key)
        if beginning is None or key[beginning.end() :] not in self.parts:
            return None
        return list(beginning.groups()), key[beginning.end() :]

    def renamed(self, key: str, reverse: bool) -> str | None:
        """Returns the key's new name, or None if the rule does not apply."""
        matched = self.match(key, reverse)
        if matched is None:
            return None
        numbers, part = matched
        return fill_numbers(self.names(reverse)[1], numbers) + part

    def change(self, reverse: bool) -> Change | None:
        """Returns the function that converts the values, or None if they stay as they are."""
        return self.to_official if reverse else self.to_ours


@dataclass(frozen=True)
class OfficialOnlyKeys:
    """Official keys that our layout lacks: they are dropped, and made again on the way back.

    Args:
        official: beginning of the keys as in ``Rule``, but with any end.
        reason: why our layout lacks them.
        made_from: beginning of the official keys, with the same numbers and ends, whose values
            these are made from.
        made: the function that makes a value.
        must_equal: whether both keys must be in an official checkpoint, with equal values.
    """

    official: str
    reason: str
    made_from: str
    made: Change = torch.clone
    must_equal: bool = False

    def source_of(self, key: str) -> str | None:
        """Returns the key that ``key`` is made from; None if ``key`` is no extra key."""
        return _with_beginning(key, self.official, self.made_from)

    def extra_of(self, key: str) -> str | None:
        """Returns the extra key that is made from ``key``, or None."""
        return _with_beginning(key, self.made_from, self.official)


def _with_beginning(key: str, old: str, new: str) -> str | None:
    """Returns the key with another beginning; None if it does not begin with the old one."""
    beginning = pattern(old).match(key)
    return beginning and fill_numbers(new, beginning.groups()) + key[beginning.end() :]


@dataclass(frozen=True)
class KeyTable:
    """How the keys of an official checkpoint are called in our layout.

    Args:
        system: name of the system.
        checkpoint_key: the key under which the official file holds its weights.
        rules: rules for the keys; the first one that applies is used.
        extras: official keys that our layout lacks.
        counters: {end of a key: reason} of counters that the official layout lacks; they are
            made as zeros.
        variants: rules of each backbone. Those of the backbone that fits most keys come first.
        license_note: what users of such weights must know, in a sentence.
    """

    system: str
    checkpoint_key: str
    rules: Sequence[Rule]
    extras: Sequence[OfficialOnlyKeys] = ()
    counters: Mapping[str, str] = field(default_factory=dict)
    variants: Sequence[Sequence[Rule]] = ()
    license_note: str = ''

    def rules_for(self, keys: Sequence[str], reverse: bool) -> list[Rule]:
        """Returns the rules of the backbone that fits most keys, and the common rules."""

        def num_fitting(rules: Sequence[Rule]) -> int:
            return sum(any(rule.renamed(key, reverse) for rule in rules) for key in keys)

        best: Sequence[Rule] = max(self.variants, key=num_fitting, default=())
        return [*best, *self.rules]


def rules_within(
    layer: tuple[str, str], names: Mapping[str, str], parts: tuple[str, ...] = AFFINE
) -> list[Rule]:
    """Returns the rules of a layer's parts.

    Args:
        layer: official and our name of the layer.
        names: official and our names of its parts, without the layer's.
        parts: the ends of the keys, equal on both sides.

    Example:
        >>> rules_within(('layers.*.', 'blocks.*.'), {'norm1.': 'norms.0.'})[0].ours
        'blocks.*.norms.0.'
    """
    return [
        Rule(layer[0] + official, layer[1] + ours, parts, family=layer[1])
        for official, ours in names.items()
    ]


def no_object_weights(bias: torch.Tensor) -> torch.Tensor:
    """Returns the loss weights of the classes: 1 for each class, 0.1 for no object.

    Args:
        bias: [K + 1] of the class layer.

    Example:
        >>> no_object_weights(torch.zeros(3)).tolist()
        [1.0, 1.0, 0.10000000149011612]
    """
    weights = torch.ones_like(bias)
    weights[-1] = 0.1
    return weights


def pattern(name: str) -> re.Pattern:
    """Returns the regular expression of a name in a table, with a group for each ``*``."""
    return re.compile(re.escape(name).replace(r'\*', r'(\d+)'))


def fill_numbers(name: str, numbers: Sequence[object]) -> str:
    """Returns a name in a table with numbers in place of each ``*``.

    Example:
        >>> fill_numbers('stages.*.blocks.*.', [2, 5])
        'stages.2.blocks.5.'
    """
    next_number = iter(numbers)
    return re.sub(r'\*', lambda _: str(next(next_number)), name)
