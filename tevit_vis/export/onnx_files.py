"""Writes graphs as files of ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults

from .graphs import FeatureGraph

OPSET = 18
LARGEST_FILE = 1 << 30  # bytes; weights of larger models go to a file of their own
IR_VERSION = 8  # of the file; onnxruntime 1.17 reads up to 9
SLOW_RULE = 'SlicesSplit'


def export_graph(
    graph: nn.Module,
    example: Sequence[torch.Tensor],
    path: Path,
    names: tuple[Sequence[str], Sequence[str]],
    any_number: bool,
) -> None:
    """Writes a graph.

    Args:
        graph: one of ``graphs.py``.
        example: its inputs.
        path: of the file; large weights go to a file beside it.
        names: of inputs and of outputs.
        any_number: whether the first axis of all inputs, the number of frames, may be any.

    Raises:
        InputError: torch cannot make a graph of the model, or the file cannot be written.
    """
    free = tuple({0: torch.export.Dim.DYNAMIC} if any_number else None for _ in example)
    # The arguments of a graph that takes any number of levels are one tuple.
    shapes = free if isinstance(graph, FeatureGraph) else (free,)
    graph.eval()
    with quiet(), without_slow_rules(), torch.no_grad():
        try:
            program: Any = torch.onnx.export(
                graph,
                tuple(example),
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                dynamic_shapes=shapes if any_number else None,
                input_names=list(names[0]),
                output_names=list(names[1]),
            )
        except Exception as error:
            raise InputError(
                f'{path.name}: torch cannot make a graph of this model: '
                f'{" ".join(str(error.__cause__ or error).split())[:300]}'
            ) from error
    program.model.ir_version = IR_VERSION
    with writing_faults(path):
        program.save(str(path), external_data=_num_bytes(graph) > LARGEST_FILE)


def _num_bytes(graph: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in graph.parameters())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what exporters say about their own work from the user's console."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(disabled)


@contextlib.contextmanager
def without_slow_rules() -> Iterator[None]:
    """Keeps a rule of onnxscript, which merges slices to splits, from graphs for a while.

    It looks through the whole graph at each node: two thirds of the time to export a large graph.
    """
    from onnxscript import rewriter

    rules = getattr(rewriter, '_DEFAULT_REWRITE_RULES', ())  # private: others may not have it
    if rules:
        rewriter._DEFAULT_REWRITE_RULES = tuple(rule for rule in rules if rule.name != SLOW_RULE)
    try:
        yield
    finally:
        if rules:
            rewriter._DEFAULT_REWRITE_RULES = rules
