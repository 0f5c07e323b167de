"""The annotated instances of a data set, by frame, in a few flat arrays.

Loader workers are forked. They share the memory of an array that nobody writes to, while Python
objects are copied page by page, since reading them changes their reference counts.

Letters: F frames of all videos, R masks of all frames, A annotations, G instances of a frame.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tevit_vis.annotated_videos import Video
from tevit_vis.annotations import (
    EntryWarning,
    annotation_entries,
    check_annotation,
    parse_frame_values,
    parse_segmentations,
    warning_lines,
)
from tevit_vis.rle import mask_areas, mask_boxes
from tevit_vis.structures import RLE

MIN_BOX_IOU = 0.5  # of a box of the file with the box around its mask
LOGGER = logging.getLogger('tevit_vis')


@dataclass(frozen=True)
class AnnotatedFrame:
    """The instances of one frame.

    Args:
        boxes: [G, 4] float32, x1 y1 x2 y2 in pixels of the frame.
        labels: [G].
        ids: [G], index of the annotation: equal for one instance in all its frames, unique in the
            data set.
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
        rows: (frame, index of the annotation, box, RLE text) of each mask; frames count through
            all videos.
        labels, crowd: [A], of the annotations.
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
        self.annotation_index = np.array([row[1] for row in rows], np.int32)  # [R]
        self.boxes = np.array([row[2] for row in rows], np.float32).reshape(-1, 4)  # [R, 4]
        ends = np.cumsum([0] + [len(row[3]) for row in rows])
        self.text_ends = ends.astype(np.int64)  # [R + 1]
        self.texts = np.frombuffer(b''.join(row[3] for row in rows), np.uint8)  # all joined
        self.labels = np.array(labels, np.int32)
        self.crowd = np.array(crowd, bool)

    def annotated_frames(self, first: int, last: int) -> np.ndarray:
        """Returns which of the frames ``first`` to ``last - 1`` have an instance, counted from
        ``first``; crowds are no instances.
        """
        rows = slice(self.first_row[first], self.first_row[last])
        frame_of_row = np.repeat(
            np.arange(last - first), np.diff(self.first_row[first : last + 1])
        )  # frame of each row
        return np.unique(frame_of_row[~self.crowd[self.annotation_index[rows]]])

    def labels_of_frame(self, frame: int) -> np.ndarray:
        """Returns each label in a frame once; crowds are left out."""
        annotations = self.annotation_index[slice(*self.first_row[frame : frame + 2])]
        return np.unique(self.labels[annotations[~self.crowd[annotations]]])

    def of_frame(self, frame: int, size: tuple[int, int]) -> AnnotatedFrame:
        """Returns the instances of a frame; ``size`` is its (height, width)."""
        first, last = self.first_row[frame : frame + 2]
        annotations = self.annotation_index[first:last]
        ends = self.text_ends[first : last + 1]
        texts = [self.texts[start:end].tobytes() for start, end in zip(ends[:-1], ends[1:])]
        return AnnotatedFrame(
            boxes=self.boxes[first:last],
            labels=self.labels[annotations].astype(np.int64),
            ids=annotations.astype(np.int64),
            masks=[{'size': list(size), 'counts': text.decode()} for text in texts],
            crowd=self.crowd[annotations],
        )


def parse_instances(
    content: Mapping[str, Any], path: str, videos: Sequence[Video], categories: Sequence[int]
) -> InstanceTable:
    """Checks the ``annotations`` of a file and returns them as a table.

    As in the official code, masks of no area or with a box narrower than a pixel are left out.
    Boxes and areas are those of the file; missing ones are computed from the masks. A box that
    contradicts its mask is replaced by the box around the mask. Replaced boxes and polygons that
    are left out are logged. The table has no rows if the file has no annotations.

    Args:
        content: of the file.
        path: names the file in errors.
        videos: of the file, in order.
        categories: category id of each label.

    Raises:
        InputError: names the first entry that breaks a rule.
    """
    first_frame = np.cumsum([0] + [video.num_frames for video in videos])
    first_frame_of = {video.id: int(first) for video, first in zip(videos, first_frame)}
    video_of = {video.id: video for video in videos}
    label_of = {category: label for label, category in enumerate(categories)}
    rows: list[tuple[int, int, np.ndarray, bytes]] = []
    labels, crowd, notes = [], [], []
    used_ids: set = set()
    for index, entry in enumerate(annotation_entries(content, path)):
        where = f'{path}: annotations[{index}]'
        parsed = parse_annotation(entry, where, video_of, label_of, used_ids)
        for t, box, text in parsed.rows:
            rows.append((first_frame_of[entry['video_id']] + t, index, box, text))
        notes += parsed.notes
        labels.append(label_of[entry['category_id']])
        crowd.append(bool(entry.get('iscrowd', 0)))
    for line in (*warning_lines(notes), *data_set_warnings(rows, crowd, path)):
        LOGGER.warning('%s', line)
    return InstanceTable(rows, labels, crowd, int(first_frame[-1]))


def data_set_warnings(
    rows: Sequence[tuple[int, int, np.ndarray, bytes]], crowd: Sequence[bool], path: str
) -> list[str]:
    """Returns warnings of a data set that cannot be learned from: all annotations are crowds, or
    all masks are tiny.
    """
    warnings = []
    if crowd and all(crowd):
        warnings.append(
            f'{path}: all {len(crowd)} annotations are crowds ("iscrowd": 1): there is nothing to '
            'train on, and nothing to score against'
        )
    sizes = [(box[2:] - box[:2]).max() for _, _, box, _ in rows]
    if sizes and max(sizes) <= 2:
        warnings.append(
            f'{path}: all {len(sizes)} masks are a pixel or two: coordinates must be pixels, '
            'not shares of the frame'
        )
    return warnings


class ParsedAnnotation(NamedTuple):
    """A checked annotation of a video of T frames."""

    rows: list[tuple[int, np.ndarray, bytes]]  # masks to train on: frame, box x1 y1 x2 y2, RLE text
    masks: list[RLE | None]  # T of them
    areas: np.ndarray  # [T] pixels, computed from the masks
    boxes: np.ndarray  # [T, 4] x y width height, computed from the masks
    notes: list[EntryWarning]


def parse_annotation(
    entry: Mapping[str, Any],
    where: str,
    videos: Mapping[int, Video],
    categories: Container[int],
    used_ids: set,
) -> ParsedAnnotation:
    """Checks one annotation and returns its masks, areas and boxes.

    Args:
        entry: of the file's ``annotations``.
        where: names file and entry in errors.
        videos: the videos of the file by id.
        categories: the ids of the categories.
        used_ids: ids of the annotations before it; the id of this one is added.

    Raises:
        InputError: the entry breaks a rule.
    """
    check_annotation(entry, where, videos, categories, used_ids)
    video = videos[entry['video_id']]
    notes: list[EntryWarning] = []
    masks = parse_segmentations(entry, video, where, notes)
    computed_areas, computed_boxes = mask_areas(masks), mask_boxes(masks)
    areas = _filled(parse_frame_values(entry, 'areas', 1, video, where), computed_areas)
    boxes = _filled(parse_frame_values(entry, 'bboxes', 4, video, where), computed_boxes)
    rows = []
    for t, (rle, area, box) in enumerate(zip(masks, areas, boxes)):
        if rle is None or not computed_areas[t]:
            continue
        if box_iou(box, computed_boxes[t]) < MIN_BOX_IOU:
            hint = _box_hint(box, computed_boxes[t], video)
            if hint or min(box[2:]) >= 1:  # a smaller box says: leave this mask out
                text = f'"bboxes" contradict the masks{hint}; the masks win'
                notes.append(EntryWarning(text, f'{where}: bboxes[{t}]'))
                box = computed_boxes[t].tolist()
        x, y, width, height = box
        if area > 0 and width >= 1 and height >= 1:
            corners = np.array([x, y, x + width, y + height], np.float32)
            rows.append((t, corners, rle['counts'].encode()))
    return ParsedAnnotation(rows, masks, computed_areas, computed_boxes, notes)


def box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns the intersection over union of two boxes x y width height.

    Example:
        >>> box_iou([0, 0, 2, 2], [1, 0, 2, 2])
        0.3333333333333333
    """
    sides = [
        min(first[n] + first[n + 2], second[n] + second[n + 2]) - max(first[n], second[n])
        for n in (0, 1)
    ]
    intersection = max(sides[0], 0.0) * max(sides[1], 0.0)
    union = first[2] * first[3] + second[2] * second[3] - intersection
    return float(intersection / union) if union > 0 else 0.0


def _box_hint(box: Sequence[float], around_mask: Sequence[float], video: Video) -> str:
    """Returns what the mistake in a box that contradicts its mask seems to be, or an empty text."""
    x1, y1, x2, y2 = box
    if box_iou([x1, y1, x2 - x1, y2 - y1], around_mask) > MIN_BOX_IOU:
        return ' (they look like x1 y1 x2 y2; x y width height is right)'
    x1, x2, y1, y2 = x1 * video.width, x2 * video.width, y1 * video.height, y2 * video.height
    as_corners = [x1, y1, x2 - x1, y2 - y1]
    if max(box_iou(each, around_mask) for each in ([x1, y1, x2, y2], as_corners)) > MIN_BOX_IOU:
        return ' (they look like shares of the frame; pixels are right)'
    return ''


def _filled(values: list | None, computed: np.ndarray) -> list:
    """Returns the values of the file; missing ones are replaced by computed ones."""
    if values is None:
        return computed.tolist()
    return [
        computed_value if value is None else value
        for value, computed_value in zip(values, computed.tolist())
    ]
