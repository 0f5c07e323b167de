"""A small network on each query."""

from __future__ import annotations

from torch import nn


def mlp(channels: int, outputs: int, num_layers: int) -> nn.Sequential:
    """``num_layers`` linear layers of ``channels``, the last with ``outputs``, ReLU between."""
    layers: list[nn.Module] = []
    for _ in range(num_layers - 1):
        layers += [nn.Linear(channels, channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(channels, outputs))
