"""How fast is a system on a device, and how much memory does it take: see tools/gpu_check.py.

Weights are drawn and frames are noise.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tevit_vis.datasets import Frame
from tevit_vis.layers.cuda_ops import has_cuda_ops
from tevit_vis.masks import encode_clip
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import ClipPrediction, VideoInstances
from tevit_vis.utils.devices import (
    device_fault,
    peak_memory,
    precision,
    reset_peak,
    time_on,
)
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.visualization.video import draw_video

from .drawn import SMALL, SMALL_SIZE, drawn_batch, drawn_model, noise, tf32, trained_model
from .inference import inference_video, prepared_frames

SIZE = (360, 640)  # (H, W) of the frames whose speed is measured


MODES = {  # name: (amp, TF32, compile)
    'fp32': (None, False, False),
    'TF32': (None, True, False),
    'bf16': ('bf16', True, False),
    'fp16': ('fp16', True, False),
    'bf16 compile': ('bf16', True, True),
}


def measure_speed(
    system: str,
    name: str,
    device: torch.device,
    mode: str,
    num_frames: int,
    repeats: int = 3,
) -> dict[str, Any]:
    """Measure a model on videos of some length, from the file to the drawn file.

    Args:
        system: for the table.
        name: of the config.
        device: that runs it.
        mode: a key of ``MODES``.
        num_frames: T of the video, which is one clip.
        repeats: the median counts.

    Returns:
        ``fps`` end to end, ``model_fps`` of the model alone, the parts of decoding and preparing,
        RLE and drawing in the sum of all parts, ``peak_mb`` of the device; or ``fault``, why there
        are none.
    """
    amp, with_tf32, compiled = MODES[mode]
    row: dict[str, Any] = dict(system=system, mode=mode, frames=num_frames)
    with noted_fault(row), tempfile.TemporaryDirectory() as folder, tf32(with_tf32):
        model = drawn_model(name, device, amp=amp, compile=compiled)
        video = str(Path(folder) / 'in.mp4')
        with VideoWriter(video, 10) as writer:
            for image in noise(num_frames, SIZE):
                writer.write(image)
        row.update(_timed_parts(model, video, str(Path(folder) / 'out.mp4'), repeats))
    return row


@contextmanager
def noted_fault(row: dict[str, Any]) -> Iterator[None]:
    """Let a row of a table tell as its ``fault`` why it has no numbers: other rows have theirs."""
    try:
        yield
    except (InputError, RuntimeError) as error:
        fault = str(error) if isinstance(error, InputError) else device_fault(error)
        if fault is None:
            raise
        row['fault'] = fault


@torch.inference_mode()
def _timed_parts(model: ClipDetector, video: str, out: str, repeats: int) -> dict[str, Any]:
    device = next(model.parameters()).device
    source = open_source(video)
    seconds: dict[str, list[float]] = {}

    def timed(part: str, function: Callable, *args: Any) -> Any:
        result, spent = time_on(device, function, *args)
        seconds.setdefault(part, []).append(spent)
        return result

    def decode() -> list[Frame]:
        return [frame for _, frame in prepared_frames(model, source)]

    def run_model(frames: Sequence[Frame]) -> ClipPrediction:
        clip = torch.stack([frame.img for frame in frames])[None].to(device)
        with precision(device, model.amp_dtype):
            features = model.extract_feat(clip)
            return model.predict_clip(features, [frame.meta for frame in frames])

    def draw(found: VideoInstances) -> None:
        draw_video(source, found.take(np.arange(min(len(found), 10))), model.CLASSES, out)

    reset_peak(device)
    for _ in range(repeats + 1):  # the first one warms up
        frames = timed('decoding', decode)
        found = timed('rle', encode_clip, timed('model', run_model, frames))
        timed('drawing', draw, found)
        timed('all', lambda: draw(inference_video(model, source)))
    medians = {part: statistics.median(values[1:] or values) for part, values in seconds.items()}
    parts = sum(value for part, value in medians.items() if part != 'all')
    count = len(frames)
    return dict(
        fps=count / medians['all'],
        model_fps=count / medians['model'],
        **{f'{part}_part': medians[part] / parts for part in ('decoding', 'rle', 'drawing')},
        peak_mb=peak_memory(device),
    )


def measure_training(
    system: str, name: str, device: torch.device, amp: str | None, num_frames: int, steps: int = 5
) -> dict[str, Any]:
    """Measure training steps of one clip: seconds, peak memory; or ``fault``, why there are none.

    Args:
        system: for the table.
        name: of the config.
        device: that runs it.
        amp: None, ``'bf16'`` or ``'fp16'``.
        num_frames: T of the clip.
        steps: the median counts, after one that warms up.
    """
    row: dict[str, Any] = dict(system=system, mode=amp or 'fp32', frames=num_frames)
    if device.type == 'cuda' and not has_cuda_ops(device):
        return {**row, 'fault': 'training needs mmcv-full with CUDA ops'}
    size = SMALL_SIZE if name in SMALL.values() else (384, 640)
    with noted_fault(row):
        model = trained_model(name, device, amp)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-5)
        scaler = torch.amp.GradScaler(device.type, enabled=amp == 'fp16')
        batch, seconds = drawn_batch(1, num_frames, size), []
        reset_peak(device)

        def step() -> None:
            optimizer.zero_grad()
            scaler.scale(model.train_step(batch)['loss']).backward()
            scaler.step(optimizer)
            scaler.update()

        for _ in range(steps + 1):
            seconds.append(time_on(device, step)[1])
        row.update(seconds=statistics.median(seconds[1:] or seconds), peak_mb=peak_memory(device))
    return row
