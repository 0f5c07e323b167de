"""Questions about normalisation layers."""

from __future__ import annotations

from torch import nn


def has_synchronised_norm(module: nn.Module) -> bool:
    """Whether the module has a batch norm in which the processes wait for each other.

    Example:
        >>> has_synchronised_norm(nn.SyncBatchNorm(8)), has_synchronised_norm(nn.BatchNorm2d(8))
        (True, False)
    """
    return any(isinstance(part, nn.SyncBatchNorm) for part in module.modules())
