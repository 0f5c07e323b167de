"""Compares a graph of ONNX with the one of torch that it was made of, output by output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from tevit_vis.deploy.sessions import Graph
from tevit_vis.utils.errors import InputError

from .options import ExportOptions

MAX_OUTPUT_DIFFERENCE = 1e-3  # relative to the largest value
ROUNDING = 1e-6  # relative change of values that graphs have, too
MORE_THAN_ROUNDING = 1e-5  # as it adds up from layer to layer


def check_graph(
    graph: nn.Module, path: Path, inputs: Sequence[torch.Tensor], options: ExportOptions
) -> float:
    """Runs a graph in torch and in onnxruntime.

    Args:
        graph: in torch.
        path: of the exported one.
        inputs: of both.
        options: of the export; smaller forms need not be the same.

    Returns:
        The largest difference of an output, relative to its largest value where that is above 1.
        Where the two chose other queries, or another order, those of both are compared; without
        any it is infinite, and what the queries are worth is for a comparison of videos to say.

    Raises:
        InputError: they differ by more than rounding, and the model itself does not where its
            inputs change by somewhat more than that. (Inputs are noise here, for which a cascade
            of boxes may end anywhere; what is worth finding, a video shows.)
    """
    found = Graph(path, 'cpu', None)([tensor.numpy() for tensor in inputs])
    names = list(found)
    expected = dict(zip(names, graph(*inputs)))
    other = {name: torch.from_numpy(found[name]) for name in names}
    for name in names:
        if not other[name].isfinite().all() or expected[name].shape != other[name].shape:
            raise InputError(
                f'export: {path.name} gives {name} that are not finite, or of another shape: '
                'nothing was written'
            )
    largest = largest_difference(expected, other)
    if options.form == 'fp32' and MAX_OUTPUT_DIFFERENCE < largest < math.inf:
        moved = [rounded(tensor, MORE_THAN_ROUNDING) for tensor in inputs]
        own = largest_difference(expected, dict(zip(names, graph(*moved))))
        if own <= MAX_OUTPUT_DIFFERENCE:
            raise InputError(
                f'export: {path.name} differs from the model by {largest:.1e}, more than by '
                'rounding, so nothing was written'
            )
    return largest


def rounded(values: torch.Tensor, amount: float = ROUNDING) -> torch.Tensor:
    """Changes values by as much as rounding does, always in the same way.

    Args:
        values: of any shape.
        amount: standard deviation of the relative change.

    Example:
        >>> bool((rounded(torch.ones(9)) - 1).abs().max() < 1e-5)
        True
    """
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
    return values * (1 + amount * noise)


def largest_difference(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> float:
    """Returns the largest difference of outputs, relative to their largest value if above 1.

    Args:
        expected: outputs by name; with ``queries`` [N], rows of the others are of these queries,
            and compared where both have them.
        found: the same of another run.

    Example:
        >>> first = {'queries': torch.tensor([4, 7]), 'masks': torch.tensor([1.0, 2.0])}
        >>> second = {'queries': torch.tensor([7, 5]), 'masks': torch.tensor([3.0, 9.0])}
        >>> largest_difference(first, second)  # query 7: 2 and 3, relative to 2
        0.5
    """
    if 'queries' in expected:
        same = expected['queries'][:, None] == found['queries'][None]
        if same.numel() and not same.any():
            return math.inf
        rows, other_rows = torch.nonzero(same, as_tuple=True)
        expected = {name: output[rows] for name, output in expected.items()}
        found = {name: output[other_rows] for name, output in found.items()}
    differences = [0.0]
    for name, output in expected.items():
        if output.numel():
            scale = output.abs().max().clamp(min=1)
            differences.append(float((output - found[name]).abs().max() / scale))
    return max(differences)
