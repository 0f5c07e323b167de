"""MOT text: boxes of objects, a line per object and frame (MOTChallenge).

``frame,id,left,top,width,height,confidence,class,visibility``, frames from 1.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tevit_vis.mask_checks import check_size
from tevit_vis.rle import mask_boxes, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import write_lines
from tevit_vis.utils.json_files import read_text_lines
from tevit_vis.utils.values import is_number, shorten
from tevit_vis.video.image_sources import list_images
from tevit_vis.video.images import image_size

from .base import ConversionLog, Format, ReadOptions, numbered_class, register
from .builder import ContentBuilder
from .frame_names import frame_folder, frame_names
from .index_images import list_folders, tracks_of_videos

LEAST_FIELDS = 6
GROUND_TRUTH = Path('gt', 'gt.txt')  # in the folder of a sequence


class MotText(Format):
    """Reads and writes MOT's text files; boxes become masks only when that is asked for."""

    name = 'mot'
    title = 'MOT text: boxes (MOTChallenge)'

    def recognises(self, path: str) -> bool:
        """Whether it is a text file of lines with commas, or a folder of sequences."""
        files = [file for _, file in _sequences(path)][:1]
        return any(_is_mot(file) for file in files)

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the objects as rectangular masks; without ``boxes_as_masks`` all are dropped.

        Raises:
            InputError: a line breaks a rule, or the size of the frames is not known.
        """
        builder = ContentBuilder(options.categories, options.log)
        for name, file in _sequences(path):
            boxes = list(_read_lines(file))
            height, width, length = _frame_size(name, file, options)
            if not length:
                length = max((frame + 1 for frame, *_ in boxes), default=1)
                options.log.guess('that the last frame with an object is the last one', str(file))
            names = frame_names(name, length, options)
            video = builder.add_video(name, width, height, names)
            tracks: dict[tuple[int, int], dict[int, RLE]] = {}
            for frame, number, category, (left, top, box_width, box_height) in boxes:
                where = f'{file}: object {number}, frame {frame + 1}'
                if not options.boxes_as_masks:
                    options.log.drop('a box is no mask (--boxes-as-masks draws it)', where)
                    continue
                right, bottom = min(left + box_width, width), min(top + box_height, height)
                left, top = max(left, 0), max(top, 0)
                if right <= left or bottom <= top:
                    options.log.drop('a box outside of its frame', where)
                    continue
                corners = [left, top, right, top, right, bottom, left, bottom]
                tracks.setdefault((category, number), {})[frame] = to_rle([corners], height, width)
            for (category, number), masks in sorted(tracks.items()):
                label = numbered_class(category, options)
                builder.add_track(video, label, masks, f'{file}: object {number}')
            options.on_video()
        return builder.content()

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes the boxes around masks, a file per video into a folder."""
        Path(path).mkdir(parents=True, exist_ok=True)
        for _, name, tracks in tracks_of_videos(content, path, log):
            lines = []
            for number, track in enumerate(tracks, start=1):
                log.drop('the mask of an object, of which the box stays', f'{name}: {number}')
                for t, box in enumerate(mask_boxes(track['segmentations']).tolist()):
                    if box[2] and box[3]:
                        fields = [t + 1, number, *(f'{value:g}' for value in box), 1]
                        lines.append((t, [*fields, track['category_id'], 1]))
            texts = [','.join(map(str, fields)) for _, fields in sorted(lines, key=lambda e: e[0])]
            write_lines(Path(path, f'{name}.txt'), texts)


def _sequences(path: str) -> Iterator[tuple[str, Path]]:
    """Yields name and file of each sequence."""
    root = Path(path)
    if root.suffix.lower() == '.txt':
        yield root.stem, root
    elif root.is_dir() and (root / GROUND_TRUTH).is_file():
        yield root.resolve().name, root / GROUND_TRUTH
    elif root.is_dir():
        for folder in list_folders(root):
            if (folder / GROUND_TRUTH).is_file():
                yield folder.name, folder / GROUND_TRUTH
        for file in sorted(root.glob('*.txt')):
            yield file.stem, file


def _is_mot(file: Path) -> bool:
    with open(file, encoding='utf-8', errors='replace') as opened:
        return opened.readline().count(',') >= LEAST_FIELDS - 1


def _read_lines(file: Path) -> Iterator[tuple[int, int, int, list[float]]]:
    """Yields frame (from 0), id, class and box of each line.

    Raises:
        InputError: a line breaks a rule.
    """
    for index, line in enumerate(read_text_lines(file), start=1):
        if not line.strip():
            continue
        values = []
        for text in line.split(','):
            try:
                values.append(float(text))
            except ValueError:
                values = []
                break
        if len(values) < LEAST_FIELDS or not all(map(is_number, values)) or values[0] < 1:
            raise InputError(
                f'{file}: line {index}: must be "frame,id,left,top,width,height,..." with frames '
                f'from 1, but is {shorten(line)}'
            )
        # A class stands in files of ground truth; results have -1.
        category = int(values[7]) if len(values) > 7 and values[7] > 0 else 1
        yield int(values[0]) - 1, int(values[1]), category, values[2:6]


def _frame_size(name: str, file: Path, options: ReadOptions) -> tuple[int, int, int]:
    """Returns height, width and number of frames of a sequence; 0 frames if that is not known.

    They stand in ``seqinfo.ini``, else images of the frames are looked at.

    Raises:
        InputError: there is neither.
    """
    info = file.parent.parent / 'seqinfo.ini'
    if info.is_file():
        parser = configparser.ConfigParser()
        try:
            parser.read(info, encoding='utf-8')
            section = parser['Sequence']
            size = check_size([int(section['imHeight']), int(section['imWidth'])])
            return *size, int(section['seqLength'])
        except (KeyError, ValueError, configparser.Error) as error:
            raise InputError(
                f'{info}: must have imWidth, imHeight and seqLength in [Sequence], but: {error}'
            ) from None
    folder = frame_folder(name, options)
    files = list_images(folder) if folder is not None and folder.is_dir() else []
    if not files:
        raise InputError(
            f'{file}: the size of the frames must be known from seqinfo.ini beside its folder, or '
            'from images (--frames), but there is neither'
        )
    width, height = image_size(files[0])
    return height, width, len(files)


register(MotText())
