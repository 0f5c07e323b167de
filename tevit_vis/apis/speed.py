"""Measures the speed and the memory of a system on a device, for tevit-vis gpu-check.

Models have random weights, and videos show noise.
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
    reset_peak_memory,
    time_on,
)
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.visualization.video import draw_video

from .inference import inference_video, prepared_frames
from .random_models import (
    SMALL_CONFIGS,
    SMALL_SIZE,
    noise_video,
    random_batch,
    random_model,
    random_training_model,
    tf32,
)

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
    """Measures a model on a video, from reading the file to writing one with the tracks drawn in.

    Args:
        system: name of the system in the table.
        name: name of the config.
        device: runs the model.
        mode: a key of ``MODES``.
        num_frames: T of the video, which is one clip.
        repeats: number of runs after a warm-up; the median is returned.

    Returns:
        A row of the table: ``fps`` end to end, ``model_fps`` of the model alone, the fractions of
        the time that decoding (with preparing), RLE and drawing take, ``peak_mb`` of the device.
        If the measurement fails, ``fault`` gives the reason instead.
    """
    amp, with_tf32, compiled = MODES[mode]
    row: dict[str, Any] = dict(system=system, mode=mode, frames=num_frames)
    with record_fault(row), tempfile.TemporaryDirectory() as folder, tf32(with_tf32):
        model = random_model(name, device, amp=amp, compile=compiled)
        video = str(Path(folder) / 'in.mp4')
        with VideoWriter(video, 10) as writer:
            for image in noise_video(num_frames, SIZE):
                writer.write(image)
        row.update(_measure_parts(model, video, str(Path(folder) / 'out.mp4'), repeats))
    return row


@contextmanager
def record_fault(row: dict[str, Any]) -> Iterator[None]:
    """Stores an error of the input or the device as ``fault`` of the row, so that others follow."""
    try:
        yield
    except (InputError, RuntimeError) as error:
        fault = str(error) if isinstance(error, InputError) else device_fault(error)
        if fault is None:
            raise
        row['fault'] = fault


@torch.inference_mode()
def _measure_parts(model: ClipDetector, video: str, out: str, repeats: int) -> dict[str, Any]:
    """Returns the measured columns of ``measure_speed``."""
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

    def draw(instances: VideoInstances) -> None:
        first_ten = instances.select(np.arange(min(len(instances), 10)))
        draw_video(source, first_ten, model.CLASSES, out)

    reset_peak_memory(device)
    for _ in range(repeats + 1):  # the first one warms up
        frames = timed('decoding', decode)
        instances = timed('rle', encode_clip, timed('model', run_model, frames))
        timed('drawing', draw, instances)
        timed('all', lambda: draw(inference_video(model, source)))
    medians = {part: statistics.median(values[1:] or values) for part, values in seconds.items()}
    sum_of_parts = sum(value for part, value in medians.items() if part != 'all')
    return dict(
        fps=len(frames) / medians['all'],
        model_fps=len(frames) / medians['model'],
        **{f'{part}_part': medians[part] / sum_of_parts for part in ('decoding', 'rle', 'drawing')},
        peak_mb=peak_memory(device),
    )


def measure_training(
    system: str, name: str, device: torch.device, amp: str | None, num_frames: int, steps: int = 5
) -> dict[str, Any]:
    """Measures training steps of one clip.

    Args:
        system: name of the system in the table.
        name: name of the config.
        device: runs the model.
        amp: None, ``'bf16'`` or ``'fp16'``.
        num_frames: T of the clip.
        steps: number of steps after a warm-up; the median is returned.

    Returns:
        A row of the table: ``seconds`` of a step, ``peak_mb`` of the device. If the measurement
        fails, ``fault`` gives the reason instead.
    """
    row: dict[str, Any] = dict(system=system, mode=amp or 'fp32', frames=num_frames)
    if device.type == 'cuda' and not has_cuda_ops(device):
        return {**row, 'fault': 'training needs mmcv-full with CUDA ops'}
    size = SMALL_SIZE if name in SMALL_CONFIGS.values() else (384, 640)
    with record_fault(row):
        model = random_training_model(name, device, amp)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-5)
        scaler = torch.amp.GradScaler(device.type, enabled=amp == 'fp16')
        batch, seconds = random_batch(1, num_frames, size), []
        reset_peak_memory(device)

        def step() -> None:
            optimizer.zero_grad()
            scaler.scale(model.train_step(batch)['loss']).backward()
            scaler.step(optimizer)
            scaler.update()

        for _ in range(steps + 1):
            seconds.append(time_on(device, step)[1])
        row.update(seconds=statistics.median(seconds[1:] or seconds), peak_mb=peak_memory(device))
    return row
