"""Running our code on a golden case, for all systems alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from compare import relative
from golden import GoldenCase
from mmcv import Config
from report import Report

from tevit_vis.apis import init_model
from tevit_vis.apis.build import build_without_pretraining
from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.apis.testing import write_submission
from tevit_vis.datasets import YouTubeVISDataset, build_dataset
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.utils.weights import load_weights


def build_for_training(config: Config, weights: dict) -> ClipDetector:
    """Returns the model of a config with converted weights, as training has it."""
    model = build_without_pretraining(config)
    load_weights(model, weights, 'converted checkpoint')
    return model


def case_dataset(config: Config, case: GoldenCase) -> YouTubeVISDataset:
    """Returns the videos of a case as the data set of our config."""
    config.data.test.update(
        ann_file=str(case.annotations), img_prefix=str(case.images), test_mode=True
    )
    return build_dataset(config.data.test)


def run_test(
    config: Config, weights: dict, dataset: YouTubeVISDataset
) -> tuple[ClipDetector, list[dict]]:
    """Tests a checkpoint as users do.

    Returns:
        The model and the entries of its results.json.
    """
    with TemporaryDirectory() as folder:
        checkpoint, results = Path(folder) / 'checkpoint.pth', Path(folder) / 'results.json'
        torch.save(weights, checkpoint)
        model = init_model(config, checkpoint, device='cpu')
        write_submission(model, dataset, ResultsJournal(str(results), {}))
        return model, json.loads(results.read_text())


def stored_videos(
    dataset: YouTubeVISDataset, case: GoldenCase
) -> Iterator[tuple[str, list, dict[str, np.ndarray]]]:
    """Yields the name, frames and stored arrays of each video that has a file of arrays."""
    names = [video.name for video in dataset.videos]
    for name, expected in case.expected():
        video = dataset.videos[names.index(name) if name else 0]
        frames = [dataset.load_frame(video, index) for index in range(video.num_frames)]
        yield video.name, frames, expected


def num_frozen(model: torch.nn.Module) -> int:
    """Returns the weights of frozen batch norms, which official counts leave out."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    return sum(p.numel() for norm in norms for p in norm.parameters())


def gradients_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns the gradients by name of those weights that have one."""
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def report_gradients(
    report: Report,
    ours: Mapping[str, torch.Tensor],
    theirs: Mapping[str, float],
    bound: float,
    num_lost: int = 0,
) -> None:
    """Reports the norms of gradients; of the hundreds that agree, only the worst is shown.

    Args:
        report: to add to.
        ours: gradients by official name.
        theirs: norms by official name, of those that are compared.
        bound: of relative differences.
        num_lost: gradients that one side is known to lack.
    """
    worst, worst_name = 0.0, ''
    for name, norm in theirs.items():
        if name not in ours:
            num_lost += 1
            continue
        difference = relative(float(ours[name].norm()), norm)
        if difference >= worst:
            worst, worst_name = difference, name
    report.add('train gradients in one only', num_lost, 0)
    report.add(f'train gradient of {worst_name}', worst, bound)
