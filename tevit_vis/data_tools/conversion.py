"""Converts labels from one format to another, and says what became of everything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tevit_vis.formats import ConversionLog, Format, ReadOptions
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable, unfinished_folder

from .checks import DatasetCheck


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Args:
        content: in YouTube-VIS layout.
        lines: what was read, written, dropped and guessed, and warnings of the checks.
    """

    content: dict[str, Any]
    lines: list[str]


def convert(
    source: str,
    source_format: Format,
    target: str,
    target_format: Format,
    options: ReadOptions,
    overwrite: bool = False,
) -> Conversion:
    """Reads labels, checks them, and writes them in another format.

    Args:
        source: file or folder to read.
        source_format: its format.
        target: file or folder to write; it appears when it is complete.
        target_format: its format.
        options: how the source is read.
        overwrite: whether a target that is there is replaced.

    Raises:
        InputError: the source breaks a rule of its format or of a data set, or the target cannot
            be written or may not be replaced.
    """
    check_target(target, target_format, overwrite, source)
    content = source_format.read(source, options)
    lines = [f'read {source} ({source_format.title}): {_counts(content)}']
    check = DatasetCheck(content, source, options.frames)
    if check.faults:
        more = f' (and {len(check.faults) - 1} more faults)' if len(check.faults) > 1 else ''
        raise InputError(f'{check.faults[0]}{more}')
    lines += options.log.lines() + [f'warning: {line}' for line in check.warnings]
    log = ConversionLog()
    if is_file(target):
        target_format.write(content, target, log)
    else:
        with unfinished_folder(target) as unfinished:
            target_format.write(content, unfinished, log)
    lines += log.lines()
    lines.append(f'wrote {target} ({target_format.title}): {_counts(content)}')
    return Conversion(content, lines)


def is_file(path: str) -> bool:
    """Whether a path that is to be written names a file: its last part has a suffix.

    Example:
        >>> is_file('out/walk.json'), is_file('out/masks')
        (True, False)
    """
    return bool(Path(path).suffix)


def check_target(target: str, form: Format, overwrite: bool, source: str) -> None:
    """Checks that a target may be written.

    Raises:
        InputError: it is there and not to be replaced, or holds something else, or is the source.
    """
    if os.path.realpath(target) == os.path.realpath(source):
        raise InputError(f'{target}: output must be another file or folder than the input')
    if not is_file(target) and os.path.isdir(target):
        if os.listdir(target) and not overwrite:
            raise InputError(f'{target}: is there already: --overwrite replaces it')
        if os.listdir(target) and not form.recognises(target):
            raise InputError(
                f'{target}: must be a new or empty folder, or one with {form.title} that is '
                'replaced, but holds something else: choose another'
            )
        return
    if os.path.lexists(target) and not overwrite:
        raise InputError(f'{target}: is there already: --overwrite replaces it')
    check_writable(target, not_over=[source])


def _counts(content: Mapping[str, Any]) -> str:
    """Returns how much there is, in words."""
    masks = sum(m is not None for e in content['annotations'] for m in e['segmentations'])
    return (
        f'{len(content["videos"])} videos, {len(content["annotations"])} tracks, {masks} masks, '
        f'{len(content["categories"])} categories'
    )
