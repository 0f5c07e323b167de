"""Compares the outputs of a device with the CPU's, for tevit-vis gpu-check.

Models have random weights and videos show noise, so outputs are compared, not scores.
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
from .runner import total_loss

# Largest difference that rounding may cause, relative to the largest value.
BOUNDS = dict(features=1e-3, scores=1e-3, boxes=1e-3, masks=2e-3, losses=2e-3, gradients=2e-2)


def describe_device(device: torch.device) -> dict[str, Any]:
    """Returns versions, the device's properties, and which of mmcv's ops it has.

    Args:
        device: the device to describe.
    """
    description: dict[str, Any] = dict(
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
        description.update(
            gpu=properties.name,
            capability=f'{properties.major}.{properties.minor}',
            memory_gb=round(properties.total_memory / 2**30, 1),
            driver=_driver_version(),
            gpus=torch.cuda.device_count(),
        )
    return description


def _driver_version() -> str:
    """Returns the CUDA version of the driver, such as '13.0'."""
    library: Any = torch._C  # has the function only in a build with CUDA
    number = library._cuda_getDriverVersion()
    return f'{number // 1000}.{number % 1000 // 10}'


@dataclass(frozen=True)
class Comparison:
    """How far one quantity of a system on the device differs from the CPU's.

    Args:
        system, quantity: what was compared.
        difference: the largest difference, relative to the CPU's largest value.
        bound: the largest difference that is allowed.
    """

    system: str
    quantity: str
    difference: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within its bound."""
        return self.difference <= self.bound


def compare_system(system: str, device: torch.device) -> list[Comparison]:
    """Compares a small model on a device with the same model on the CPU, with TF32 off.

    Args:
        system: a key of ``SMALL_CONFIGS``.
        device: the device to compare with the CPU.

    Example:
        >>> all(row.passed for row in compare_system('IFC', torch.device('cpu')))
        True
    """
    cpu = torch.device('cpu')
    rows = []

    def add(quantity: str, kind: str, values: Any, cpu_values: Any) -> None:
        rows.append(Comparison(system, quantity, relative(values, cpu_values), BOUNDS[kind]))

    with tf32(False):
        features, prediction = _clip_outputs(system, device)
        cpu_features, cpu_prediction = _clip_outputs(system, cpu)
        for number, (level, cpu_level) in enumerate(zip(features, cpu_features)):
            add(f'features of level {number}', 'features', level, cpu_level)
        for name, kind in (('class_scores', 'scores'), ('boxes', 'boxes'), ('logits', 'masks')):
            values = values_by_query(prediction, name)
            cpu_values = values_by_query(cpu_prediction, name)
            common = sorted(set(values) & set(cpu_values))
            add(
                f'{name} of {len(common)} queries',
                kind,
                torch.stack([values[query] for query in common]),
                torch.stack([cpu_values[query] for query in common]),
            )
        part_of_equal = matched_part(_tracks(system, device), _tracks(system, cpu))
        rows.append(Comparison(system, 'tracks that differ', 1 - part_of_equal, 0.05))
        if device.type == 'cpu' or has_cuda_ops(device):
            losses, gradients = _training_outputs(system, device)
            cpu_losses, cpu_gradients = _training_outputs(system, cpu)
            for name, value in cpu_losses.items():
                add(name, 'losses', torch.tensor(losses[name]), torch.tensor(value))
            add('gradient norms', 'gradients', gradients, cpu_gradients)
    return rows


def relative(values: torch.Tensor, reference: torch.Tensor) -> float:
    """Returns the largest difference, relative to the largest value of the reference.

    It is infinite if the shapes differ.

    Example:
        >>> relative(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        0.5
    """
    if values.shape != reference.shape:
        return float('inf')
    if not reference.numel():
        return 0.0
    values, reference = values.double().cpu(), reference.double().cpu()
    return float((values - reference).abs().max() / reference.abs().max().clamp(min=1e-9))


def values_by_query(prediction: ClipPrediction, name: str) -> dict[int, torch.Tensor]:
    """Returns the values of one field by their query's number; ``logits`` are the masks' logits."""
    source = prediction.masks if name == 'logits' else prediction
    return dict(zip(prediction.queries.tolist(), getattr(source, name).cpu()))


def matched_part(instances: VideoInstances, reference: VideoInstances) -> float:
    """Returns the part of the reference's tracks that the instances contain.

    A track is contained if one with the same label has the same masks in half of the frames:
    rounding may flip a pixel at the threshold, so some frames may differ.
    """
    tracks, reference_tracks = (
        [
            (label, tuple(rle['counts'] if rle else '' for rle in track))
            for label, track in zip(video.labels.tolist(), video.segmentations)
        ]
        for video in (instances, reference)
    )
    if not reference_tracks:
        return float(not tracks)
    num_matched = 0
    for reference_label, reference_masks in reference_tracks:
        equal_parts = [
            sum(a == b for a, b in zip(reference_masks, masks)) / len(reference_masks)
            for label, masks in tracks
            if label == reference_label
        ]
        num_matched += max(equal_parts, default=0.0) >= 0.5
    return num_matched / len(reference_tracks)


@torch.inference_mode()
def _clip_outputs(
    system: str, device: torch.device
) -> tuple[Sequence[torch.Tensor], ClipPrediction]:
    """Returns the features and the prediction of a system's small model for one clip."""
    model = random_model(
        SMALL_CONFIGS[system], device, cfg_options={'model.test_cfg.windows.length': None}
    )
    _, frames = zip(*prepared_frames(model, open_source(noise_video(4, SMALL_SIZE))))
    clip = torch.stack([frame.img for frame in frames])[None].to(device)
    features = model.extract_feat(clip)
    return features, model.predict_clip(features, [frame.meta for frame in frames])


def _tracks(system: str, device: torch.device) -> VideoInstances:
    """Returns what a system's small model finds in a video in windows."""
    model = random_model(SMALL_CONFIGS[system], device)
    model.test_cfg.windows.update(length=4, stride=2)
    model.test_cfg.tracker.min_score = 0.05
    return inference_video(model, noise_video(9, SMALL_SIZE))


def _training_outputs(system: str, device: torch.device) -> tuple[dict[str, float], torch.Tensor]:
    """Losses by name, and the norm of each weight's gradient."""
    model = random_training_model(SMALL_CONFIGS[system], device)
    outputs = model.train_step(random_batch(2, 3, SMALL_SIZE))
    outputs['loss'].backward()
    norms = [p.grad.norm().cpu() for p in model.module.parameters() if p.grad is not None]
    return outputs['log_vars'], torch.stack(norms)


def check_two_processes(device_type: str) -> dict[str, float]:
    """Compares the averaged gradients of two processes with those of one that has both clips.

    Both processes call this function, with a GPU each (nccl) or on the CPU (gloo).

    Returns:
        The largest relative difference of a gradient's norm, by system.
    """
    processes = Processes.join()
    device = torch.device(processes.device(device_type) or device_type)
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    differences = {}
    # Systems without batch norm, whose statistics would differ between the processes.
    for system in ('SeqFormer', 'IFC'):
        batch = random_batch(2, 2, SMALL_SIZE)
        rank = processes.rank
        own_clip = {name: value[rank : rank + 1] for name, value in batch.items()}
        model = random_training_model(SMALL_CONFIGS[system], device)
        model.train_step(own_clip)['loss'].backward()
        single_model = copy.deepcopy(model.module)
        single_model.zero_grad()
        data = {
            name: value if name == 'gt_ids' else model.to_device(value)
            for name, value in batch.items()
        }
        # Losses are divided by a mean over the processes; here each of them has all instances.
        total_loss(single_model(return_loss=True, **data))[0].backward()
        norms, single_norms = (
            torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None])
            for network in (model.module, single_model)
        )
        differences[system] = relative(norms, single_norms)
    processes.wait()
    return differences


def comparison_rows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Comparisons as they go into ``gpu_check.json``."""
    return [{**asdict(row), 'passed': row.passed} for row in comparisons]
