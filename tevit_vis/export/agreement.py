"""Compares an exported model with the model that it was made of, on a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from tevit_vis.apis.inference import inference_video
from tevit_vis.deploy import ExportedModel, load_model
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.rle import mask_areas, overlap_fractions
from tevit_vis.structures import RLE, VideoInstances
from tevit_vis.utils.errors import InputError

from .graph_agreement import rounded
from .graphs import with_windows
from .options import ExportOptions
from .sample_videos import shapes_video, start_of_video

TRIED_FRAMES = 6  # of the video, where a clip may have any number of frames
TRIED_WINDOWS = 4, 2  # length and stride
MAX_SCORE_DIFFERENCE = 1e-4  # in full precision
MOST_COMPARED = 100  # instances, the best
MIN_IOU = 0.99  # mean of the masks, in full precision
NEAR_IOU = 0.5  # mean of the masks, of smaller forms
NOTHING = '; nothing was found, so instances were not compared'
UNSTABLE = (
    '; the model itself finds something else where its features change by a millionth: are its '
    'weights random, or did they diverge?'
)


@dataclass(frozen=True)
class Agreement:
    """How two results of one video agree.

    Args:
        size: (W, H) of the frames.
        num_expected: instances of the model of torch, of which the best 100 are compared.
        num_missing: of these, how many the other one did not find, or found as another class.
        num_extra: instances that only the other one found.
        score_difference: the largest one of a score.
        mask_iou: mean IoU of masks that are not empty in both, weighted by the scores of their
            instances: masks of unlikely ones are decided by rounding.
        how: the video was taken, such as ``in windows of 4 frames``.
        is_unstable: whether the model itself finds something else where its features change by
            rounding, as with random weights; then the two cannot be the same.
    """

    size: tuple[int, int]
    num_expected: int
    num_missing: int
    num_extra: int
    score_difference: float
    mask_iou: float
    how: str = ''
    is_unstable: bool = False

    @property
    def is_close(self) -> bool:
        """Whether the two are the same up to rounding."""
        return (
            not self.num_missing
            and not self.num_extra
            and self.score_difference <= MAX_SCORE_DIFFERENCE
            and self.mask_iou >= MIN_IOU
        )

    @property
    def is_near(self) -> bool:
        """Whether most is the same, as must hold for smaller forms."""
        num_found = self.num_expected - self.num_missing
        return num_found >= self.num_expected / 2 and self.mask_iou >= NEAR_IOU

    def __str__(self) -> str:
        width, height = self.size
        extra = f', {self.num_extra} more were found' if self.num_extra else ''
        return (
            f'{width}x{height}{self.how}: {self.num_expected - self.num_missing} of '
            f'{self.num_expected} instances are the same{extra}, scores differ by '
            f'{self.score_difference:.1e} at most, masks have IoU {self.mask_iou:.4f}'
            + (UNSTABLE if self.is_unstable else '')
            + (NOTHING if not self.num_expected else '')
        )


def check_agreement(
    model: ClipDetector, folder: str, size: tuple[int, int], options: ExportOptions
) -> list[Agreement]:
    """Runs a model and its exported form on a video, also in windows.

    It shows what the ranges of values were measured on, or moving shapes where nothing was
    measured, or nothing is found.

    Args:
        model: of torch.
        folder: of the exported one.
        size: (W, H) of the frames.
        options: of the export.

    Raises:
        InputError: the exported model finds something else, or a smaller form something far off.
    """
    exported = load_model(folder)
    agreements = []
    if options.num_frames is None:
        agreements.append(_agreement(model, exported, TRIED_FRAMES, size, options))
        windows = TRIED_WINDOWS
    else:
        own = exported.test_cfg['windows']
        windows = own['length'], own['stride']
    exported.change_windows(*windows)
    num_frames = windows[0] + 2 * windows[1] - 1
    with with_windows(model, *windows):
        agreement = _agreement(model, exported, num_frames, size, options)
    how = f' in windows of {windows[0]} frame{"s" if windows[0] > 1 else ""}'
    return [*agreements, replace(agreement, how=how)]


def _agreement(
    model: ClipDetector,
    exported: ExportedModel,
    num_frames: int,
    size: tuple[int, int],
    options: ExportOptions,
) -> Agreement:
    """Compares on one video.

    Raises:
        InputError: see ``check_agreement``.
    """
    for video in tried_videos(num_frames, size, options):
        expected = inference_video(model, video)
        if len(expected):
            break
    agreement = compare(expected, exported.inference_video(video))
    is_enough = agreement.is_close if options.form == 'fp32' else agreement.is_near
    if is_enough:
        return agreement
    with rounded_features(model):
        own = compare(expected, inference_video(model, video))
    if own.is_close:
        raise InputError(
            f'export: the graphs do not find what the model finds ({agreement}), so nothing was '
            'written'
        )
    return replace(agreement, is_unstable=True)


@contextmanager
def rounded_features(model: ClipDetector) -> Iterator[None]:
    """Changes the features of a model by as much as rounding does."""
    extract = model.extract_feat

    def changed(img: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(map(rounded, extract(img)))

    model.__dict__['extract_feat'] = changed
    try:
        yield
    finally:
        del model.__dict__['extract_feat']


def tried_videos(
    num_frames: int, size: tuple[int, int], options: ExportOptions
) -> Iterator[np.ndarray]:
    """Yields videos [T, H, W, 3] (uint8, BGR); the first one in which something is found is taken.

    Args:
        num_frames: T.
        size: (W, H) of the frames.
        options: of the export; the start of its first video for ``calibration`` comes first.
    """
    if options.calibration:
        yield start_of_video(options.calibration[0], num_frames, size)
    yield shapes_video(num_frames, size)


def compare(expected: VideoInstances, found: VideoInstances) -> Agreement:
    """Compares the best instances in the order of their scores; equal ones may change places.

    Args:
        expected: of the model of torch.
        found: of the exported one.
    """
    expected = expected.select(np.argsort(-expected.scores, kind='stable')[:MOST_COMPARED])
    least = float(expected.scores.min()) if len(expected) == MOST_COMPARED else 0.0
    # Those of nearly the least score may be among the best of one and not of the other.
    found = found.select(np.flatnonzero(found.scores >= least - MAX_SCORE_DIFFERENCE))
    free = list(range(len(found)))
    differences, ious, weights, num_missing = [0.0], [], [], 0
    for n in range(len(expected)):
        same = [m for m in free if found.labels[m] == expected.labels[n]]
        gaps = [abs(float(found.scores[m]) - float(expected.scores[n])) for m in same]
        near = [m for m, gap in zip(same, gaps) if gap <= min(gaps) + MAX_SCORE_DIFFERENCE]
        if not near:
            num_missing += 1
            continue
        pairs = [mask_ious(expected.segmentations[n], found.segmentations[m]) for m in near]
        best = int(np.argmax([np.mean(pair) if len(pair) else 1.0 for pair in pairs]))
        free.remove(near[best])
        differences.append(abs(float(found.scores[near[best]]) - float(expected.scores[n])))
        ious += pairs[best].tolist()
        weights += [float(expected.scores[n])] * len(pairs[best])
    return Agreement(
        size=found.size[::-1],
        num_expected=len(expected),
        num_missing=num_missing,
        num_extra=sum(bool(found.scores[m] > least + MAX_SCORE_DIFFERENCE) for m in free),
        score_difference=max(differences),
        mask_iou=float(np.average(ious, weights=weights)) if sum(weights) else 1.0,
    )


def mask_ious(first: Sequence[RLE | None], second: Sequence[RLE | None]) -> np.ndarray:
    """Returns the IoU of two tracks in each frame in which one of them has a mask.

    Example:
        >>> mask_ious([{'size': [2, 2], 'counts': '04'}, None], [None, None]).tolist()
        [0.0]
    """
    areas = np.stack([mask_areas(first), mask_areas(second)], 1)
    ious = []
    for a, b, (size_a, size_b) in zip(first, second, areas):
        if not size_a and not size_b:
            continue
        both = overlap_fractions([a], [b])[0, 0] * size_a if a and b and size_a else 0.0
        ious.append(both / (size_a + size_b - both))
    return np.array(ious)
