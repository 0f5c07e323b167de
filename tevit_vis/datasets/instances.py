"""The annotated instances of a data set, by frame, in a few flat arrays.

Loader workers are forked: an array that nobody writes stays one in memory, while a tree of Python
objects is copied page by page as reference counts change.

Letters: F frames of all videos, R masks of all frames, A annotations.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tevit_vis.annotated_videos import Video
from tevit_vis.annotations import (
    Note,
    annotation_entries,
    check_annotation,
    frame_masks,
    frame_values,
    note_lines,
)
from tevit_vis.rle import mask_areas, mask_boxes
from tevit_vis.structures import RLE

BOX_AGREES = 0.5  # IoU with the box around the mask
LOGGER = logging.getLogger('tevit_vis')


@dataclass(frozen=True)
class AnnotatedFrame:
    """The instances of one frame.

    Args:
        boxes: [G, 4] float32, x1 y1 x2 y2 in pixels of the frame.
        labels: [G].
        ids: [G], equal for an instance in all frames of the data set, unlike all others.
        masks: G compressed RLEs.
        crowd: [G] bool.
    """

    boxes: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    masks: list[RLE]
    crowd: np.ndarray


class InstanceTable:
    """All masks of a data set, sorted by frame.

    Args:
        rows: those of each frame, (frame, annotation, box, RLE text); frames count through all
            videos.
        labels, crowd: [A].
        num_frames: F.
    """

    def __init__(
        self,
        rows: list[tuple[int, int, np.ndarray, bytes]],
        labels: Sequence[int],
        crowd: Sequence[bool],
        num_frames: int,
    ) -> None:
        rows.sort(key=lambda row: row[:2])
        frames = np.array([row[0] for row in rows], np.int64)
        self.first_row = np.searchsorted(frames, np.arange(num_frames + 1))  # [F + 1]
        self.annotation = np.array([row[1] for row in rows], np.int32)  # [R]
        self.boxes = np.array([row[2] for row in rows], np.float32).reshape(-1, 4)  # [R, 4]
        ends = np.cumsum([0] + [len(row[3]) for row in rows])
        self.text_ends = ends.astype(np.int64)  # [R + 1]
        self.texts = np.frombuffer(b''.join(row[3] for row in rows), np.uint8)
        self.labels = np.array(labels, np.int32)
        self.crowd = np.array(crowd, bool)

    def annotated(self, first: int, last: int) -> np.ndarray:
        """Which of the frames from ``first`` to before ``last`` have an instance, from 0."""
        rows = slice(self.first_row[first], self.first_row[last])
        begins = np.repeat(
            np.arange(last - first), np.diff(self.first_row[first : last + 1])
        )  # frame of each row
        return np.unique(begins[~self.crowd[self.annotation[rows]]])

    def labels_of_frame(self, frame: int) -> np.ndarray:
        """The labels in a frame, crowds left out."""
        rows = self.annotation[slice(*self.first_row[frame : frame + 2])]
        return np.unique(self.labels[rows[~self.crowd[rows]]])

    def of_frame(self, frame: int, size: tuple[int, int]) -> AnnotatedFrame:
        """The instances of a frame of (height, width) ``size``."""
        first, last = self.first_row[frame : frame + 2]
        ids = self.annotation[first:last]
        ends = self.text_ends[first : last + 1]
        texts = [self.texts[a:b].tobytes() for a, b in zip(ends[:-1], ends[1:])]
        return AnnotatedFrame(
            boxes=self.boxes[first:last],
            labels=self.labels[ids].astype(np.int64),
            ids=ids.astype(np.int64),
            masks=[{'size': list(size), 'counts': text.decode()} for text in texts],
            crowd=self.crowd[ids],
        )


def parse_instances(
    content: Mapping[str, Any], path: str, videos: Sequence[Video], categories: Sequence[int]
) -> InstanceTable:
    """The ``annotations`` of a file, checked; none at all is a table without rows.

    As in the official code, masks of no area or in a box narrower than a pixel are left out, and
    boxes and areas are those of the file where it has them; others are computed. Boxes that
    contradict their masks are those of the masks. What is not taken as it is, is logged.

    Args:
        content: of the file.
        path: names the file in errors.
        videos: of the file, in order.
        categories: category id of each label.

    Raises:
        InputError: names the first entry that breaks a rule.
    """
    first_frame = np.cumsum([0] + [video.num_frames for video in videos])
    starts = {video.id: int(first) for video, first in zip(videos, first_frame)}
    by_id = {video.id: video for video in videos}
    label_of = {category: label for label, category in enumerate(categories)}
    rows: list[tuple[int, int, np.ndarray, bytes]] = []
    labels, crowd, notes = [], [], []
    seen: set = set()
    for index, entry in enumerate(annotation_entries(content, path)):
        where = f'{path}: annotations[{index}]'
        parsed = parse_annotation(entry, where, by_id, label_of, seen)
        for t, box, text in parsed.rows:
            rows.append((starts[entry['video_id']] + t, index, box, text))
        notes += parsed.notes
        labels.append(label_of[entry['category_id']])
        crowd.append(bool(entry.get('iscrowd', 0)))
    for line in (*note_lines(notes), *usable_warnings(rows, crowd, path)):
        LOGGER.warning('%s', line)
    return InstanceTable(rows, labels, crowd, int(first_frame[-1]))


def usable_warnings(
    rows: Sequence[tuple[int, int, np.ndarray, bytes]], crowd: Sequence[bool], path: str
) -> list[str]:
    """What keeps a whole data set from being learned from: all crowds, or all next to nothing."""
    lines = []
    if crowd and all(crowd):
        lines.append(
            f'{path}: all {len(crowd)} annotations are crowds ("iscrowd": 1): there is nothing to '
            'train on, and nothing to score against'
        )
    sizes = [(box[2:] - box[:2]).max() for _, _, box, _ in rows]
    if sizes and max(sizes) <= 2:
        lines.append(
            f'{path}: all {len(sizes)} masks are a pixel or two: coordinates must be pixels, '
            'not shares of the frame'
        )
    return lines


class ParsedAnnotation(NamedTuple):
    """An annotation as training and checks take it. T frames."""

    rows: list[tuple[int, np.ndarray, bytes]]  # frame, box x1 y1 x2 y2, RLE text of masks to train
    track: list[RLE | None]  # T masks
    areas: np.ndarray  # [T] pixels of the masks
    boxes: np.ndarray  # [T, 4] x y width height around the masks
    notes: list[Note]


def parse_annotation(
    entry: Mapping[str, Any],
    where: str,
    videos: Mapping[int, Video],
    categories: Container[int],
    seen: set,
) -> ParsedAnnotation:
    """One annotation, checked.

    Args:
        entry: of the file's ``annotations``.
        where: names file and entry in errors.
        videos: by id.
        categories: ids.
        seen: ids of the entries before; this one's is added.

    Raises:
        InputError: the entry breaks a rule.
    """
    check_annotation(entry, where, videos, categories, seen)
    video = videos[entry['video_id']]
    notes: list[Note] = []
    track = frame_masks(entry, video, where, notes)
    own_areas, own_boxes = mask_areas(track), mask_boxes(track)
    areas = _filled(frame_values(entry, 'areas', 1, video, where), own_areas)
    boxes = _filled(frame_values(entry, 'bboxes', 4, video, where), own_boxes)
    rows = []
    for t, (rle, area, box) in enumerate(zip(track, areas, boxes)):
        if rle is None or not own_areas[t]:
            continue
        if box_iou(box, own_boxes[t]) < BOX_AGREES:
            hint = _box_hint(box, own_boxes[t], video)
            if hint or min(box[2:]) >= 1:  # else the file says that there is next to nothing
                kind = f'"bboxes" contradict the masks{hint}; the masks win'
                notes.append(Note(kind, f'{where}: bboxes[{t}]'))
                box = own_boxes[t].tolist()
        x, y, width, height = box
        if area > 0 and width >= 1 and height >= 1:
            corners = np.array([x, y, x + width, y + height], np.float32)
            rows.append((t, corners, rle['counts'].encode()))
    return ParsedAnnotation(rows, track, own_areas, own_boxes, notes)


def box_iou(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Intersection over union of two boxes x y width height.

    Example:
        >>> box_iou([0, 0, 2, 2], [1, 0, 2, 2])
        0.3333333333333333
    """
    sides = [
        min(ours[n] + ours[n + 2], theirs[n] + theirs[n + 2]) - max(ours[n], theirs[n])
        for n in (0, 1)
    ]
    common = max(sides[0], 0.0) * max(sides[1], 0.0)
    either = ours[2] * ours[3] + theirs[2] * theirs[3] - common
    return float(common / either) if either > 0 else 0.0


def _box_hint(box: Sequence[float], around_mask: Sequence[float], video: Video) -> str:
    """What a box that contradicts its mask seems to be."""
    x1, y1, x2, y2 = box
    if box_iou([x1, y1, x2 - x1, y2 - y1], around_mask) > BOX_AGREES:
        return ' (they look like x1 y1 x2 y2; x y width height is right)'
    x1, x2, y1, y2 = x1 * video.width, x2 * video.width, y1 * video.height, y2 * video.height
    as_corners = [x1, y1, x2 - x1, y2 - y1]
    if max(box_iou(each, around_mask) for each in ([x1, y1, x2, y2], as_corners)) > BOX_AGREES:
        return ' (they look like shares of the frame; pixels are right)'
    return ''


def _filled(values: list | None, computed: np.ndarray) -> list:
    """The file's values, and computed ones where it has none."""
    if values is None:
        return computed.tolist()
    return [own if value is None else value for value, own in zip(values, computed.tolist())]
