"""The annotated instances of a data set, by frame, in a few flat arrays.

Loader workers are forked: an array that nobody writes stays one in memory, while a tree of Python
objects is copied page by page as reference counts change.

Letters: F frames of all videos, R masks of all frames, A annotations.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tevit_vis.masks import mask_areas, mask_boxes, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError

from .videos import Video


@dataclass(frozen=True)
class FrameInstances:
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

    def of_frame(self, frame: int, size: tuple[int, int]) -> FrameInstances:
        """The instances of a frame of (height, width) ``size``."""
        first, last = self.first_row[frame : frame + 2]
        ids = self.annotation[first:last]
        ends = self.text_ends[first : last + 1]
        texts = [self.texts[a:b].tobytes() for a, b in zip(ends[:-1], ends[1:])]
        return FrameInstances(
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
    boxes and areas are those of the file where it has them.

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
    labels, crowd = [], []
    seen: set = set()
    for index, entry in enumerate(annotation_entries(content, path)):
        where = f'{path}: annotations[{index}]'
        for t, box, text in parse_annotation(entry, where, by_id, label_of, seen):
            rows.append((starts[entry['video_id']] + t, index, box, text))
        labels.append(label_of[entry['category_id']])
        crowd.append(bool(entry.get('iscrowd', 0)))
    return InstanceTable(rows, labels, crowd, int(first_frame[-1]))


def parse_annotation(
    entry: Mapping[str, Any],
    where: str,
    videos: Mapping[int, Video],
    categories: Container[int],
    seen: set,
) -> list[tuple[int, np.ndarray, bytes]]:
    """The masks to train with of one annotation: (frame of its video, box x1 y1 x2 y2, RLE text).

    Args:
        entry: of the file's ``annotations``.
        where: names file and entry in errors.
        videos: by id.
        categories: ids.
        seen: ids of the entries before; this one's is added.

    Raises:
        InputError: the entry breaks a rule.
    """
    if entry.get('id') is not None and entry['id'] in seen:
        raise InputError(f'{where}: "id" must be unique, but {entry["id"]!r} is not')
    seen.add(entry.get('id'))
    if entry.get('video_id') not in videos:
        raise InputError(
            f'{where}: "video_id" must be a video of the file, but got {entry.get("video_id")!r}'
        )
    if entry.get('category_id') not in categories:
        raise InputError(
            f'{where}: "category_id" must be one of the categories, '
            f'but got {entry.get("category_id")!r}'
        )
    return _masks_of(entry, videos[entry['video_id']], where)


def annotation_entries(content: Mapping[str, Any], path: str) -> list[dict]:
    """The ``annotations`` of a file; an empty list where there are none.

    Raises:
        InputError: they are no list of objects.
    """
    entries = content.get('annotations') or []
    if not isinstance(entries, list):
        raise InputError(f'{path}: "annotations" must be a list, but got {type(entries).__name__}')
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(f'{path}: annotations[{index}] must be an object, but got {entry!r}')
    return entries


def frame_masks(entry: Mapping[str, Any], video: Video, where: str) -> list[RLE | None]:
    """The masks of an annotation as compressed RLE, one or None per frame of its video.

    Raises:
        InputError: too few or too many, of another size, or neither RLE nor polygons.
    """
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != video.num_frames:
        found = len(masks) if isinstance(masks, list) else repr(masks)
        raise InputError(
            f'{where}: "segmentations" must have one mask or null for each of the '
            f'{video.num_frames} frames of video {video.id}, but got {found}'
        )
    track: list[RLE | None] = []
    for t, mask in enumerate(masks):
        try:
            rle = to_rle(mask, video.height, video.width) if mask else None
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(
                f'{where}: segmentations[{t}] must be RLE, polygons or null, but: {error}'
            ) from None
        if rle and list(rle['size']) != [video.height, video.width]:
            raise InputError(
                f'{where}: segmentations[{t}] must have the size [height, width] of its video, '
                f'{[video.height, video.width]}, but has {list(rle["size"])}'
            )
        track.append(rle)
    return track


def _masks_of(
    entry: Mapping[str, Any], video: Video, where: str
) -> list[tuple[int, np.ndarray, bytes]]:
    """(frame, box x1 y1 x2 y2, RLE text) of the masks to train with."""
    track = frame_masks(entry, video, where)
    areas = _per_frame(entry, 'areas', video, where) or mask_areas(track)
    boxes = _per_frame(entry, 'bboxes', video, where) or mask_boxes(track)
    rows = []
    for t, (rle, area, box) in enumerate(zip(track, areas, boxes)):
        if rle is None or box is None or not area or area <= 0:
            continue
        x, y, width, height = box
        if width >= 1 and height >= 1:
            corners = np.array([x, y, x + width, y + height], np.float32)
            rows.append((t, corners, rle['counts'].encode()))
    return rows


def _per_frame(entry: Mapping[str, Any], key: str, video: Video, where: str) -> list | None:
    """A list of an annotation with one value per frame, or None where there is none.

    Raises:
        InputError: it has another length.
    """
    values = entry.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != video.num_frames:
        found = len(values) if isinstance(values, list) else repr(values)
        raise InputError(
            f'{where}: "{key}" must have one entry for each of the {video.num_frames} frames of '
            f'video {video.id}, but got {found}'
        )
    return values
