"""Draws the ground truth of videos beside what was predicted, the worst videos first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tevit_vis.datasets import YouTubeVISDataset
from tevit_vis.evaluation.analysis import Analysis
from tevit_vis.evaluation.results import parse_results
from tevit_vis.evaluation.tubes import instances_of
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.files import check_writable
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.visualization.draw import DrawStyle, FrameDrawer

SHOWN_FPS = 10.0
LEAST_HEIGHT = 240  # pixels of a drawn frame; smaller ones are enlarged
TRUTH_PARTS = ('masks', 'boxes', 'labels')


def show_videos(
    dataset: YouTubeVISDataset,
    results: Sequence[dict],
    analysis: Analysis,
    folder: str,
    most: int,
    on_video: Callable[[], object] = lambda: None,
) -> list[str]:
    """Writes a video of ground truth (left) and predictions (right) for each video.

    Files are called by their rank, AP at IoU 0.5 and name, ``0001_0.00_dog.mp4``, the worst first.

    Args:
        dataset: with frames and ground truth.
        results: entries of a submission.
        analysis: of these results; its ``min_score`` is the least score that is drawn.
        folder: to write; it is made.
        most: the largest number of videos.
        on_video: called after each video.

    Returns:
        The files.

    Raises:
        InputError: a file cannot be written, or a frame cannot be read.
    """
    ground_truth = dataset.read_ground_truth()
    predictions = parse_results(results, ground_truth.lengths, 'results')
    videos = {video.id: video for video in dataset.videos}
    scores = analysis.videos
    worst_first = sorted(
        (video for video in scores if video in videos and scores[video].num_gts),
        key=lambda key: (scores[key].ap50, scores[key].tracking.hota),
    )
    labels = {category: label for label, category in enumerate(ground_truth.categories)}
    names = tuple(ground_truth.categories.values())
    files = []
    for rank, key in enumerate(worst_first[:most], start=1):
        video = videos[key]
        name = re.sub(r'[^\w.-]+', '_', video.name)
        path = str(Path(folder, f'{rank:04d}_{scores[key].ap50:.2f}_{name}.mp4'))
        check_writable(path)
        size = (video.height, video.width)
        truth, found = (
            instances_of(
                {label: tubes.get((key, category), ()) for category, label in labels.items()},
                size,
                video.num_frames,
            )
            for tubes in (ground_truth.tubes, predictions)
        )
        frames = [dataset.frame_path(video, t) for t in range(video.num_frames)]
        _draw_pair(frames, truth, found.filter_by_score(analysis.min_score), names, path)
        files.append(path)
        on_video()
    return files


def _draw_pair(
    frames: Sequence[str],
    truth: VideoInstances,
    found: VideoInstances,
    names: Sequence[str],
    path: str,
) -> None:
    """Writes one video of ground truth and predictions side by side."""
    zoom = -(-LEAST_HEIGHT // truth.size[0])
    drawers = [
        FrameDrawer(names, DrawStyle(parts=TRUTH_PARTS, zoom=zoom)),
        FrameDrawer(names, DrawStyle(zoom=zoom)),
    ]
    with VideoWriter(path, SHOWN_FPS) as writer:
        for t, frame in enumerate(open_source(list(frames)).timed_frames()):
            halves = [
                drawer.draw(frame.image, instances, t)
                for drawer, instances in zip(drawers, (truth, found))
            ]
            writer.write(np.hstack(halves))
