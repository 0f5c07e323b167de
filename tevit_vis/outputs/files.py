"""Which files are written about a video, and what is said about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tevit_vis.structures import FrameInstances
from tevit_vis.video import VideoEncoding
from tevit_vis.visualization.draw import DrawStyle


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
