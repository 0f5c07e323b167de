"""Writes the instances of a video to files: a drawn video, JSON, masks, tables, ..."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Protocol

import numpy as np

from tevit_vis.evaluation.submission import frame_to_json, instances_to_json
from tevit_vis.formats import ConversionLog, find_format, instances_content
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.mask_filters import filter_masks
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.tracking import join_frames
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import JSONLinesWriter, write_json
from tevit_vis.video import FrameSource, TimedFrame, VideoWriter
from tevit_vis.visualization.mask_files import MaskWriter
from tevit_vis.visualization.track_files import CropWriter, TableWriter
from tevit_vis.visualization.video import draw_stream, usable_rate

from .files import Outputs, PredictionSummary
from .selection import FramesWithTracks, Selection


class VideoModel(Protocol):
    """What finds the instances of videos: a model of torch, or an exported one."""

    @property
    def CLASSES(self) -> Sequence[str]:  # noqa: N802  (mmdet's name for it)
        """The name of each label."""

    @property
    def inference_config(self) -> InferenceConfig:
        """The checked ``test_cfg``."""

    def inference_video(
        self, video: FrameSource, on_frame: Callable[[], object] = ...
    ) -> VideoInstances:
        """Returns the instances of a video."""

    def stream_video(self, video: FrameSource) -> FramesWithTracks:
        """Yields the frames of a video and their tracks, with windows."""

    def change_windows(self, window: int | None = None, stride: int | None = None) -> None:
        """Changes the windows; None keeps what there is."""


def write_video(
    model: VideoModel,
    source: FrameSource,
    outputs: Outputs,
    selection: Selection | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> PredictionSummary:
    """Finds the instances of a video and writes them to files, see ``apis.predict_to_files``.

    Args:
        model: an exported one, or ``apis.TorchVideoModel`` of one of torch.
        source: of ``open_source``.
        outputs: files to write.
        selection: which instances are written, the same for all files.
        on_frame: called for each frame that was processed.

    Raises:
        InputError: the video cannot be read, or a file cannot be written.

    Example:
        >>> from tevit_vis.deploy import load_model
        >>> from tevit_vis.video import open_source
        >>> model, source = load_model('exported'), open_source('a.mp4')  # doctest: +SKIP
        >>> print(write_video(model, source, Outputs('found.mp4')))  # doctest: +SKIP
        36 frames, 2 tracks: 2 cats
    """
    selection = selection or Selection()
    selection.check(model.CLASSES)
    if model.inference_config.windows is None:
        if outputs.needs_images and source.is_single_pass:
            raise InputError(
                'a video that can be gone through once only must have windows to be drawn: set '
                'model.test_cfg.windows.length, or give a list of frames'
            )
        instances = selection.select_video(model.inference_video(source, on_frame), model.CLASSES)
        frames = _frames_of(instances, source, len(model.CLASSES), with_images=outputs.needs_images)
        _write_whole(instances, model.CLASSES, outputs)
        outputs = replace(outputs, json=None, cvat=None)
        return _write_frames(model, frames, source, outputs, selection, lambda: None)
    frames = selection.select_frames(model.stream_video(source), model.CLASSES)
    return _write_frames(model, frames, source, outputs, selection, on_frame)


def write_instances(
    instances: VideoInstances,
    class_names: Sequence[str],
    outputs: Outputs,
    images: Iterable[np.ndarray] | None = None,
) -> None:
    """Writes instances that are known already to files, without the drawn video.

    Args:
        instances: of a whole video.
        class_names: name of each label.
        outputs: files to write.
        images: [H, W, 3] (uint8, BGR) of the frames, which crops need.

    Raises:
        InputError: a file cannot be written, or crops are asked for without images.

    Example:
        >>> import tempfile
        >>> empty = VideoInstances(np.zeros(0, int), np.zeros(0), np.zeros((0, 2, 4)), [], (3, 4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_instances(empty, ['cat'], Outputs(tables={'counts': f'{folder}/a.csv'}))
        ...     print(open(f'{folder}/a.csv').read())
        frame,time,cat
        0,,0
        1,,0
        <BLANKLINE>
    """
    if outputs.crops and images is None:
        raise InputError('crops: need the images of the frames, but have none')
    no_image = np.zeros((0, 0, 3), np.uint8)
    _write_whole(instances, class_names, outputs)
    with ExitStack() as stack:
        writers = _open_writers(outputs, class_names, 0.0, stack)
        if not writers:
            return
        frames = repeat(no_image) if images is None else images
        for index, image in zip(range(instances.num_frames), frames):
            found = instances.to_frame_instances(index, len(class_names))
            for write in writers:
                write(found, image)


def _frames_of(
    instances: VideoInstances, source: FrameSource, num_classes: int, with_images: bool
) -> FramesWithTracks:
    """Yields the frames of a video whose instances are known, with the tracks of each."""
    no_image = TimedFrame(np.zeros((0, 0, 3), np.uint8), None)
    frames = source.timed_frames() if with_images else iter(lambda: no_image, None)
    for index, frame in zip(range(instances.num_frames), frames):
        yield frame.image, instances.to_frame_instances(index, num_classes)


def _write_frames(
    model: VideoModel,
    frames: FramesWithTracks,
    source: FrameSource,
    outputs: Outputs,
    selection: Selection,
    on_frame: Callable[[], object],
) -> PredictionSummary:
    """Writes frames with their tracks to the files, as they come."""
    summary = PredictionSummary()
    collected: list[FrameInstances] = []
    config = model.inference_config
    min_score = config.build_tracker().min_score if config.windows else 0.0
    stack = ExitStack()
    if outputs.json or outputs.cvat:  # written at the end, also after an error or Ctrl-C
        stack.callback(_write_collected, model, collected, min_score, selection, outputs)
    with stack:
        writers = _open_writers(outputs, model.CLASSES, min_score, stack)

        def recorded() -> FramesWithTracks:
            for image, instances in frames:
                summary.add(instances, model.CLASSES, outputs.score_thr)
                if outputs.json or outputs.cvat:
                    collected.append(instances)
                for write in writers:
                    write(instances, image)
                yield image, instances
                on_frame()
            summary.interrupted = False

        summary.interrupted = True  # until all frames are recorded
        if outputs.video:
            writer = VideoWriter(
                outputs.video,
                outputs.fps or usable_rate(source.fps),
                endless=source.is_live,
                keeps_partial=True,
                style=outputs.style,
                look=source.look,
                sound=source.sound if outputs.sound else None,
            )
            keep_pace = outputs.fps is None
            shown = recorded()
            draw_stream(shown, model.CLASSES, writer, outputs.score_thr, keep_pace, outputs.drawing)
        else:
            _go_through(recorded(), summary)
    return summary


def _open_writers(
    outputs: Outputs, class_names: Sequence[str], min_score: float, stack: ExitStack
) -> list[Callable[[FrameInstances, np.ndarray], object]]:
    """Opens the files that are written as the frames come; returns what writes a frame to each.

    Args:
        outputs: files to write, but the drawn video.
        class_names: name of each label.
        min_score: least score of the tracks of lines.
        stack: closes the files.
    """
    writers: list[Callable[[FrameInstances, np.ndarray], object]] = []
    if outputs.jsonl:
        lines = stack.enter_context(JSONLinesWriter(outputs.jsonl))
        writers.append(
            lambda instances, _: lines.write(frame_to_json(instances, class_names, min_score))
        )
    if outputs.masks:
        masks = MaskWriter(outputs.masks, outputs.score_thr, outputs.mask_form)
        writers.append(lambda instances, _: masks.write(instances))
    for kind, path in outputs.tables.items():
        table = TableWriter(path, kind, class_names, outputs.score_thr)
        writers.append(stack.enter_context(table).write)
    if outputs.crops:
        writers.append(CropWriter(outputs.crops, class_names, outputs.score_thr).write)
    return writers


def _write_collected(
    model: VideoModel,
    collected: Sequence[FrameInstances],
    min_score: float,
    selection: Selection,
    outputs: Outputs,
) -> None:
    """Writes the instances of the collected frames, if there are any."""
    if not collected:
        return
    config = model.inference_config
    instances = join_frames(collected, min_score)
    instances = filter_masks(instances, config.drop_empty, config.min_mask_score)
    times = [frame.time for frame in collected]
    if None not in times:
        instances = replace(instances, times=np.array(times, np.float64))
    _write_whole(selection.select_video(instances, model.CLASSES), model.CLASSES, outputs)


def _write_whole(instances: VideoInstances, class_names: Sequence[str], outputs: Outputs) -> None:
    """Writes the files that hold a whole video."""
    if outputs.json:
        write_json(instances_to_json(instances, class_names), outputs.json)
    if outputs.cvat:
        content = instances_content(
            instances.filter_by_score(outputs.score_thr), class_names, Path(outputs.cvat).stem
        )
        find_format('cvat-polygons').write(content, outputs.cvat, ConversionLog())


def _go_through(frames: FramesWithTracks, summary: PredictionSummary) -> None:
    """Goes through all frames without drawing; Ctrl-C ends it once there was a frame."""
    try:
        for _ in frames:
            pass
    except KeyboardInterrupt:
        if not summary.num_frames:
            raise
