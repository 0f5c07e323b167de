"""BURST: sequences with a dict of tracks for each annotated frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tevit_vis.annotated_videos import file_categories
from tevit_vis.mask_checks import check_size, rle_faults
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import shorten

from .base import Format, ReadOptions, register
from .builder import ContentBuilder
from .json_input import id_of, json_keys, read_content


class Burst(Format):
    """Reads BURST's JSON files."""

    name = 'burst'
    title = 'BURST JSON (masks of TAO)'

    def recognises(self, path: str) -> bool:
        """Whether it is a JSON file with sequences."""
        return 'sequences' in json_keys(path)

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the tracks in the annotated frames.

        Raises:
            InputError: an entry breaks a rule.
        """
        content = read_content(path)
        labels = file_categories(content, path)
        builder = ContentBuilder(options.categories, options.log)
        sequences = content.get('sequences')
        if not isinstance(sequences, list):
            raise InputError(f'{path}: "sequences" must be a list, but got {shorten(sequences)}')
        for index, sequence in enumerate(sequences):
            _read_sequence(sequence, f'{path}: sequences[{index}]', labels, builder, options)
            options.on_video()
        return builder.content()


def _read_sequence(
    sequence: Mapping[str, Any],
    where: str,
    labels: Mapping[int, str],
    builder: ContentBuilder,
    options: ReadOptions,
) -> None:
    """Adds a sequence and its tracks."""
    try:
        name = '/'.join(str(sequence[key]) for key in ('dataset', 'seq_name') if key in sequence)
        paths = list(map(str, sequence['annotated_image_paths']))
        size = check_size([sequence['height'], sequence['width']])
        frames = sequence['segmentations']
        classes = dict(sequence['track_category_ids'])
        if len(frames) != len(paths):
            raise ValueError(f'{len(frames)} "segmentations" for {len(paths)} images')
        items = [
            (t, str(key), value) for t, frame in enumerate(frames) for key, value in frame.items()
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f'{where}: must have seq_name, width, height, annotated_image_paths, segmentations and '
            f'track_category_ids, but: {error}'
        ) from None
    video = builder.add_video(name, size[1], size[0], [f'{name}/{file}' for file in paths])
    tracks: dict[str, dict[int, RLE]] = {}
    for t, key, value in items:
        counts = value.get('rle') if isinstance(value, dict) else None
        if not isinstance(counts, str):
            raise InputError(f'{where}: segmentations[{t}], track {key}: "rle" must be a text')
        (fault,) = rle_faults([counts], [size[0] * size[1]])
        if fault:
            raise InputError(f'{where}: segmentations[{t}], track {key}: "rle": {fault}')
        tracks.setdefault(key, {})[t] = {'size': list(size), 'counts': counts}
    for key, masks in tracks.items():
        category = id_of(classes, key, f'{where}: "track_category_ids"')
        if category not in labels:
            options.log.guess(
                'a name for a category that the file does not have', f'{where}: {key}'
            )
        label = labels.get(category, f'category {category}')
        builder.add_track(video, label, masks, f'{where}: track {key}')


register(Burst())
