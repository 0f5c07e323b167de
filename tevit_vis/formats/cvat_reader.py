"""Reads one file of CVAT for video 1.1, track by track."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from tevit_vis.mask_checks import check_size
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError

from .base import ReadOptions
from .builder import ContentBuilder
from .cvat_shapes import AREAS, Shape, shape_mask, spread_shapes, whole_number
from .cvat_writer import CROWD
from .frame_names import frame_names


@dataclass
class Task:
    """A task of a file: one video.

    Args:
        name: of the task.
        length: frames.
        first, step: numbers of frames in the video, see ``frame_names``.
        size: (width, height).
        labels: of the task.
    """

    name: str
    length: int
    first: int
    step: int
    size: tuple[int, int]
    labels: list[str] = field(default_factory=list)


@contextmanager
def _xml_faults(path: str) -> Iterator[None]:
    """Turns what the XML parser raises into an ``InputError``."""
    try:
        from defusedxml.common import DefusedXmlException
    except ImportError:
        raise InputError('cvat: needs defusedxml: pip install defusedxml') from None
    try:
        yield
    except DefusedXmlException:
        raise InputError(
            f'{path}: must have no document type and no entities, as they may hide an attack'
        ) from None
    except (ParseError, LookupError) as error:  # LookupError: an encoding that nobody knows
        raise InputError(f'{path}: must be whole XML, but: {error}') from None
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror}') from None


class FileReader:
    """Reads one file, track by track.

    Args:
        path: of the file.
        builder: gets videos and tracks.
        options: of the conversion.
    """

    def __init__(self, path: str, builder: ContentBuilder, options: ReadOptions) -> None:
        self.path = path
        self.builder = builder
        self.options = options
        self.tasks: dict[str, tuple[int, Task]] = {}  # by task id: id of the video
        self.used_ids: set[tuple[str, str]] = set()

    def read(self) -> None:
        """Gives all videos and tracks to the builder."""
        with _xml_faults(self.path):
            from defusedxml.ElementTree import iterparse

            open_elements: list[Element] = []
            for event, element in iterparse(self.path, ('start', 'end'), forbid_dtd=True):
                if event == 'start':
                    open_elements.append(element)
                    if len(open_elements) == 1 and element.tag != 'annotations':
                        raise InputError(
                            f'{self.path}: must be a CVAT file with <annotations>, '
                            f'but has <{element.tag}>'
                        )
                    continue
                open_elements.pop()
                if len(open_elements) == 1:
                    self._read_element(element)
                    open_elements[0].remove(element)  # keeps memory small
        if not self.tasks:
            raise InputError(f'{self.path}: must have a <meta> with a <task>, but has none')

    def _read_element(self, element: Element) -> None:
        if element.tag == 'meta':
            self._read_meta(element)
        elif element.tag == 'track':
            self._read_track(element)
        elif element.tag == 'image':
            raise InputError(
                f'{self.path}: is "CVAT for images", which has no tracks: export '
                '"CVAT for video 1.1"'
            )

    def _read_meta(self, meta: Element) -> None:
        """Adds the videos of the tasks."""
        shared = [label.text or '' for label in meta.iterfind('project/labels/label/name')]
        for element in [*meta.iterfind('task'), *meta.iterfind('project/tasks/task')]:
            key = element.findtext('id', '')
            task = self._task(element, f'{self.path}: task {key or "?"}')
            for label in [*shared, *task.labels]:
                if self.options.categories is None:
                    self.builder.add_label(label)
            names = frame_names(task.name, task.length, self.options, task.first, task.step)
            self.tasks[key] = self.builder.add_video(task.name, *task.size, names), task

    def _task(self, element: Element, where: str) -> Task:
        """Returns a task of the file."""
        first = whole_number(element.findtext('start_frame', '0'), 'start_frame', where)
        step_text = (element.findtext('frame_filter') or '').partition('step=')[2]
        step = whole_number(step_text or '1', 'frame_filter', where)
        length_text = element.findtext('size')
        if length_text:
            length = whole_number(length_text, 'size', where)
        else:
            last = whole_number(element.findtext('stop_frame'), 'stop_frame', where)
            length = (last - first) // max(1, step) + 1
        if length < 1 or step < 1 or first < 0:
            raise InputError(
                f'{where}: must have frames, but has {length} from {first} on in steps of {step}'
            )
        return Task(
            name=element.findtext('name') or Path(self.path).stem,
            length=length,
            first=first,
            step=step,
            size=_size(element.find('original_size'), where),
            labels=[label.text or '' for label in element.iterfind('labels/label/name')],
        )

    def _read_track(self, element: Element) -> None:
        """Adds a track."""
        what = f'{self.path}: track {element.get("id", "?")}'
        task_key = element.get('task_id', next(iter(self.tasks), ''))
        if task_key not in self.tasks:
            raise InputError(f'{what}: "task_id" must be a task of <meta>, but got {task_key!r}')
        key = task_key, element.get('id', '')
        if key in self.used_ids:
            self.options.log.guess('two tracks have one id; both are kept', what)
        self.used_ids.add(key)
        video, task = self.tasks[task_key]
        shapes, is_crowd = self._shapes(element, task, what)
        if not shapes:
            return
        spread = spread_shapes(shapes, task.length)
        if len(spread) > sum(not shape.outside for shape in shapes):
            self.options.log.guess('shapes between key frames', what)
        width, height = task.size
        masks: dict[int, RLE] = {}
        for t, shape in spread.items():
            if shape.kind == 'box' and not self.options.boxes_as_masks:
                self.options.log.drop('a box is no mask (--boxes-as-masks draws it)', what)
                continue
            mask = shape_mask(shape, height, width, f'{what}, frame {t}')
            if mask is None:
                self.options.log.drop('a shape outside of its frame', f'{what}, frame {t}')
            else:
                masks[t] = mask
        if masks:
            fields = {'iscrowd': 1} if is_crowd else {}
            self.builder.add_track(video, element.get('label', ''), masks, what, **fields)

    def _shapes(self, element: Element, task: Task, what: str) -> tuple[list[Shape], bool]:
        """Returns the shapes of a track in order of time, and whether it is a crowd."""
        shapes: dict[int, Shape] = {}
        is_crowd = False
        for child in element:
            frame = whole_number(child.get('frame'), 'frame', what)
            where = f'{what}, frame {frame}'
            for attribute in child.iterfind('attribute'):
                if attribute.get('name') == CROWD:
                    is_crowd |= (attribute.text or '').strip().lower() in ('1', 'true')
                else:
                    self.options.log.drop('attributes', f'{where}: {attribute.get("name")}')
            if child.get('occluded') == '1':
                self.options.log.drop('the mark "occluded"', where)
            if child.tag not in AREAS:
                self.options.log.drop(f'<{child.tag}>, which has no area', where)
            elif not 0 <= frame < task.length:
                self.options.log.drop(f'a shape beyond the {task.length} frames', where)
            elif frame in shapes:
                raise InputError(f'{where}: must have one shape, but has two')
            else:
                outside = child.get('outside') == '1'
                shapes[frame] = Shape(frame, child.tag, outside, dict(child.attrib))
        return [shapes[frame] for frame in sorted(shapes)], is_crowd


def _size(element: Element | None, where: str) -> tuple[int, int]:
    """Returns the (width, height) of ``<original_size>``.

    Raises:
        InputError: it is not there, or no frame has that size.
    """
    if element is None:
        raise InputError(
            f'{where}: must have an <original_size> with <width> and <height>, but has none'
        )
    width, height = (whole_number(element.findtext(key), key, where) for key in ('width', 'height'))
    try:
        check_size([height, width])
    except ValueError as error:
        raise InputError(f'{where}: <original_size>: {error}') from None
    return width, height
