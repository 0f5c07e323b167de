"""Writes tracks as tables and pictures, frame by frame: CSV, MOT, MOTS, crops.

A frame is written as it comes, so that hours of video need no memory. Boxes are those around the
masks.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from tevit_vis.rle import decode_rle, encode_array, mask_boxes
from tevit_vis.structures import FrameInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults
from tevit_vis.utils.json_files import LinesWriter

from .mask_files import MOTS_CLASS

CSV_COLUMNS = (
    *('frame', 'time', 'track', 'class', 'score', 'left', 'top', 'width', 'height'),
    *('area', 'centre_x', 'centre_y'),
)


class TableWriter:
    """Writes a text file with lines for each frame; a context manager.

    Args:
        path: of the file.
        kind: of ``TABLES``.
        class_names: name of each label.
        score_thr: least score of the tracks that are written.

    Raises:
        InputError: the file cannot be written, or another process writes it.
    """

    def __init__(self, path: str, kind: str, class_names: Sequence[str], score_thr: float) -> None:
        header, self.rows_of = TABLES[kind]
        self.class_names = class_names
        self.score_thr = score_thr
        self.lines = LinesWriter(path)
        self.delimiter = ' ' if kind == 'mots' else ','
        if header is not None:
            self._write(header(class_names))

    def __enter__(self) -> TableWriter:
        self.lines.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.lines.__exit__(*error)

    def write(self, instances: FrameInstances, image: np.ndarray) -> None:
        """Writes the lines of a frame.

        Raises:
            InputError: the disk is full.
        """
        for row in self.rows_of(confident(instances, self.score_thr), self.class_names):
            self._write(row)

    def _write(self, row: Sequence[object]) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator='').writerow(row)
        self.lines.write_line(text.getvalue())


class CropWriter:
    """Writes what is inside of each mask as PNGs with transparency: ``TRACK_CLASS/FRAME.png``.

    Args:
        folder: to write; it must be new or empty.
        class_names: name of each label.
        score_thr: least score of the tracks that are written.

    Raises:
        InputError: the folder cannot be written, or holds something.
    """

    def __init__(
        self, folder: str | os.PathLike, class_names: Sequence[str], score_thr: float
    ) -> None:
        self.folder = Path(folder)
        self.class_names = class_names
        self.score_thr = score_thr
        self.names: dict[int, str] = {}  # by track: its folder, called by its first class
        check_crop_folder(self.folder)
        with writing_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, instances: FrameInstances, image: np.ndarray) -> None:
        """Writes the crops of a frame.

        Args:
            instances: of the frame.
            image: [H, W, 3] BGR.

        Raises:
            InputError: the disk is full.
        """
        found = confident(instances, self.score_thr)
        boxes = mask_boxes(found.masks).astype(int).tolist()
        for n, (left, top, width, height) in enumerate(boxes):
            if not width or not height:
                continue
            label = self.class_names[found.class_scores[n].argmax()].replace('/', '_')
            name = self.names.setdefault(found.tracks[n], f'{found.tracks[n]:03d}_{label}')
            region = slice(top, top + height), slice(left, left + width)
            alpha = decode_rle(found.masks[n])[region].astype(np.uint8) * 255
            _, data = cv2.imencode('.png', np.dstack([image[region], alpha]))
            path = self.folder / name / f'{found.frame:05d}.png'
            with writing_faults(path, 'the frames before are kept'):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data.tobytes())


def check_crop_folder(folder: str | os.PathLike) -> None:
    """Checks that crops may be written into a folder.

    Raises:
        InputError: it is a file, or holds something.
    """
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f'{path}: crops must go to a new or empty folder, but it is there already')


def confident(instances: FrameInstances, score_thr: float) -> FrameInstances:
    """Returns the tracks of a frame whose best class scores at least ``score_thr``."""
    scores = instances.class_scores.max(1, initial=0)
    return instances.select(np.flatnonzero(scores >= score_thr).tolist())


Rows = Iterator[Sequence[object]]


def _csv_rows(instances: FrameInstances, class_names: Sequence[str]) -> Rows:
    """Yields a row for each track: time in seconds, box, area and centre of its mask in pixels."""
    time = '' if instances.time is None else round(instances.time, 6)
    boxes = mask_boxes(instances.masks).astype(int).tolist()
    for n, track in enumerate(instances.tracks):
        rows, columns = np.nonzero(decode_rle(instances.masks[n]))
        if not len(rows):
            continue
        scores = instances.class_scores[n]
        values = [class_names[scores.argmax()], round(float(scores.max()), 4), *boxes[n], len(rows)]
        centre = [round(float(columns.mean()) + 0.5, 1), round(float(rows.mean()) + 0.5, 1)]
        yield [instances.frame, time, track, *values, *centre]


def _count_rows(instances: FrameInstances, class_names: Sequence[str]) -> Rows:
    """Yields one row: how many tracks of each class the frame has."""
    counts = Counter(instances.class_scores.argmax(1).tolist() if instances.tracks else [])
    time = '' if instances.time is None else round(instances.time, 6)
    yield [instances.frame, time, *(counts[label] for label in range(len(class_names)))]


def _mot_rows(instances: FrameInstances, class_names: Sequence[str]) -> Rows:
    """Yields a row for each track: frames and tracks from 1, box, score (MOTChallenge)."""
    boxes = mask_boxes(instances.masks).astype(int).tolist()
    for n, track in enumerate(instances.tracks):
        if boxes[n][2] and boxes[n][3]:
            score = round(float(instances.class_scores[n].max()), 4)
            yield [instances.frame + 1, track + 1, *boxes[n], score, -1, -1, -1]


def _mots_rows(instances: FrameInstances, class_names: Sequence[str]) -> Rows:
    """Yields a row for each track: frame, class * 1000 + track, class, size, RLE (MOTS).

    No pixel belongs to two objects there: the track with the better score keeps it.
    """
    free = np.ones(instances.size, bool)
    for n in np.argsort(-instances.class_scores.max(1, initial=0), kind='stable').tolist():
        inside = decode_rle(instances.masks[n]) & free
        if inside.any():
            free &= ~inside
            label = int(instances.class_scores[n].argmax()) + 1
            number = label * MOTS_CLASS + instances.tracks[n]
            counts = encode_array(inside)['counts']
            yield [instances.frame, number, label, *instances.size, counts]


Header = Callable[[Sequence[str]], Sequence[object]]
TABLES: dict[str, tuple[Header | None, Callable[[FrameInstances, Sequence[str]], Rows]]] = {
    'csv': (lambda _: CSV_COLUMNS, _csv_rows),
    'counts': (lambda class_names: ['frame', 'time', *class_names], _count_rows),
    'mot': (None, _mot_rows),
    'mots': (None, _mots_rows),
}
