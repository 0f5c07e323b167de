"""Smaller forms of graphs: half precision, and weights of 8 bits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tevit_vis.deploy import Preparation
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults

from .onnx_files import quiet

if TYPE_CHECKING:
    import onnx

# Beside those that onnxruntime's converter leaves: they have no half precision, or lose too much.
IN_FULL_PRECISION = ('IsInf', 'IsNaN', 'RoiAlign', 'TopK', 'Resize', 'Range', 'CumSum', 'NonZero')


def reduce_graph(path: Path, form: str) -> None:
    """Turns the graph of a file into a smaller form, in place.

    Args:
        path: of the file.
        form: with ``fp32`` it stays as it is; with ``fp16`` it computes in half precision, but
            inputs and outputs stay; with ``int8`` the weights of matrix products are 8 bits (7
            of them used, see "Numbers" in docs/deployment.md), and their inputs are quantised as
            they come.
    """
    if form == 'fp16':
        import onnx
        from onnxruntime.transformers.float16 import (
            DEFAULT_OP_BLOCK_LIST,
            convert_float_to_float16,
        )

        graph = convert_float_to_float16(
            onnx.load(str(path)),
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, *IN_FULL_PRECISION],
        )
        _save(graph, path)
    elif form == 'int8':
        from onnxruntime.quantization import QuantType, quantize_dynamic

        whole = path.with_suffix('.int8')
        with _quantizing(path):
            quantize_dynamic(
                str(path),
                str(whole),
                weight_type=QuantType.QInt8,
                reduce_range=True,
                op_types_to_quantize=['MatMul'],
                use_external_data_format=_weights_file(path).exists(),
            )
        _save_in_place(whole, path)


def calibrate_graph(path: Path, clips: Sequence[np.ndarray], prepare: Preparation) -> None:
    """Turns the graph of features of a file into one of 8 bits, in place.

    Convolutions and products with weights compute in 8 bits: weights by channel, their inputs
    between the least and the largest value that the clips lead to. All else stays as it is. Of the
    8 bits of a weight 7 are used, see "Numbers" in docs/deployment.md.

    Args:
        path: of the file.
        clips: [T, H, W, 3] (uint8, BGR) each.
        prepare: turns a frame into what the graph takes.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Clips(CalibrationDataReader):
        def __init__(self) -> None:
            self.clips = iter(clips)

        def get_next(self) -> dict[str, np.ndarray] | None:
            clip = next(self.clips, None)
            if clip is None:
                return None
            return {'frames': np.stack([prepare(image).image for image in clip])}

    graph = onnx.load(str(path), load_external_data=False).graph
    weights = {weight.name for weight in graph.initializer}
    products = [node for node in graph.node if node.op_type == 'MatMul']
    whole = path.with_suffix('.int8')
    with _quantizing(path):
        quantize_static(
            str(path),
            str(whole),
            Clips(),
            op_types_to_quantize=['Conv', 'MatMul', 'Gemm'],
            nodes_to_exclude=[node.name for node in products if node.input[1] not in weights],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
            use_external_data_format=_weights_file(path).exists(),
        )
    _save_in_place(whole, path)


@contextmanager
def _quantizing(path: Path) -> Iterator[None]:
    """Keeps what onnxruntime's tools say to themselves, and says what is wrong with the disk.

    What they write on the way lies beside the graph, in a folder that is removed if all fails.

    Args:
        path: of the graph.

    Raises:
        InputError: the disk is full; the tools write files without a look at what comes of it.
    """
    from google.protobuf.message import DecodeError

    folder, tempfile.tempdir = tempfile.tempdir, str(path.parent)
    try:
        with quiet(), writing_faults(path):
            yield
    except DecodeError as error:
        raise InputError(
            f'{path}: cannot be written: what was written on the way is not whole: is the disk '
            'full?'
        ) from error
    finally:
        tempfile.tempdir = folder


def _save_in_place(whole: Path, path: Path) -> None:
    """Puts a graph in place of the one it was made of, with its weights where those were.

    Args:
        whole: file of the graph, which is removed.
        path: of the one it was made of.
    """
    import onnx

    _save(onnx.load(str(whole)), path)
    for file in (whole, _weights_file(whole)):
        file.unlink(missing_ok=True)


def _weights_file(path: Path) -> Path:
    """Returns the file beside a graph that has its weights where they are large."""
    return path.with_name(f'{path.name}.data')


def _save(graph: onnx.ModelProto, path: Path) -> None:
    """Writes a graph in place of the one it was made of, with its weights where those were."""
    import onnx

    weights = _weights_file(path)
    is_large = weights.exists()
    weights.unlink(missing_ok=True)
    with writing_faults(path):
        onnx.save(graph, str(path), save_as_external_data=is_large, location=weights.name)
