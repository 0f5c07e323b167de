"""The instances of a video into files: a drawn video, JSON, a line of JSON per frame."""

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
from tevit_vis.utils.json_files import JSONLines, write_json
from tevit_vis.utils.values import did_you_mean
from tevit_vis.video import (
    FrameSource,
    TimedFrame,
    VideoStyle,
    VideoWriter,
)
from tevit_vis.visualization.video import draw_stream, usable_rate

from .inference import inference_video, output_instances, stream_video

FoundFrames = Iterator[tuple[np.ndarray, FrameInstances]]


@dataclass(frozen=True)
class Selection:
    """Which instances people want to see.

    Args:
        classes: names; None takes all.
        max_overlap: IoU from which on the lower of two tracks is dropped; None keeps all.
    """

    classes: Sequence[str] | None = None
    max_overlap: float | None = None

    def check(self, class_names: Sequence[str]) -> None:
        """Check that the classes are the model's.

        Raises:
            InputError: one is not.
        """
        for name in self.classes or ():
            if name not in class_names:
                hint = did_you_mean(name, class_names, most=1, cutoff=0.5)
                raise InputError(
                    f'--classes: must be of {", ".join(class_names)}, but got {name!r}{hint}'
                )

    def of_video(self, instances: VideoInstances, class_names: Sequence[str]) -> VideoInstances:
        """Those of a whole video."""
        if self.classes is not None:
            chosen = [class_names.index(name) for name in self.classes]
            instances = instances.take(np.flatnonzero(np.isin(instances.labels, chosen)))
        if self.max_overlap is not None:
            instances = drop_overlaps(instances, self.max_overlap)
        return instances

    def of_frames(self, frames: FoundFrames, class_names: Sequence[str]) -> FoundFrames:
        """Those of frames that come one by one."""
        overlaps = OverlapFilter(self.max_overlap) if self.max_overlap is not None else None
        chosen = [class_names.index(name) for name in self.classes or class_names]
        for image, found in frames:
            if self.classes is not None:
                labels = found.class_scores.argmax(1) if len(found.tracks) else np.zeros(0, int)
                found = found.take(np.flatnonzero(np.isin(labels, chosen)).tolist())
            yield image, overlaps(found) if overlaps else found


@dataclass(frozen=True)
class Outputs:
    """Files to write; None leaves one out.

    Args:
        video: with what was found drawn into it.
        json: all instances.
        jsonl: a line for each frame, as it comes.
        score_thr: least score of what is drawn.
        fps: of the video; None keeps the source's pace.
        style: of the video.
        sound: whether the source's sound goes along.
    """

    video: str | None = None
    json: str | None = None
    jsonl: str | None = None
    score_thr: float = 0.3
    fps: float | None = None
    style: VideoStyle = field(default_factory=VideoStyle)
    sound: bool = False


@dataclass
class Summary:
    """What was found.

    Args:
        num_frames: that were looked at.
        interrupted: whether Ctrl-C ended it before the video did.
        shown: tracks that scored at least ``Outputs.score_thr`` in some frame, by class.
        best: (score, class) of the best track, whether it was shown or not.
    """

    num_frames: int = 0
    interrupted: bool = False
    shown: Counter = field(default_factory=Counter)
    best: tuple[float, str] | None = None
    tracks: set[int] = field(default_factory=set, repr=False)  # that are counted in shown

    def add(self, found: FrameInstances, class_names: Sequence[str], score_thr: float) -> None:
        """Count a frame."""
        self.num_frames += 1
        for track, scores in zip(found.tracks, found.class_scores):
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
        lower = max(0.01, np.floor(score * 100) / 100)
        return f'{text}: the best score is {score:.2f} ({name}): try --score-thr {lower:g}'


def predict_to_files(
    model: ClipDetector,
    source: FrameSource,
    outputs: Outputs,
    selection: Selection | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> Summary:
    """Find the instances of a video and write them to files.

    With windows, files grow while the video runs; without, all is found first, and a video to be
    drawn into is gone through twice.

    Args:
        model: of ``init_model``.
        source: of ``open_source``.
        outputs: files to write.
        selection: of what was found; it counts for all files.
        on_frame: called for each frame that was looked at.

    Returns:
        What was found. Ctrl-C ends a video in windows early; what was found until then is kept.

    Raises:
        InputError: the video cannot be read, or a file cannot be written.
    """
    selection = selection or Selection()
    selection.check(model.CLASSES)
    if model.inference_config.windows is None:
        if outputs.video and source.passes_once:
            raise InputError(
                'frames that can be gone through once only need windows to be drawn into '
                '(model.test_cfg.windows.length): or give a list'
            )
        instances = selection.of_video(inference_video(model, source, on_frame), model.CLASSES)
        frames = _frames_of(instances, source, len(model.CLASSES), with_images=bool(outputs.video))
        if outputs.json:
            write_json(instances_to_json(instances, model.CLASSES), outputs.json)
        outputs = replace(outputs, json=None)
        return _write_frames(model, frames, source, outputs, selection, lambda: None)
    frames = selection.of_frames(stream_video(model, source), model.CLASSES)
    return _write_frames(model, frames, source, outputs, selection, on_frame)


def _frames_of(
    instances: VideoInstances, source: FrameSource, num_classes: int, with_images: bool
) -> FoundFrames:
    """The frames of a video whose instances are known."""
    nothing = TimedFrame(np.zeros((0, 0, 3), np.uint8), None)
    images = source.timed() if with_images else iter(lambda: nothing, None)
    for index, shown in zip(range(instances.num_frames), images):
        yield shown.image, instances.in_frame(index, num_classes)


def _write_frames(
    model: ClipDetector,
    frames: FoundFrames,
    source: FrameSource,
    outputs: Outputs,
    selection: Selection,
    on_frame: Callable[[], object],
) -> Summary:
    """Write frames to the files, as they come."""
    summary = Summary()
    collected: list[FrameInstances] = []
    config = model.inference_config
    least = config.build_tracker().min_score if config.windows else 0.0
    stack = ExitStack()
    if outputs.json:  # of what was found, also before an error or Ctrl-C
        stack.callback(_write_collected, model, collected, least, selection, outputs.json)
    with stack:
        lines = stack.enter_context(JSONLines(outputs.jsonl)) if outputs.jsonl else None

        def passing() -> FoundFrames:
            for image, found in frames:
                summary.add(found, model.CLASSES, outputs.score_thr)
                if outputs.json:
                    collected.append(found)
                if lines is not None:
                    lines.write(frame_to_json(found, model.CLASSES, least))
                yield image, found
                on_frame()
            summary.interrupted = False

        summary.interrupted = True  # until all frames have passed
        if outputs.video:
            writer = VideoWriter(
                outputs.video,
                outputs.fps or usable_rate(source.fps),
                endless=source.live,
                keeps_begun=True,
                style=outputs.style,
                look=source.look,
                sound=source.sound if outputs.sound else None,
            )
            keep_pace = outputs.fps is None
            draw_stream(passing(), model.CLASSES, writer, outputs.score_thr, keep_pace)
        else:
            _pass_all(passing(), summary)
    return summary


def _write_collected(
    model: ClipDetector,
    collected: Sequence[FrameInstances],
    min_score: float,
    selection: Selection,
    path: str,
) -> None:
    """Write the instances of the frames that were looked at, if there were any."""
    if not collected:
        return
    joined = output_instances(model, join_frames(collected, min_score))
    times = [found.time for found in collected]
    if None not in times:
        joined = replace(joined, times=np.array(times, np.float64))
    joined = selection.of_video(joined, model.CLASSES)
    write_json(instances_to_json(joined, model.CLASSES), path)


def _pass_all(frames: FoundFrames, summary: Summary) -> None:
    """Go through frames that no video shows; Ctrl-C ends it when there was one."""
    try:
        for _ in frames:
            pass
    except KeyboardInterrupt:
        if not summary.num_frames:
            raise
