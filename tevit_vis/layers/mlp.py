"""The multi-layer perceptron of the heads."""

from __future__ import annotations

from torch import nn


def mlp(channels: int, outputs: int, num_layers: int) -> nn.Sequential:
    """Returns ``num_layers`` linear layers with ReLU between them.

    Args:
        channels: input channels of each layer.
        outputs: output channels of the last layer.
        num_layers: number of linear layers.

    Example:
        >>> mlp(8, 4, num_layers=2)
        Sequential(
          (0): Linear(in_features=8, out_features=8, bias=True)
          (1): ReLU(inplace=True)
          (2): Linear(in_features=8, out_features=4, bias=True)
        )
    """
    layers: list[nn.Module] = []
    for _ in range(num_layers - 1):
        layers += [nn.Linear(channels, channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(channels, outputs))
