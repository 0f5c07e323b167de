"""Graphs that compute in 8 bits, with ranges that are measured on frames of videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from tevit_vis.deploy import Preparation
from tevit_vis.utils.errors import InputError
from tevit_vis.video import open_source

from .reduced import quantizing, save_in_place, weights_file

NUM_CLIPS = 16  # that are measured, at least, of all videos together if they are long enough
LEAST_STEP, LARGEST_STEP = 16, 256  # frames from the start of a clip to that of the next


def read_frames(video: str, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yields the frames [H, W, 3] (uint8, BGR) of a video, resized.

    Args:
        video: a file, or a folder of images.
        size: (W, H) of the frames.

    Raises:
        InputError: the video cannot be read, or never ends.
    """
    source = open_source(video)
    if source.is_live:
        raise InputError(f'--calibrate: must be files or folders of images, but {video} is live')
    for image in source:
        yield cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def first_frames(video: str, num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Returns the first frames [T, H, W, 3] of a video, resized; the last one goes on if needed.

    Args:
        video: see ``read_frames``.
        num_frames: T.
        size: (W, H) of the frames.
    """
    frames = list(islice(read_frames(video, size), num_frames))
    return np.stack([*frames, *frames[-1:] * (num_frames - len(frames))])


def read_clips(videos: Sequence[str], num_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Returns clips [T, H, W, 3] (uint8, BGR) of videos, spread over the first minutes of each.

    Args:
        videos: see ``read_frames``.
        num_frames: T; a video that ends before goes on with its last frame.
        size: (W, H) of the frames.
    """
    clips = []
    num_clips = -(-NUM_CLIPS // max(1, len(videos)))
    for video in videos:
        step = (open_source(video).num_frames or 0) // num_clips
        step = max(num_frames, LEAST_STEP, min(step, LARGEST_STEP))
        frames = enumerate(islice(read_frames(video, size), step * (num_clips - 1) + num_frames))
        kept = [image for t, image in frames if t % step < num_frames]
        for start in range(0, len(kept), num_frames):
            part = kept[start : start + num_frames]
            clips.append(np.stack([*part, *part[-1:] * (num_frames - len(part))]))
    return clips


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
    with quantizing(path):
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
            use_external_data_format=weights_file(path).exists(),
        )
    save_in_place(whole, path)
