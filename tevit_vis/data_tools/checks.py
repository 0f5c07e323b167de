"""All that is wrong with a data set in YouTube-VIS layout, and what is in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from terminaltables import AsciiTable

from tevit_vis.annotated_videos import Video, file_categories, other_layout, parse_video
from tevit_vis.annotations import Note, annotation_entries, note_lines
from tevit_vis.datasets.instances import (
    ParsedAnnotation,
    parse_annotation,
    usable_warnings,
)
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.prefetch import prefetch
from tevit_vis.video.images import image_size, read_image, turned_hint

DECODERS = min(8, os.cpu_count() or 1)  # threads
BOX_TOLERANCE = 2.0  # pixels that a box may differ from its mask's


class DatasetCheck:
    """Looks at every entry and every image file.

    Args:
        content: of the annotation file.
        path: names the file in faults.
        root: image folder, or None to leave images out.
        on_video: called after each video.
        headers_only: read no more of an image than its size: faster, but a damaged one passes.

    Attributes:
        faults: a line each, with file and entry; they keep a data set from being used.
        warnings: a line each; such a data set can be used, but may not mean what it says.
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

    def _note(self, check: Callable[[], Any], default: Any) -> Any:
        """What a check returns; its error becomes a fault."""
        try:
            return check()
        except InputError as error:
            self.faults.append(str(error))
            return default

    def _check_categories(self) -> dict[int, str]:
        categories: dict[int, str] = self._note(
            lambda: file_categories(self.content, self.path), {}
        )
        return categories

    def _check_videos(self, on_video: Callable[[], object]) -> None:
        entries = self.content.get('videos')
        layout = other_layout(self.content)
        if layout:
            self.faults.append(f'{self.path}: {layout}')
            return
        if not isinstance(entries, list) or not entries:
            self.faults.append(f'{self.path}: "videos" must be a list with at least one video')
            return
        for index, entry in enumerate(entries):
            where = f'{self.path}: videos[{index}]'
            video = self._note(lambda: parse_video(entry, where), None)  # noqa: B023  (called here)
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
        """What is wrong with an image that should be of a size (W, H); empty where nothing is."""
        try:
            width, height = self._image_size(path)
        except InputError as error:
            return str(error)
        if (width, height) == size:
            return ''
        hint = turned_hint(path, size)
        return f'{path} must be {size[0]}x{size[1]}, but is {width}x{height}{hint}'

    def _image_size(self, path: str) -> tuple[int, int]:
        """(W, H) as training and testing see the image: turned as its EXIF orientation says.

        Raises:
            InputError: it is not there, is no image or, unless only headers are read, is damaged.
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
        entries = self._note(lambda: annotation_entries(self.content, self.path), [])
        seen: set = set()
        all_rows: list[tuple[int, int, np.ndarray, bytes]] = []
        crowd: list[bool] = []
        notes: list[Note] = []
        for index, entry in enumerate(entries):
            where = f'{self.path}: annotations[{index}]'
            parsed = self._note(
                lambda: parse_annotation(entry, where, self.videos, self.categories, seen),  # noqa: B023
                None,
            )
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
        self.warnings += note_lines(notes)
        self.warnings += usable_warnings(all_rows, crowd, self.path)
        for category, name in self.categories.items():
            if entries and not self.instances[category]:
                self.warnings.append(f'{self.path}: category {category} ({name}) has no instance')
        without = len(self.videos) - len(self.instances_per_video)
        if entries and without:
            self.warnings.append(f'{self.path}: {without} videos have no instance')

    def _compare_with_masks(
        self, entry: Mapping[str, Any], where: str, parsed: ParsedAnnotation
    ) -> None:
        """Empty masks, and areas and boxes that are not those of the masks."""
        areas, boxes = parsed.areas, parsed.boxes
        for t, rle in enumerate(parsed.track):
            if rle is None:
                continue
            there = f'{where}: segmentations[{t}]'
            if not areas[t]:
                self.warnings.append(f'{there}: is an empty mask; null says so plainly')
                continue
            area = entry['areas'][t] if entry.get('areas') else None
            if area is not None and area != areas[t]:
                self.warnings.append(f'{there}: has {areas[t]} pixels, but "areas" says {area}')
            box = entry['bboxes'][t] if entry.get('bboxes') else None
            if box is not None and np.abs(np.subtract(box, boxes[t])).max() > BOX_TOLERANCE:
                self.warnings.append(
                    f'{there}: fills the box {boxes[t].tolist()}, but "bboxes" says {box}'
                )

    def summary(self) -> str:
        """Tables of what is in the data set."""
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
