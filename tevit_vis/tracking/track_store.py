"""The tracks of a video that may still go on, and the frames that leave them.

Letters: N instances of a window, T frames of a window, K classes, C channels, h and w cells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tevit_vis.arrays import Array, append, as_float, stack, to_numpy
from tevit_vis.numpy_masks import encode_maps
from tevit_vis.structures import ClipPrediction, FrameInstances, check_outputs_finite
from tevit_vis.utils.errors import InputError

from .association import cosine
from .tracker import TRACKER_KEY

HISTORY = 10  # embeddings of a track that a new one is compared with (CTVIS, section 3.3)


@dataclass
class OpenTrack:
    """One instance of the video, in frames that later windows may cover."""

    class_sum: Array  # [K]
    num_windows: int = 0
    last_frame: int = -1
    # By frame: the sum of its boxes [4], of its mask logits [h, w], and the number of windows.
    frames: dict[int, tuple[Array, Array, int]] = field(default_factory=dict)
    embedding: Array | None = None  # [C], what new instances are compared with
    history: deque[Array] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def extend(self, frames: range, scores: Array, boxes: Array, logits: Array) -> None:
        """Adds an instance of a window.

        Args:
            frames: of the window.
            scores: [K] of the instance.
            boxes: [T, 4], x1 y1 x2 y2 in pixels of the original frames.
            logits: [T, h, w] of its masks.
        """
        self.class_sum = self.class_sum + scores
        self.num_windows += 1
        self.last_frame = max(self.last_frame, frames.stop - 1)
        for frame, box, mask in zip(frames, boxes, logits):
            box_sum, mask_sum, count = self.frames.get(frame, (0.0, 0.0, 0))
            self.frames[frame] = (box_sum + box, mask_sum + as_float(mask), count + 1)

    def remember(self, embedding: Array, fuses: bool) -> None:
        """Takes up the embedding of the instance that continues the track.

        Args:
            embedding: [C] of the instance.
            fuses: mix it into the embedding of the track, the more the more it is like the last
                ones (CTVIS's similarity-guided fusion); otherwise it replaces that embedding.
        """
        if self.embedding is None or not fuses:
            self.embedding = embedding
        else:
            past = stack(list(self.history))
            share = cosine(past, embedding[None]).mean().clip(min=0)
            self.embedding = (1 - share) * self.embedding + share * embedding
        self.history.append(embedding)


class TrackStore:
    """The open tracks of a video.

    Args:
        memory: number of frames for which a track that is out of sight stays open after its last
            frame was closed; None ends a track with its last frame.
    """

    def __init__(self, memory: int | None) -> None:
        self.memory = memory
        self.open: dict[int, OpenTrack] = {}  # by track number
        self.num_tracks = 0  # since the start of the video
        self.num_frames = 0  # frames that windows have covered
        self.num_closed = 0  # closed frames, which are the first ones
        self.size = (0, 0)  # (H, W) of the original frames
        self.cells: tuple[float, float] | None = None  # (y, x) cells of a map that a frame covers

    def new_number(self) -> int:
        """Returns the number of a new track; no other track ever gets it."""
        self.num_tracks += 1
        return self.num_tracks - 1

    def embeddings(self, numbers: Sequence[int]) -> Array:
        """Returns the embeddings [M, C] of open tracks, all of which have one."""
        embeddings = [self.open[number].embedding for number in numbers]
        return stack([each for each in embeddings if each is not None])

    def extend(
        self,
        numbers: Sequence[int],
        frames: range,
        prediction: ClipPrediction,
        logits: Array,
    ) -> None:
        """Adds the instances of a window to their tracks.

        Args:
            numbers: the track of each instance; -1 leaves an instance out.
            frames: of the window.
            prediction: for the window.
            logits: [N, T, h, w], the prediction's masks as maps.
        """
        self.size, self.cells = prediction.masks.size, prediction.masks.cells
        for number, scores, boxes, mask_logits in zip(
            numbers, prediction.class_scores, prediction.boxes, logits
        ):
            if number >= 0:
                track = self.open.setdefault(number, OpenTrack(scores * 0))
                track.extend(frames, scores, boxes, mask_logits)
        self.num_frames = max(self.num_frames, frames.stop)

    def close(self, before: int | None) -> list[FrameInstances]:
        """Returns the frames that no later window can change: see ``Tracker.close``."""
        stop = self.num_frames if before is None else min(before, self.num_frames)
        closed = self._closed_frames(range(self.num_closed, stop))
        self.num_closed = max(self.num_closed, stop)
        self.open = {
            number: track
            for number, track in self.open.items()
            if track.frames or (before is not None and self._is_remembered(track, stop))
        }
        return closed

    def _is_remembered(self, track: OpenTrack, next_frame: int) -> bool:
        return self.memory is not None and next_frame - track.last_frame - 1 <= self.memory

    def _closed_frames(self, frames: range) -> list[FrameInstances]:
        """Returns the instances in these frames and removes them from the open tracks.

        Scores and boxes of all these frames are copied from the device at once.
        """
        tracks_of_frames: list[list[int]] = []
        scores, boxes, logits = [], [], []
        for frame in frames:
            tracks_in_frame = {n: track for n, track in self.open.items() if frame in track.frames}
            tracks_of_frames.append(list(tracks_in_frame))
            for track in tracks_in_frame.values():
                box, mask, count = track.frames.pop(frame)
                # The sum of the mask logits goes along: it is finite only if all of them are.
                mean_scores = track.class_sum / track.num_windows
                scores.append(append(mean_scores, mask.sum()))
                boxes.append(box / count)
                logits.append(mask / count)
        masks = encode_maps(logits, self.size, self.cells)
        all_scores, all_boxes = _rows(scores, 1), _rows(boxes, 4)
        check_outputs_finite(masks=all_scores[:, -1])
        all_scores = all_scores[:, :-1]
        ends = np.cumsum([0, *map(len, tracks_of_frames)]).tolist()
        return [
            FrameInstances(
                frame=frame,
                tracks=tracks,
                class_scores=all_scores[first:last],
                boxes=all_boxes[first:last],
                masks=masks[first:last],
                size=self.size,
            )
            for frame, tracks, first, last in zip(frames, tracks_of_frames, ends, ends[1:])
        ]


def _rows(rows: list[Array], num_columns: int) -> np.ndarray:
    """Returns rows as an array [n, num_columns], also where there are none."""
    if not rows:
        return np.zeros((0, num_columns), np.float32)
    return to_numpy(as_float(stack(rows)))


def instance_embeddings(prediction: ClipPrediction, tracker: str) -> Array:
    """Returns one embedding [N, C] of each instance of a window, in fp32.

    Args:
        prediction: for the window; of embeddings by frame the mean is taken.
        tracker: names the tracker in errors.

    Raises:
        InputError: the prediction has no embeddings, or some that are not finite.
    """
    embeddings = prediction.embeddings
    if embeddings is None:
        raise InputError(
            f'{TRACKER_KEY}: {tracker} compares embeddings, but the predictions of this model have '
            'none: take SoftIoUStitcher with memory=0'
        )
    embeddings = as_float(embeddings)
    if embeddings.ndim == 3:
        embeddings = embeddings.mean(1)
    check_outputs_finite(embeddings=to_numpy(embeddings.sum(1)))
    return embeddings
