"""Writes the instances of a video to files: a drawn video, JSON, a line of JSON per frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tevit_vis.evaluation.submission import frame_to_json, instances_to_json
from tevit_vis.formats import ConversionLog, find_format, instances_content
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.tracking import join_frames
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import JSONLinesWriter, write_json
from tevit_vis.video import FrameSource, TimedFrame, VideoEncoding, VideoWriter
from tevit_vis.visualization.draw import DrawStyle
from tevit_vis.visualization.mask_files import MaskWriter
from tevit_vis.visualization.track_files import CropWriter, TableWriter
from tevit_vis.visualization.video import draw_stream, usable_rate

from .inference import inference_video, output_instances, stream_video
from .selection import FramesWithTracks, Selection


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
        masks: folder of mask images, see ``MaskWriter``.
        mask_form: of ``visualization.mask_files.MASK_FORMS``.
        tables: {kind of ``visualization.track_files.TABLES``: path}, written as the frames come.
        crops: folder of what is inside of the masks, see ``CropWriter``.
        cvat: path of a CVAT file (XML), to correct the tracks by hand.
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
    mask_form: str = 'index'
    tables: Mapping[str, str] = field(default_factory=dict)
    crops: str | None = None
    cvat: str | None = None
    drawing: DrawStyle = field(default_factory=DrawStyle)

    @property
    def files(self) -> list[str]:
        """All files, without folders."""
        named = (self.video, self.json, self.jsonl, *self.tables.values(), self.cvat)
        return [path for path in named if path]

    @property
    def needs_images(self) -> bool:
        """Whether the pixels of frames are needed, not only their masks."""
        return bool(self.video or self.crops)


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
        if outputs.needs_images and source.is_single_pass:
            raise InputError(
                'a video that can be gone through once only must have windows to be drawn: set '
                'model.test_cfg.windows.length, or give a list of frames'
            )
        instances = selection.select_video(inference_video(model, source, on_frame), model.CLASSES)
        frames = _frames_of(instances, source, len(model.CLASSES), with_images=outputs.needs_images)
        _write_whole(instances, model.CLASSES, outputs)
        outputs = replace(outputs, json=None, cvat=None)
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
    model: ClipDetector,
    collected: Sequence[FrameInstances],
    min_score: float,
    selection: Selection,
    outputs: Outputs,
) -> None:
    """Writes the instances of the collected frames, if there are any."""
    if not collected:
        return
    instances = output_instances(model, join_frames(collected, min_score))
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
