"""MOTS as text: a file per video, a line per object and frame: ``frame id class h w rle``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tevit_vis.mask_checks import rle_faults
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import write_lines
from tevit_vis.utils.json_files import read_text_lines
from tevit_vis.utils.values import shorten

from .base import ConversionLog, Format, ReadOptions, numbered_class, register
from .builder import ContentBuilder
from .frame_names import frame_names
from .index_images import tracks_of_videos
from .png import MOTS_CLASS, MOTS_IGNORED, mots_numbers

FIELDS = 6


class MotsText(Format):
    """Reads and writes MOTS's text files."""

    name = 'mots'
    title = 'MOTS text: frame, id, class, height, width, RLE'

    def recognises(self, path: str) -> bool:
        """Whether it is a text file with lines of six fields, or a folder with some."""
        return any(len(_first_line(file).split(' ')) == FIELDS for file in _files(path)[:1])

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the objects; without ``--categories`` classes are called by their numbers.

        Raises:
            InputError: a line breaks a rule.
        """
        builder = ContentBuilder(options.categories, options.log)
        for file in _files(path):
            self._read_file(file, builder, options)
            options.on_video()
        return builder.content()

    def _read_file(self, file: Path, builder: ContentBuilder, options: ReadOptions) -> None:
        tracks: dict[tuple[int, int], dict[int, RLE]] = {}
        size: list[int] = []
        for index, line in enumerate(read_text_lines(file), start=1):
            where = f'{file}: line {index}'
            if not line.strip():
                continue
            frame, number, category, mask = _parse_line(line, where)
            size = size or list(mask['size'])
            if mask['size'] != size:
                raise InputError(
                    f'{where}: must have the size of the lines before it, {size}, but has '
                    f'{mask["size"]}'
                )
            if category == MOTS_IGNORED:
                options.log.drop('regions to be ignored (class 10)', where)
            elif frame in tracks.setdefault((category, number), {}):
                options.log.drop('a second mask of a track in one frame', where)
            else:
                tracks[category, number][frame] = mask
        if not size:
            options.log.drop('a file without a line, so that the size is not known', str(file))
            return
        length = 1 + max((t for masks in tracks.values() for t in masks), default=0)
        if options.frames is None:
            options.log.guess('that the last frame with an object is the last one', str(file))
        names = frame_names(file.stem, length, options)
        video = builder.add_video(file.stem, size[1], size[0], names)
        for (category, number), masks in sorted(tracks.items()):
            label = numbered_class(category, options)
            builder.add_track(video, label, masks, f'{file}: object {number}')

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes a file per video into a folder."""
        Path(path).mkdir(parents=True, exist_ok=True)
        for _, name, tracks in tracks_of_videos(content, path, log):
            numbers = mots_numbers(tracks, f'{path}: {name}')
            lines = [
                f'{t} {number} {number // MOTS_CLASS} {mask["size"][0]} {mask["size"][1]} '
                f'{mask["counts"]}'
                for track, number in zip(tracks, numbers)
                for t, mask in enumerate(track['segmentations'])
                if mask is not None
            ]
            lines.sort(key=lambda line: int(line.partition(' ')[0]))
            write_lines(Path(path, f'{name}.txt'), lines)


def _files(path: str) -> list[Path]:
    """Returns the text files that a path stands for."""
    if Path(path).is_dir():
        return sorted(Path(path).glob('*.txt'))
    return [Path(path)] if path.lower().endswith('.txt') else []


def _first_line(file: Path) -> str:
    with open(file, encoding='utf-8', errors='replace') as opened:
        return next((line.strip() for line in opened if line.strip()), '')


def _parse_line(line: str, where: str) -> tuple[int, int, int, RLE]:
    """Returns frame, id, class and mask of a line.

    Raises:
        InputError: it breaks a rule.
    """
    fields = line.strip().split(' ')
    if len(fields) != FIELDS or not all(field.isdecimal() for field in fields[:-1]):
        raise InputError(
            f'{where}: must be "frame id class height width rle", but is {shorten(line)}'
        )
    frame, number, category, height, width = map(int, fields[:-1])
    (fault,) = rle_faults([fields[-1]], [height * width])
    if fault:
        raise InputError(f'{where}: "rle" must have runs for {width}x{height} pixels, but: {fault}')
    return frame, number, category, {'size': [height, width], 'counts': fields[-1]}


register(MotsText())
