"""Smaller forms of graphs: half precision, and weights of 8 bits."""

from __future__ import annotations

from pathlib import Path

FORMS = ('fp32', 'fp16', 'int8')
# Beside those that onnxruntime's converter leaves: they have no half precision, or lose too much.
IN_FULL_PRECISION = ('IsInf', 'IsNaN', 'RoiAlign', 'TopK', 'Resize', 'Range', 'CumSum', 'NonZero')


def reduce_graph(path: Path, form: str) -> None:
    """Turns the graph of a file into a smaller form, in place.

    Args:
        path: of the file.
        form: ``fp32`` leaves it as it is; with ``fp16`` it computes in half precision, inputs and
            outputs stay; with ``int8`` the weights of matrix products are 8 bits and their inputs
            are quantised as they come.
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
        onnx.save(graph, str(path))
    elif form == 'int8':
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            str(path), str(path), weight_type=QuantType.QInt8, op_types_to_quantize=['MatMul']
        )
