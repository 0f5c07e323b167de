"""Writes CVAT for video 1.1: a mask, exact to the pixel, or a polygon per frame of each track."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import cv2
import numpy as np

from tevit_vis.annotated_videos import Video
from tevit_vis.rle import decode_rle, mask_boxes
from tevit_vis.structures import RLE
from tevit_vis.utils.files import write_atomically

CROWD = 'iscrowd'  # attribute of tracks that are crowds
FINE = 4  # cells of a pixel's side, between which an outline runs
TOLERANCE = 0.3  # pixels by which an outline may be off
ShapeOf = Callable[[RLE, np.ndarray], tuple[str, dict[str, str]]]


def write_file(
    path: str,
    videos: list[Video],
    names: Mapping[int, str],
    labels: Mapping[int, str],
    tracks: Mapping[int, list[Mapping[str, Any]]],
    shape_of: ShapeOf,
) -> None:
    """Writes a file with a task per video; the file appears when it is complete.

    Args:
        path: of the file.
        videos: of the file.
        names: {video id: name}.
        labels: {category id: name}.
        tracks: {video id: annotations}, whose masks are compressed RLE.
        shape_of: ``mask_shape`` or ``polygon_shape``.

    Raises:
        InputError: the file cannot be written.
    """

    def write(unfinished: str) -> None:
        with open(unfinished, 'w', encoding='utf-8') as file:
            writer = _XMLWriter(file)
            writer.startDocument()
            with writer.element('annotations'):
                writer.text_element('version', '1.1')
                with writer.element('meta'):
                    if len(videos) == 1:
                        _write_task(writer, videos[0], names, labels)
                    else:
                        with writer.element('project'), writer.element('tasks'):
                            for video in videos:
                                _write_task(writer, video, names, labels)
                number = 0
                for video in videos:
                    for entry in tracks[video.id]:
                        task = {} if len(videos) == 1 else {'task_id': str(video.id)}
                        _write_track(
                            writer, number, entry, labels[entry['category_id']], task, shape_of
                        )
                        number += 1
            writer.endDocument()

    write_atomically(path, write)


class _XMLWriter(XMLGenerator):
    """Writes indented XML."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, 'utf-8', short_empty_elements=True)
        self.depth = 0

    @contextmanager
    def element(self, tag: str, /, **attributes: str) -> Iterator[None]:
        """Opens an element, whose content is written inside of the ``with`` block."""
        self.ignorableWhitespace('\n' + '  ' * self.depth)
        self.startElement(tag, AttributesImpl(attributes))
        self.depth += 1
        yield
        self.depth -= 1
        self.ignorableWhitespace('\n' + '  ' * self.depth)
        self.endElement(tag)

    def text_element(self, tag: str, text: str, /, **attributes: str) -> None:
        """Writes an element that holds a text."""
        self.ignorableWhitespace('\n' + '  ' * self.depth)
        self.startElement(tag, AttributesImpl(attributes))
        self.characters(text)
        self.endElement(tag)


def _write_task(
    writer: _XMLWriter, video: Video, names: Mapping[int, str], labels: Mapping[int, str]
) -> None:
    with writer.element('task'):
        values = {
            'id': video.id,
            'name': names[video.id],
            'size': video.num_frames,
            'mode': 'interpolation',
            'start_frame': 0,
            'stop_frame': video.num_frames - 1,
        }
        for key, value in values.items():
            writer.text_element(key, str(value))
        with writer.element('labels'):
            for label in labels.values():
                with writer.element('label'):
                    writer.text_element('name', label)
                    with writer.element('attributes'), writer.element('attribute'):
                        writer.text_element('name', CROWD)
                        writer.text_element('mutable', 'False')
                        writer.text_element('input_type', 'checkbox')
                        writer.text_element('default_value', 'false')
                        writer.text_element('values', 'false')
        with writer.element('original_size'):
            writer.text_element('width', str(video.width))
            writer.text_element('height', str(video.height))


def _write_track(
    writer: _XMLWriter,
    number: int,
    entry: Mapping[str, Any],
    label: str,
    task: dict[str, str],
    shape_of: ShapeOf,
) -> None:
    """Writes a track with a shape per frame, and one that is outside where it is not seen."""
    masks: list[RLE | None] = entry['segmentations']
    boxes = mask_boxes(masks).astype(int)
    crowd = 'true' if entry.get('iscrowd') else 'false'
    with writer.element('track', id=str(number), label=label, source='file', **task):
        shown: tuple[str, dict[str, str]] | None = None
        for t, (mask, box) in enumerate(zip(masks, boxes)):
            if mask is not None and box[2] and box[3]:
                shown = shape_of(mask, box)
                _write_shape(writer, t, '0', shown, crowd)
            elif shown is not None:  # ends here, with the shape that it had
                _write_shape(writer, t, '1', shown, crowd)
                shown = None


def _write_shape(
    writer: _XMLWriter, frame: int, outside: str, shape: tuple[str, dict[str, str]], crowd: str
) -> None:
    tag, values = shape
    marks = {'frame': str(frame), 'keyframe': '1', 'outside': outside, 'occluded': '0'}
    with writer.element(tag, **marks, **values, z_order='0'):
        writer.text_element('attribute', crowd, name=CROWD)


def mask_shape(mask: RLE, box: np.ndarray) -> tuple[str, dict[str, str]]:
    """Returns tag and attributes of a mask: its runs inside of its box, row by row.

    Args:
        mask: with at least one pixel.
        box: around it, x y width height.
    """
    left, top, width, height = box.tolist()
    pixels = decode_rle(mask)[top : top + height, left : left + width].ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs = np.diff([0, *changes, len(pixels)]).tolist()
    runs = [0, *runs] if pixels[0] else runs
    return 'mask', {
        'rle': ', '.join(map(str, runs)),
        'left': str(left),
        'top': str(top),
        'width': str(width),
        'height': str(height),
    }


def polygon_shape(mask: RLE, box: np.ndarray) -> tuple[str, dict[str, str]]:
    """Returns tag and attributes of the outline of a mask's largest part, without its holes.

    The outline runs along the edges of pixels, to an eighth of one; corners that move it by less
    than ``TOLERANCE`` are left out.

    Args:
        mask: with at least one pixel.
        box: around it, x y width height.
    """
    left, top, width, height = box.tolist()
    pixels = decode_rle(mask)[top : top + height, left : left + width].astype(np.uint8)
    fine = np.kron(pixels, np.ones((FINE, FINE), np.uint8))
    outlines, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = cv2.approxPolyDP(max(outlines, key=cv2.contourArea), TOLERANCE * FINE, True)
    points = (largest[:, 0] + 0.5) / FINE + (left, top)
    return 'polygon', {'points': ';'.join(f'{x:.2f},{y:.2f}' for x, y in points)}


def num_parts(mask: RLE) -> int:
    """Returns how many parts and holes a mask has.

    Example:
        >>> num_parts({'size': [3, 4], 'counts': '723'})
        1
    """
    outlines, _ = cv2.findContours(
        decode_rle(mask).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    return len(outlines)
