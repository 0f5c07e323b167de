"""Does a device give the CPU's numbers, and how fast is it: what tools/gpu_check.py prints.

Weights are drawn and frames are noise: numbers are compared, not scores.
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import mmcv
import torch
from mmcv.ops import get_compiling_cuda_version

from tevit_vis.layers.cuda_ops import has_cuda_ops
from tevit_vis.structures import ClipPrediction, VideoInstances
from tevit_vis.utils.devices import free_memory
from tevit_vis.video import open_source

from .distributed import Processes
from .drawn import SMALL, SMALL_SIZE, drawn_batch, drawn_model, noise, tf32, trained_model
from .inference import inference_video, prepared_frames
from .runner import total_loss

# Largest difference that rounding explains, as a part of the largest value.
BOUNDS = dict(features=1e-3, scores=1e-3, boxes=1e-3, masks=2e-3, losses=2e-3, gradients=2e-2)


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


@torch.inference_mode()
def _clip_outputs(
    system: str, device: torch.device
) -> tuple[Sequence[torch.Tensor], ClipPrediction]:
    model = drawn_model(SMALL[system], device, cfg_options={'model.test_cfg.windows.length': None})
    _, frames = zip(*prepared_frames(model, open_source(noise(4, SMALL_SIZE))))
    clip = torch.stack([frame.img for frame in frames])[None].to(device)
    features = model.extract_feat(clip)
    return features, model.predict_clip(features, [frame.meta for frame in frames])


def _tracks(system: str, device: torch.device) -> VideoInstances:
    model = drawn_model(SMALL[system], device)
    model.test_cfg.windows.update(length=4, stride=2)
    model.test_cfg.tracker.update(min_iou=0.05, min_score=0.05)
    return inference_video(model, noise(9, SMALL_SIZE))


def _training_outputs(system: str, device: torch.device) -> tuple[dict[str, float], torch.Tensor]:
    """Losses by name, and the norm of each weight's gradient."""
    model = trained_model(SMALL[system], device)
    outputs = model.train_step(drawn_batch(2, 3, SMALL_SIZE))
    outputs['loss'].backward()
    norms = [p.grad.norm().cpu() for p in model.module.parameters() if p.grad is not None]
    return outputs['log_vars'], torch.stack(norms)


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
            name: value if name == 'gt_ids' else model.to_device(value)
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
