"""Draws what was predicted in videos: beside the ground truth, or several submissions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tevit_vis.annotated_videos import Video
from tevit_vis.datasets import YouTubeVISDataset
from tevit_vis.evaluation.analysis import Analysis
from tevit_vis.evaluation.results import parse_results
from tevit_vis.evaluation.tubes import GroundTruth, MaskTube, instances_of
from tevit_vis.outputs import Selection
from tevit_vis.outputs.selection import DRAWN_OVERLAP
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.files import check_writable
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.visualization.draw import DrawStyle, FrameDrawer
from tevit_vis.visualization.text import draw_text

SHOWN_FPS = 10.0
LEAST_HEIGHT = 240  # pixels of a drawn frame; smaller ones are enlarged
Tubes = Mapping[tuple[int, int], Sequence[MaskTube]]  # by video and category
TITLE_HEIGHT = 24  # pixels
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
    names = tuple(ground_truth.categories.values())
    files = []
    for rank, key in enumerate(worst_first[:most], start=1):
        video = videos[key]
        name = re.sub(r'[^\w.-]+', '_', video.name)
        path = str(Path(folder, f'{rank:04d}_{scores[key].ap50:.2f}_{name}.mp4'))
        check_writable(path)
        truth, found = (
            _instances(video, tubes, ground_truth) for tubes in (ground_truth.tubes, predictions)
        )
        frames = [dataset.frame_path(video, t) for t in range(video.num_frames)]
        _draw_pair(frames, truth, found.filter_by_score(analysis.min_score), names, path)
        files.append(path)
        on_video()
    return files


def show_side_by_side(
    dataset: YouTubeVISDataset,
    videos: Sequence[Video],
    submissions: Mapping[str, Sequence[dict]],
    path: str,
    min_score: float,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Writes one video that shows several submissions side by side, video after video.

    Of tracks that overlap by more than ``DRAWN_OVERLAP`` the better one is drawn.

    Args:
        dataset: with frames and ground truth.
        videos: of the data set, of one size.
        submissions: {what stands above it: entries}, from left to right.
        path: of the video.
        min_score: least score that is drawn.
        on_frame: called after each frame.

    Raises:
        InputError: a file cannot be written, or a frame cannot be read.
    """
    ground_truth = dataset.read_ground_truth()
    names = tuple(ground_truth.categories.values())
    predictions = [
        parse_results(entries, ground_truth.lengths, title)
        for title, entries in submissions.items()
    ]
    selection = Selection(max_overlap=DRAWN_OVERLAP)
    with VideoWriter(path, SHOWN_FPS) as writer:
        for video in videos:
            sides = [
                selection.select_video(
                    _instances(video, tubes, ground_truth).filter_by_score(min_score), names
                )
                for tubes in predictions
            ]
            style = DrawStyle(zoom=-(-LEAST_HEIGHT // video.height))
            drawers = [FrameDrawer(names, style) for _ in sides]
            frames = [dataset.frame_path(video, t) for t in range(video.num_frames)]
            for t, frame in enumerate(open_source(frames).timed_frames()):
                drawn = [
                    _titled(drawer.draw(frame.image, side, t), title)
                    for drawer, side, title in zip(drawers, sides, submissions)
                ]
                writer.write(np.hstack(drawn))
                on_frame()


def _titled(image: np.ndarray, title: str) -> np.ndarray:
    """Returns a picture with a bar above that has its title."""
    bar = np.full((TITLE_HEIGHT, *image.shape[1:]), 32, np.uint8)
    draw_text(bar, title, (TITLE_HEIGHT // 3, TITLE_HEIGHT * 2 // 3), 0.5, (255, 255, 255))
    return np.vstack([bar, image])


def _instances(video: Video, tubes: Tubes, ground_truth: GroundTruth) -> VideoInstances:
    """Returns the tubes of a video as instances, with labels in the order of the categories."""
    of_video = {
        label: tubes.get((video.id, category), ())
        for label, category in enumerate(ground_truth.categories)
    }
    return instances_of(of_video, (video.height, video.width), video.num_frames)


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
