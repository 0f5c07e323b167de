"""Writes CVAT for video 1.1: a mask per frame of each track, exact to the pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import numpy as np

from tevit_vis.annotated_videos import Video
from tevit_vis.rle import decode_rle, mask_boxes
from tevit_vis.structures import RLE
from tevit_vis.utils.files import write_atomically

CROWD = 'iscrowd'  # attribute of tracks that are crowds


def write_file(
    path: str,
    videos: list[Video],
    names: Mapping[int, str],
    labels: Mapping[int, str],
    tracks: Mapping[int, list[Mapping[str, Any]]],
) -> None:
    """Writes a file with a task per video; the file appears when it is complete.

    Args:
        path: of the file.
        videos: of the file.
        names: {video id: name}.
        labels: {category id: name}.
        tracks: {video id: annotations}, whose masks are compressed RLE.

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
                        _write_track(writer, number, entry, labels[entry['category_id']], task)
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
    writer: _XMLWriter, number: int, entry: Mapping[str, Any], label: str, task: dict[str, str]
) -> None:
    """Writes a track with a mask per frame, and a shape that is outside where it is not seen."""
    masks: list[RLE | None] = entry['segmentations']
    boxes = mask_boxes(masks).astype(int)
    crowd = 'true' if entry.get('iscrowd') else 'false'
    with writer.element('track', id=str(number), label=label, source='file', **task):
        shown: dict[str, str] = {}
        for t, (mask, box) in enumerate(zip(masks, boxes)):
            if mask is not None and box[2] and box[3]:
                shown = _mask_attributes(mask, box)
                _write_mask(writer, t, '0', shown, crowd)
            elif shown:  # ends here, with the mask that it had
                _write_mask(writer, t, '1', shown, crowd)
                shown = {}


def _write_mask(
    writer: _XMLWriter, frame: int, outside: str, values: dict[str, str], crowd: str
) -> None:
    marks = {'frame': str(frame), 'keyframe': '1', 'outside': outside, 'occluded': '0'}
    with writer.element('mask', **marks, **values, z_order='0'):
        writer.text_element('attribute', crowd, name=CROWD)


def _mask_attributes(mask: RLE, box: np.ndarray) -> dict[str, str]:
    """Returns the runs of a mask inside of its box (x y width height), row by row."""
    left, top, width, height = box.tolist()
    pixels = decode_rle(mask)[top : top + height, left : left + width].ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs = np.diff([0, *changes, len(pixels)]).tolist()
    runs = [0, *runs] if pixels[0] else runs
    return {
        'rle': ', '.join(map(str, runs)),
        'left': str(left),
        'top': str(top),
        'width': str(width),
        'height': str(height),
    }
