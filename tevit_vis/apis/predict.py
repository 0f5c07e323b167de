"""Writes the instances of a video to files: a drawn video, JSON, a line of JSON per frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np

from tevit_vis.evaluation.submission import frame_to_json, instances_to_json
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.tracking import OverlapFilter, drop_overlaps, join_frames
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import JSONLinesWriter, write_json
from tevit_vis.utils.values import check_fraction, did_you_mean
from tevit_vis.video import FrameSource, TimedFrame, VideoEncoding, VideoWriter
from tevit_vis.visualization.draw import DrawStyle
from tevit_vis.visualization.mask_files import IndexMaskWriter
from tevit_vis.visualization.video import draw_stream, usable_rate

from .inference import inference_video, output_instances, stream_video

FramesWithTracks = Iterator[tuple[np.ndarray, FrameInstances]]


@dataclass(frozen=True)
class Selection:
    """Selects instances by class and overlap.

    Args:
        classes: names of the classes to keep; None keeps all.
        max_overlap: IoU above which the track with the lower score is dropped; None keeps all.

    Raises:
        InputError: ``max_overlap`` is not from 0 to 1.
    """

    classes: Sequence[str] | None = None
    max_overlap: float | None = None

    def __post_init__(self) -> None:
        if self.max_overlap is not None:
            check_fraction('--max-overlap', self.max_overlap)

    def check(self, class_names: Sequence[str]) -> None:
        """Checks that the model has the classes.

        Raises:
            InputError: the model lacks one of them.
        """
        for name in self.classes or ():
            if name not in class_names:
                hint = did_you_mean(name, class_names, most=1, cutoff=0.5)
                raise InputError(
                    f'--classes: must be of {", ".join(class_names)}, but got {name!r}{hint}'
                )

    def select_video(self, instances: VideoInstances, class_names: Sequence[str]) -> VideoInstances:
        """Returns the selected instances of a whole video."""
        if self.classes is not None:
            kept_labels = [class_names.index(name) for name in self.classes]
            instances = instances.select(np.flatnonzero(np.isin(instances.labels, kept_labels)))
        if self.max_overlap is not None:
            instances = drop_overlaps(instances, self.max_overlap)
        return instances

    def select_frames(
        self, frames: FramesWithTracks, class_names: Sequence[str]
    ) -> FramesWithTracks:
        """Yields the frames with their selected tracks, one by one."""
        overlaps = OverlapFilter(self.max_overlap) if self.max_overlap is not None else None
        kept_labels = [class_names.index(name) for name in self.classes or class_names]
        for image, instances in frames:
            if self.classes is not None:
                labels = np.zeros(0, int)
                if len(instances.tracks):
                    labels = instances.class_scores.argmax(1)
                instances = instances.select(np.flatnonzero(np.isin(labels, kept_labels)).tolist())
            yield image, overlaps(instances) if overlaps else instances


@dataclass(frozen=True)
class Outputs:
    """The files to write; those that are None are not written.

    Args:
        video: path of the video with the tracks drawn into it.
        json: path of the file with all instances.
        jsonl: path of the file with a line for each frame, written as the frame comes.
        score_thr: least score of the tracks that are drawn or get a mask image.
        fps: frames per second of the drawn video; None keeps the source's pace.
        style: style of the drawn video.
        sound: whether the drawn video gets the source's sound.
        masks: folder of index images, see ``IndexMaskWriter``.
        drawing: what is drawn, and how.
    """

    video: str | None = None
    json: str | None = None
    jsonl: str | None = None
    score_thr: float = 0.3
    fps: float | None = None
    style: VideoEncoding = field(default_factory=VideoEncoding)
    sound: bool = False
    masks: str | None = None
    drawing: DrawStyle = field(default_factory=DrawStyle)


@dataclass
class PredictionSummary:
    """Counts of the frames and the tracks of a video.

    Args:
        num_frames: number of frames that were processed.
        interrupted: whether Ctrl-C stopped the run before the end of the video.
        shown: tracks that scored at least ``Outputs.score_thr`` in some frame, by class.
        best: (score, class) of the best track, whether it was shown or not.
    """

    num_frames: int = 0
    interrupted: bool = False
    shown: Counter = field(default_factory=Counter)
    best: tuple[float, str] | None = None
    tracks: set[int] = field(default_factory=set, repr=False)  # those in ``shown``

    def add(self, instances: FrameInstances, class_names: Sequence[str], score_thr: float) -> None:
        """Counts a frame and its tracks."""
        self.num_frames += 1
        for track, scores in zip(instances.tracks, instances.class_scores):
            score, name = float(scores.max()), class_names[scores.argmax()]
            if self.best is None or score > self.best[0]:
                self.best = score, name
            if score >= score_thr and track not in self.tracks:
                self.tracks.add(track)
                self.shown[name] += 1

    def __str__(self) -> str:
        counts = ', '.join(f'{count} {name}' for name, count in self.shown.most_common())
        tracks = sum(self.shown.values())
        text = ', '.join(
            f'{count} {name}{"" if count == 1 else "s"}'
            for count, name in ((self.num_frames, 'frame'), (tracks, 'track'))
        )
        if counts:
            return f'{text}: {counts}'
        if self.best is None:
            return f'{text}: nothing was found'
        score, name = self.best
        lower_thr = max(0.01, np.floor(score * 100) / 100)
        return f'{text}: the best score is {score:.2f} ({name}): try --score-thr {lower_thr:g}'


def predict_to_files(
    model: ClipDetector,
    source: FrameSource,
    outputs: Outputs,
    selection: Selection | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> PredictionSummary:
    """Finds the instances of a video and writes them to files.

    With windows, the files are written while the video runs. Without, the whole video is processed
    first, and the source is read a second time to draw.

    Args:
        model: of ``init_model``.
        source: of ``open_source``.
        outputs: files to write.
        selection: which instances are written, the same for all files.
        on_frame: called for each frame that was processed.

    Returns:
        Counts of frames and tracks. With windows, Ctrl-C ends the video early, and the files keep
        the frames until then.

    Raises:
        InputError: the video cannot be read, or a file cannot be written.

    Example:
        >>> import tempfile
        >>> from tevit_vis.apis import init_model
        >>> from tevit_vis.video import open_source
        >>> model = init_model('synthetic/tevit_tiny', device='cpu')  # its weights are random
        >>> source = open_source(np.zeros((2, 32, 48, 3), np.uint8))  # or open_source('video.mp4')
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outputs = Outputs(json=f'{folder}/video.json', score_thr=0.3)
        ...     predict_to_files(model, source, outputs).num_frames
        2
    """
    selection = selection or Selection()
    selection.check(model.CLASSES)
    if model.inference_config.windows is None:
        if outputs.video and source.is_single_pass:
            raise InputError(
                'a video that can be gone through once only must have windows to be drawn: set '
                'model.test_cfg.windows.length, or give a list of frames'
            )
        instances = selection.select_video(inference_video(model, source, on_frame), model.CLASSES)
        frames = _frames_of(instances, source, len(model.CLASSES), with_images=bool(outputs.video))
        if outputs.json:
            write_json(instances_to_json(instances, model.CLASSES), outputs.json)
        outputs = replace(outputs, json=None)
        return _write_frames(model, frames, source, outputs, selection, lambda: None)
    frames = selection.select_frames(stream_video(model, source), model.CLASSES)
    return _write_frames(model, frames, source, outputs, selection, on_frame)


def _frames_of(
    instances: VideoInstances, source: FrameSource, num_classes: int, with_images: bool
) -> FramesWithTracks:
    """Yields the frames of a video whose instances are known, with the tracks of each."""
    no_image = TimedFrame(np.zeros((0, 0, 3), np.uint8), None)
    frames = source.timed_frames() if with_images else iter(lambda: no_image, None)
    for index, frame in zip(range(instances.num_frames), frames):
        yield frame.image, instances.to_frame_instances(index, num_classes)


def _write_frames(
    model: ClipDetector,
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
    if outputs.json:  # written at the end, also after an error or Ctrl-C
        stack.callback(_write_collected, model, collected, min_score, selection, outputs.json)
    with stack:
        masks = IndexMaskWriter(outputs.masks, outputs.score_thr) if outputs.masks else None
        lines = stack.enter_context(JSONLinesWriter(outputs.jsonl)) if outputs.jsonl else None

        def recorded() -> FramesWithTracks:
            for image, instances in frames:
                summary.add(instances, model.CLASSES, outputs.score_thr)
                if outputs.json:
                    collected.append(instances)
                if lines is not None:
                    lines.write(frame_to_json(instances, model.CLASSES, min_score))
                if masks is not None:
                    masks.write(instances)
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


def _write_collected(
    model: ClipDetector,
    collected: Sequence[FrameInstances],
    min_score: float,
    selection: Selection,
    path: str,
) -> None:
    """Writes the instances of the collected frames, if there are any."""
    if not collected:
        return
    instances = output_instances(model, join_frames(collected, min_score))
    times = [frame.time for frame in collected]
    if None not in times:
        instances = replace(instances, times=np.array(times, np.float64))
    instances = selection.select_video(instances, model.CLASSES)
    write_json(instances_to_json(instances, model.CLASSES), path)


def _go_through(frames: FramesWithTracks, summary: PredictionSummary) -> None:
    """Goes through all frames without drawing; Ctrl-C ends it once there was a frame."""
    try:
        for _ in frames:
            pass
    except KeyboardInterrupt:
        if not summary.num_frames:
            raise
