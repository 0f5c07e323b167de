"""Rules for ResNets, from detectron2's names to mmdet's."""

from __future__ import annotations

from .key_table import BATCH_NORM, Rule


def resnet_rules(prefix: str) -> list[Rule]:
    """Rules of a backbone whose keys in detectron2's layout begin with ``prefix``."""
    rules = [
        Rule(f'{prefix}stem.conv1.', 'backbone.conv1.', ('weight',)),
        Rule(f'{prefix}stem.conv1.norm.', 'backbone.bn1.', BATCH_NORM),
    ]
    for n in range(1, 5):
        stage, layer = f'{prefix}res{n + 1}.', f'backbone.layer{n}.'
        for i in (1, 2, 3):
            rules += [
                Rule(f'{stage}*.conv{i}.', f'{layer}*.conv{i}.', ('weight',), family=layer),
                Rule(f'{stage}*.conv{i}.norm.', f'{layer}*.bn{i}.', BATCH_NORM, family=layer),
            ]
        rules += [
            Rule(f'{stage}0.shortcut.', f'{layer}0.downsample.0.', ('weight',)),
            Rule(f'{stage}0.shortcut.norm.', f'{layer}0.downsample.1.', BATCH_NORM),
        ]
    return rules
