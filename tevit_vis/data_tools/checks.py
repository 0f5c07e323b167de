"""Checks a data set in YouTube-VIS layout: lists all its faults and counts what is in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from terminaltables import AsciiTable

from tevit_vis.annotated_instances import (
    ParsedAnnotation,
    data_set_warnings,
    parse_annotation,
)
from tevit_vis.annotated_videos import Video, file_categories, other_layout_message, parse_video
from tevit_vis.annotations import EntryWarning, annotation_entries, warning_lines
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.prefetch import prefetch
from tevit_vis.video.images import image_size, read_image, turned_hint

DECODERS = min(8, os.cpu_count() or 1)  # threads
BOX_TOLERANCE = 2.0  # pixels by which a box may differ from the box around its mask


class DatasetCheck:
    """Checks every entry of an annotation file and every image file.

    Args:
        content: of the annotation file.
        path: names the file in faults.
        root: image folder, or None to check no images.
        on_video: called after each video.
        headers_only: whether only the size of an image is read, which is faster but misses damaged
            images.

    Attributes:
        faults: one line each, with file and entry; a data set with faults cannot be used.
        warnings: one line each; a data set with warnings can be used, but may contain mistakes.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        path: str,
        root: str | None,
        on_video: Callable[[], object] = lambda: None,
        headers_only: bool = False,
    ) -> None:
        self.content = content
        self.path = path
        self.root = root
        self.headers_only = headers_only
        self.faults: list[str] = []
        self.warnings: list[str] = []
        self.videos: dict[int, Video] = {}
        self.instances: Counter = Counter()  # by category id
        self.instances_per_video: Counter = Counter()
        self.num_masks = 0
        self.categories = self._check_categories()
        self._check_videos(on_video)
        self._check_annotations()

    def _run_check(self, check: Callable[[], Any], default: Any) -> Any:
        """Returns what a check returns; an InputError becomes a fault."""
        try:
            return check()
        except InputError as error:
            self.faults.append(str(error))
            return default

    def _check_categories(self) -> dict[int, str]:
        categories: dict[int, str] = self._run_check(
            lambda: file_categories(self.content, self.path), {}
        )
        return categories

    def _check_videos(self, on_video: Callable[[], object]) -> None:
        entries = self.content.get('videos')
        fault = other_layout_message(self.content)
        if fault:
            self.faults.append(f'{self.path}: {fault}')
            return
        if not isinstance(entries, list) or not entries:
            self.faults.append(f'{self.path}: "videos" must be a list with at least one video')
            return
        for index, entry in enumerate(entries):
            where = f'{self.path}: videos[{index}]'
            video = self._run_check(partial(parse_video, entry, where), None)
            if video is not None:
                if video.id in self.videos:
                    self.faults.append(f'{where}: "id" must be unique, but {video.id} is not')
                self.videos[video.id] = video
                self.faults += self._image_faults(video, where)
            on_video()

    def _image_faults(self, video: Video, where: str) -> Iterator[str]:
        names = video.file_names
        if len(set(names)) < len(names):
            self.warnings.append(f'{where}: "file_names" has the same file twice')
        if self.root is None:
            return
        paths = [os.path.join(self.root, name) for name in names]
        size = video.width, video.height
        # Images are decoded outside Python's lock.
        faults = prefetch(
            lambda path: self._image_fault(path, size), paths, DECODERS, ahead=2 * DECODERS
        )
        for t, fault in enumerate(faults):
            if fault:
                yield f'{where}: file_names[{t}]: {fault}'

    def _image_fault(self, path: str, size: tuple[int, int]) -> str:
        """Returns what is wrong with an image that must have the size (W, H), or an empty text."""
        try:
            width, height = self._image_size(path)
        except InputError as error:
            return str(error)
        if (width, height) == size:
            return ''
        hint = turned_hint(path, size)
        return f'{path} must be {size[0]}x{size[1]}, but is {width}x{height}{hint}'

    def _image_size(self, path: str) -> tuple[int, int]:
        """Returns (W, H) of an image, turned by its EXIF orientation as training and testing do.

        Raises:
            InputError: the file is absent or is not an image, or the image is damaged and not only
                headers are read.
        """
        if not os.path.isfile(path):
            raise InputError(f'{path} is not there')
        try:
            if self.headers_only:
                return image_size(path)
            height, width = read_image(path).shape[:2]
        except InputError:
            raise InputError(f'{path} is no image') from None
        return width, height

    def _check_annotations(self) -> None:
        entries = self._run_check(lambda: annotation_entries(self.content, self.path), [])
        used_ids: set = set()
        all_rows: list[tuple[int, int, np.ndarray, bytes]] = []
        crowd: list[bool] = []
        notes: list[EntryWarning] = []
        for index, entry in enumerate(entries):
            where = f'{self.path}: annotations[{index}]'
            check = partial(parse_annotation, entry, where, self.videos, self.categories, used_ids)
            parsed = self._run_check(check, None)
            if parsed is None:
                continue
            rows = parsed.rows
            all_rows += [(t, index, box, text) for t, box, text in rows]
            crowd.append(bool(entry.get('iscrowd', 0)))
            notes += parsed.notes
            self.instances[entry['category_id']] += 1
            self.instances_per_video[entry['video_id']] += 1
            self.num_masks += len(rows)
            self._compare_with_masks(entry, where, parsed)
            if not rows:
                self.warnings.append(f'{where}: has no mask to train with in any frame')
        self.warnings += warning_lines(notes)
        self.warnings += data_set_warnings(all_rows, crowd, self.path)
        for category, name in self.categories.items():
            if entries and not self.instances[category]:
                self.warnings.append(f'{self.path}: category {category} ({name}) has no instance')
        num_without = len(self.videos) - len(self.instances_per_video)
        if entries and num_without:
            self.warnings.append(f'{self.path}: {num_without} videos have no instance')

    def _compare_with_masks(
        self, entry: Mapping[str, Any], where: str, parsed: ParsedAnnotation
    ) -> None:
        """Warns of empty masks, and of areas and boxes that are not those of the masks."""
        areas, boxes = parsed.areas, parsed.boxes
        for t, rle in enumerate(parsed.masks):
            if rle is None:
                continue
            where_mask = f'{where}: segmentations[{t}]'
            if not areas[t]:
                self.warnings.append(f'{where_mask}: is an empty mask: null would be clearer')
                continue
            area = entry['areas'][t] if entry.get('areas') else None
            if area is not None and area != areas[t]:
                self.warnings.append(
                    f'{where_mask}: has {areas[t]} pixels, but "areas" says {area}'
                )
            box = entry['bboxes'][t] if entry.get('bboxes') else None
            if box is not None and np.abs(np.subtract(box, boxes[t])).max() > BOX_TOLERANCE:
                self.warnings.append(
                    f'{where_mask}: fills the box {boxes[t].tolist()}, but "bboxes" says {box}'
                )

    def summary(self) -> str:
        """Returns tables of what is in the data set."""
        lengths = [video.num_frames for video in self.videos.values()]
        sizes = Counter(f'{video.width}x{video.height}' for video in self.videos.values())
        counts = [self.instances_per_video[video] for video in self.videos]
        rows = [
            ['videos', str(len(self.videos))],
            ['frames', f'{sum(lengths)} ({_spread(lengths)} a video)'],
            ['instances', f'{sum(counts)} ({_spread(counts)} a video)'],
            ['masks', str(self.num_masks)],
            ['sizes', ', '.join(f'{size}: {count}' for size, count in sizes.most_common(5))],
        ]
        table = AsciiTable([['', self.path], *rows]).table
        by_category = [
            [str(category), name, str(self.instances[category])]
            for category, name in self.categories.items()
        ]
        return f'{table}\n{AsciiTable([["id", "category", "instances"], *by_category]).table}'


def _spread(values: list[int]) -> str:
    return f'{min(values)} to {max(values)}, median {np.median(values):g}' if values else 'none'
