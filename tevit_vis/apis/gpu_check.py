"""Does a device give the CPU's numbers, and how fast is it: what tools/gpu_check.py prints.

Weights are drawn and frames are noise: numbers are compared, not scores.
"""

from __future__ import annotations

import copy
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
import torch.distributed as dist
from mmcv import Config
from mmcv.cnn.bricks import DropPath
from mmcv.ops import get_compiling_cuda_version
from mmdet.core import BitmapMasks
from mmdet.models import build_detector

from tevit_vis.datasets import Frame
from tevit_vis.layers.cuda_ops import has_cuda_ops
from tevit_vis.masks import encode_clip
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import ClipPrediction, VideoInstances
from tevit_vis.utils.config import build, load_config
from tevit_vis.utils.devices import device_fault, free_memory, precision
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.visualization.video import draw_video

from .build import draw_weights, init_model
from .distributed import Processes
from .inference import inference_video, prepared_frames
from .runner import TrainedModel, total_loss

SMALL = {
    'TeViT': 'synthetic/tevit_tiny',
    'SeqFormer': 'synthetic/seqformer_tiny',
    'IFC': 'synthetic/ifc_tiny',
    'MS-STS': 'synthetic/ms_sts_tiny',
}
FULL = {
    'TeViT': 'tevit/tevit_msgshift',
    'SeqFormer': 'seqformer/seqformer_r50_ytvis19',
    'IFC': 'ifc/ifc_r50_ytvis19',
    'MS-STS': 'ms_sts/ms_sts_r50_ytvis19',
}
SIZE = (360, 640)  # (H, W) of the frames whose speed is measured
SMALL_SIZE = (96, 160)
# Largest difference that rounding explains, as a part of the largest value.
BOUNDS = dict(features=1e-3, scores=1e-3, boxes=1e-3, masks=2e-3, losses=2e-3, gradients=2e-2)
MODES = {  # name: (amp, TF32, compile)
    'fp32': (None, False, False),
    'TF32': (None, True, False),
    'bf16': ('bf16', True, False),
    'fp16': ('fp16', True, False),
    'bf16 compile': ('bf16', True, True),
}


def describe_device(device: torch.device) -> dict[str, Any]:
    """Returns what is there: versions, the device, and which of mmcv's ops it has.

    Args:
        device: to be described.
    """
    found: dict[str, Any] = dict(
        device=str(device),
        python=platform.python_version(),
        torch=torch.__version__,
        torch_cuda=torch.version.cuda,
        mmcv=mmcv.__version__,
        mmcv_cuda=get_compiling_cuda_version(),
        mmcv_ops='CUDA kernels' if has_cuda_ops(device) else 'forms of this library',
        threads=torch.get_num_threads(),
        free_gb=round(free_memory(device) / 2**30, 1),
    )
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        found.update(
            gpu=properties.name,
            capability=f'{properties.major}.{properties.minor}',
            memory_gb=round(properties.total_memory / 2**30, 1),
            driver=_driver_version(),
            gpus=torch.cuda.device_count(),
        )
    return found


def _driver_version() -> str:
    """The CUDA version that the driver has, such as '13.0'."""
    library: Any = torch._C  # which has it in a build with CUDA
    number = library._cuda_getDriverVersion()
    return f'{number // 1000}.{number % 1000 // 10}'


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in matrix products and convolutions of a GPU."""
    flags: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [flag.allow_tf32 for flag in flags]
    for flag in flags:
        flag.allow_tf32 = allowed
    try:
        yield
    finally:
        for flag, value in zip(flags, before):
            flag.allow_tf32 = value


@dataclass(frozen=True)
class Comparison:
    """One quantity of a system on the device beside the CPU.

    Args:
        system, quantity: what was compared.
        difference: the largest, as a part of the largest value of the CPU.
        bound: that it must not exceed.
    """

    system: str
    quantity: str
    difference: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the difference is one of rounding."""
        return self.difference <= self.bound


def compare_system(system: str, device: torch.device) -> list[Comparison]:
    """Compare a small model on a device with the same model on the CPU, TF32 off.

    Args:
        system: a key of ``SMALL``.
        device: beside the CPU.

    Example:
        >>> all(row.passed for row in compare_system('IFC', torch.device('cpu')))
        True
    """
    rows = []

    def add(quantity: str, kind: str, ours: Any, theirs: Any) -> None:
        rows.append(Comparison(system, quantity, relative(ours, theirs), BOUNDS[kind]))

    with tf32(False):
        sides = [_clip_outputs(system, where) for where in (device, torch.device('cpu'))]
        (features, found), (cpu_features, expected) = sides
        for number, (ours, theirs) in enumerate(zip(features, cpu_features)):
            add(f'features of level {number}', 'features', ours, theirs)
        for name, kind in (('class_scores', 'scores'), ('boxes', 'boxes'), ('logits', 'masks')):
            mine, its = by_query(found, name), by_query(expected, name)
            common = sorted(set(mine) & set(its))
            add(
                f'{name} of {len(common)} queries',
                kind,
                torch.stack([mine[query] for query in common]),
                torch.stack([its[query] for query in common]),
            )
        tracks = [_tracks(system, where) for where in (device, torch.device('cpu'))]
        lost = 1 - same_tracks(*tracks)
        rows.append(Comparison(system, 'tracks that differ', lost, 0.05))
        if device.type == 'cpu' or has_cuda_ops(device):
            losses, gradients = _training_outputs(system, device)
            cpu_losses, cpu_gradients = _training_outputs(system, torch.device('cpu'))
            for name, value in cpu_losses.items():
                add(name, 'losses', torch.tensor(losses[name]), torch.tensor(value))
            add('gradient norms', 'gradients', gradients, cpu_gradients)
    return rows


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference as a part of the largest value; infinite for other shapes.

    Example:
        >>> relative(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        0.5
    """
    if ours.shape != theirs.shape:
        return float('inf')
    if not theirs.numel():
        return 0.0
    ours, theirs = ours.double().cpu(), theirs.double().cpu()
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-9))


def by_query(prediction: ClipPrediction, name: str) -> dict[int, torch.Tensor]:
    """A prediction's values by the number of their query; ``logits`` are those of the masks."""
    source = prediction.masks if name == 'logits' else prediction
    return dict(zip(prediction.queries.tolist(), getattr(source, name).cpu()))


def same_tracks(ours: VideoInstances, theirs: VideoInstances) -> float:
    """Which part of the instances of one side has the same label and masks on the other."""
    sides = [
        [
            (label, tuple(rle['counts'] if rle else '' for rle in track))
            for label, track in zip(side.labels.tolist(), side.segmentations)
        ]
        for side in (ours, theirs)
    ]
    if not sides[1]:
        return float(not sides[0])
    overlap = 0.0
    for label, masks in sides[1]:
        agreeing = [
            sum(a == b for a, b in zip(masks, other)) / len(masks)
            for other_label, other in sides[0]
            if other_label == label
        ]
        # A pixel at the threshold may fall either way: a frame of the track may differ.
        overlap += float(max(agreeing, default=0.0) >= 0.5)
    return overlap / len(sides[1])


def noise(num_frames: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Smooth coloured noise that drifts: [T, H, W, 3] uint8."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (size[0] // 16 + 2, size[1] // 16 + 2, 3), np.uint8)
    image = mmcv.imresize(small, size[::-1], interpolation='bicubic')
    return np.stack([np.roll(image, 3 * t, axis=1) for t in range(num_frames)])


def _model(name: str, device: torch.device, **options: Any) -> ClipDetector:
    """A model for inference whose drawn weights do not depend on the device."""
    torch.manual_seed(0)
    return init_model(name, device=str(device), **options)


@torch.inference_mode()
def _clip_outputs(
    system: str, device: torch.device
) -> tuple[Sequence[torch.Tensor], ClipPrediction]:
    model = _model(SMALL[system], device, cfg_options={'model.test_cfg.windows.length': None})
    _, frames = zip(*prepared_frames(model, open_source(noise(4, SMALL_SIZE))))
    clip = torch.stack([frame.img for frame in frames])[None].to(device)
    features = model.extract_feat(clip)
    return features, model.predict_clip(features, [frame.meta for frame in frames])


def _tracks(system: str, device: torch.device) -> VideoInstances:
    windows = {'length': 4, 'stride': 2, 'min_iou': 0.05, 'min_score': 0.05}
    model = _model(SMALL[system], device)
    model.test_cfg.windows.update(windows)
    return inference_video(model, noise(9, SMALL_SIZE))


def drawn_batch(num_clips: int, num_frames: int, size: tuple[int, int]) -> dict[str, Any]:
    """A training batch: noise with squares that move, two instances in each clip.

    Args:
        size: (H, W), multiples of 32.

    Returns:
        The arguments of ``ClipDetector.forward_train``.
    """
    height, width = size
    side = height // 3
    batch: dict[str, Any] = {
        name: [] for name in ('img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')
    }
    for clip in range(num_clips):
        corners = [
            [(8 + 4 * t + clip, 8 + clip), (width // 2 - 2 * t, height // 3)]
            for t in range(num_frames)
        ]
        bits = np.zeros((num_frames, 2, height, width), np.uint8)
        for t, places in enumerate(corners):
            for n, (x, y) in enumerate(places):
                bits[t, n, y : y + side, x : x + side] = 1
        boxes = [[[x, y, x + side, y + side] for x, y in places] for places in corners]
        batch['img_metas'].append([dict(img_shape=(height, width, 3))] * num_frames)
        batch['gt_bboxes'].append(list(torch.tensor(boxes, dtype=torch.float32)))
        batch['gt_labels'].append([torch.tensor([0, 1])] * num_frames)
        batch['gt_masks'].append([BitmapMasks(masks, height, width) for masks in bits])
        batch['gt_ids'].append([torch.tensor([0, 1])] * num_frames)
    generator = torch.Generator().manual_seed(0)
    batch['img'] = torch.randn(num_clips, num_frames, 3, height, width, generator=generator)
    return batch


def trained_model(name: str, device: torch.device, amp: str | None = None) -> TrainedModel:
    """A model to train, with drawn weights that do not depend on the device."""
    config: Config = load_config(name)
    model_config = copy.deepcopy(config.model)
    model_config.backbone['init_cfg'] = None
    torch.manual_seed(0)
    detector = build('model', lambda: build_detector(model_config))
    draw_weights(detector)
    for module in detector.modules():  # what is drawn while it runs depends on the device
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
        elif isinstance(module, DropPath):
            module.drop_prob = 0.0
    return TrainedModel(detector, device, amp, distributed=dist.is_initialized()).train()


def _training_outputs(system: str, device: torch.device) -> tuple[dict[str, float], torch.Tensor]:
    """Losses by name, and the norm of each weight's gradient."""
    model = trained_model(SMALL[system], device)
    outputs = model.train_step(drawn_batch(2, 3, SMALL_SIZE))
    outputs['loss'].backward()
    norms = [p.grad.norm().cpu() for p in model.module.parameters() if p.grad is not None]
    return outputs['log_vars'], torch.stack(norms)


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
    try:
        with tempfile.TemporaryDirectory() as folder, tf32(with_tf32):
            model = _model(name, device, amp=amp, compile=compiled)
            video = str(Path(folder) / 'in.mp4')
            with VideoWriter(video, 10) as writer:
                for image in noise(num_frames, SIZE):
                    writer.write(image)
            row.update(_timed_parts(model, video, str(Path(folder) / 'out.mp4'), repeats))
    except (InputError, RuntimeError) as error:
        fault = str(error) if isinstance(error, InputError) else device_fault(error)
        if fault is None:
            raise
        row['fault'] = fault
    return row


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
    try:
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
    except (InputError, RuntimeError) as error:
        fault = str(error) if isinstance(error, InputError) else device_fault(error)
        if fault is None:
            raise
        row['fault'] = fault
    return row


def time_on(device: torch.device, function: Callable, *args: Any) -> tuple[Any, float]:
    """What a function returns and the seconds that it took, the device's work included."""
    synchronize(device)
    begun = time.perf_counter()
    result = function(*args)
    synchronize(device)
    return result, time.perf_counter() - begun


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Begin to look for the peak of a GPU's memory."""
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """MB at the peak: of a GPU's tensors since ``reset_peak``, of the process so far on the CPU."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2**20
    scale = 2**20 if sys.platform == 'darwin' else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def check_two_processes(device_type: str) -> dict[str, float]:
    """On each of two processes: are their averaged gradients those of one with both clips?

    To be called by both, with a GPU each (nccl) or on the CPU (gloo).

    Returns:
        The largest relative difference of a gradient's norm, by system, the same on both.
    """
    processes = Processes.join()
    device = torch.device(processes.device(device_type) or device_type)
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    differences = {}
    for system in ('SeqFormer', 'IFC'):  # without batch norm, whose statistics are each one's own
        batch = drawn_batch(2, 2, SMALL_SIZE)
        mine = {name: value[processes.rank : processes.rank + 1] for name, value in batch.items()}
        model = trained_model(SMALL[system], device)
        model.train_step(mine)['loss'].backward()
        alone = copy.deepcopy(model.module)
        alone.zero_grad()
        data = {
            name: value if name == 'gt_ids' else model._on_device(value)
            for name, value in batch.items()
        }
        # Losses are divided by the instances of all processes, which both have here.
        total_loss(alone(return_loss=True, **data))[0].backward()
        ours, theirs = (
            torch.stack([p.grad.norm() for p in side.parameters() if p.grad is not None])
            for side in (model.module, alone)
        )
        differences[system] = relative(ours, theirs)
    processes.wait()
    return differences


def comparison_rows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Comparisons as they go into ``gpu_check.json``."""
    return [{**asdict(row), 'passed': row.passed} for row in comparisons]
