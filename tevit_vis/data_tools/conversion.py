"""Converts labels from one format to another, and says what became of everything."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tevit_vis.evaluation.results import parse_results
from tevit_vis.formats import ConversionLog, Format, ReadOptions
from tevit_vis.formats.ytvis import with_shapes
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable, unfinished_folder

from .checks import DatasetCheck


@dataclass(frozen=True)
class Results:
    """A submission that takes the place of annotations.

    Args:
        entries: of the submission.
        path: names it in errors.
        min_score: least score of the predictions that are taken.
    """

    entries: Sequence[dict]
    path: str
    min_score: float


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
    results: Results | None = None,
) -> Conversion:
    """Reads labels, checks them, and writes them in another format.

    Args:
        source: file or folder to read.
        source_format: its format.
        target: file or folder to write; it appears when it is complete.
        target_format: its format.
        options: how the source is read.
        overwrite: whether a target that is there is replaced.
        results: predictions that are written instead of the annotations of the source.

    Raises:
        InputError: the source breaks a rule of its format or of a data set, or the target cannot
            be written or may not be replaced.
    """
    check_target(target, target_format, overwrite, source)
    content = source_format.read(source, options)
    lines = [f'read {source} ({source_format.title}): {_counts(content)}']
    if results is not None:
        content = with_results(content, results, options.log)
        lines.append(f'read {results.path} (results): {_counts(content)}')
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


def with_results(
    content: Mapping[str, Any], results: Results, log: ConversionLog
) -> dict[str, Any]:
    """Returns a data set with predictions in place of its annotations.

    Args:
        content: of the data set, in YouTube-VIS layout.
        results: predictions.
        log: gets what is dropped.

    Raises:
        InputError: a prediction cannot be read.
    """
    lengths = {video['id']: len(video['file_names']) for video in content['videos']}
    known = {entry['id'] for entry in content['categories']}
    annotations: list[dict[str, Any]] = []
    tubes = parse_results(results.entries, lengths, results.path)
    found = ((*key, tube) for key, own in tubes.items() for tube in own)
    for video, category, tube in sorted(found, key=lambda each: each[2].entry):
        where = f'{results.path}: [{tube.entry}]'
        if tube.score < results.min_score:
            log.drop(f'a prediction that scores less than {results.min_score:g}', where)
        elif category not in known:
            log.drop('a prediction of no category of the file', where)
        elif not tube.areas.any():
            log.drop('a prediction without a mask', where)
        else:
            ids = {'id': len(annotations) + 1, 'video_id': video, 'category_id': category}
            masks = [mask if area else None for mask, area in zip(tube.masks, tube.areas)]
            annotations.append({**ids, 'score': tube.score, **with_shapes({}, masks)})
    return {**content, 'annotations': annotations}


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
