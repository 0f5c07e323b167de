"""Joins data sets, takes parts of them, and renames their categories.

All functions take and give content in YouTube-VIS layout, whose entries were checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import did_you_mean, shorten

Content = dict[str, Any]


def merge(contents: Sequence[Content], folders: Sequence[str]) -> Content:
    """Returns several data sets as one; categories of one name are one.

    Ids are given anew: of videos and annotations in the order of the files, of categories in the
    order in which their names come.

    Args:
        contents: of the data sets.
        folders: put before the file names of each data set; empty for none.

    Raises:
        InputError: two videos would have the same frames.

    Example:
        >>> videos = [{'id': 7, 'file_names': ['0.jpg']}]
        >>> one = {'videos': videos, 'categories': [{'id': 4, 'name': 'cat'}], 'annotations': []}
        >>> both = merge([one, one], ['a', 'b'])
        >>> [video['file_names'] for video in both['videos']], both['categories']
        ([['a/0.jpg'], ['b/0.jpg']], [{'id': 1, 'name': 'cat'}])
    """
    categories: dict[str, int] = {}
    videos: list[Content] = []
    annotations: list[Content] = []
    first_of: dict[str, str] = {}  # first frame: the folder and video that has it
    for content, folder in zip(contents, folders):
        prefix = f'{folder.rstrip("/")}/' if folder else ''
        names = {entry['id']: entry['name'] for entry in content['categories']}
        for name in names.values():
            categories.setdefault(name, len(categories) + 1)
        id_of: dict[int, int] = {}
        for video in content['videos']:
            files = [prefix + name for name in video['file_names']]
            if files[0] in first_of:
                raise InputError(
                    f'{files[0]}: must be the frame of one video, but is that of '
                    f'{first_of[files[0]]} and of another: put a folder before the names '
                    '(--folders)'
                )
            first_of[files[0]] = f'video {video["id"]}'
            id_of[video['id']] = len(videos) + 1
            videos.append({**video, 'id': len(videos) + 1, 'file_names': files})
        for entry in content['annotations']:
            ids = {
                'id': len(annotations) + 1,
                'video_id': id_of[entry['video_id']],
                'category_id': categories[names[entry['category_id']]],
            }
            annotations.append({**entry, **ids})
    return {
        'videos': videos,
        'categories': [{'id': key, 'name': name} for name, key in categories.items()],
        'annotations': annotations,
    }


def subset(
    content: Content,
    categories: Sequence[str] | None = None,
    lengths: tuple[int, int] | None = None,
    num_videos: int | None = None,
    seed: int = 0,
) -> Content:
    """Returns a part of a data set; ids and the order of videos stay.

    Args:
        content: of the data set.
        categories: names to keep, with their tracks; videos without any of these are left out.
            None keeps all.
        lengths: least and largest number of frames of a video; None keeps all.
        num_videos: number of videos, drawn at random; None keeps all.
        seed: of the draw.

    Raises:
        InputError: a category is not there, or no video, or too few, are left.
    """
    names = {entry['id']: entry['name'] for entry in content['categories']}
    kept = set(names)
    if categories is not None:
        _check_names(categories, names.values())
        kept = {key for key, name in names.items() if name in categories}
    annotations = [entry for entry in content['annotations'] if entry['category_id'] in kept]
    videos = content['videos']
    if categories is not None:
        with_tracks = {entry['video_id'] for entry in annotations}
        videos = [video for video in videos if video['id'] in with_tracks]
    if lengths is not None:
        low, high = lengths
        videos = [video for video in videos if low <= len(video['file_names']) <= high]
    if num_videos is not None and num_videos <= len(videos):
        chosen = np.random.default_rng(seed).permutation(len(videos))[:num_videos]
        videos = [videos[index] for index in sorted(chosen)]
    elif num_videos is not None:
        raise InputError(f'--videos: must be at most the {len(videos)} that fit, but {num_videos}')
    if not videos:
        raise InputError('no video fits: choose other categories or lengths')
    ids = {video['id'] for video in videos}
    return {
        **content,
        'videos': videos,
        'categories': [entry for entry in content['categories'] if entry['id'] in kept],
        'annotations': [entry for entry in annotations if entry['video_id'] in ids],
    }


def remap(content: Content, table: Mapping[str, str | None]) -> tuple[Content, dict[str, int]]:
    """Renames, joins and drops categories.

    A category keeps its id; where several get one name, they get the id of the first.

    Args:
        content: of the data set.
        table: {name: new name, or None to drop the category with its tracks}; others stay.

    Returns:
        The new content, and {name: tracks that were dropped}.

    Raises:
        InputError: a name is not there.

    Example:
        >>> content = {
        ...     'videos': [],
        ...     'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
        ...     'annotations': [{'category_id': 2}],
        ... }
        >>> remap(content, {'cat': 'animal', 'dog': 'animal'})[0]['annotations']
        [{'category_id': 1}]
    """
    _check_names(list(table), [entry['name'] for entry in content['categories']])
    id_of: dict[str, int] = {}
    new_id: dict[int, int | None] = {}
    old_name: dict[int, str] = {}
    for entry in content['categories']:
        name = table.get(entry['name'], entry['name'])
        old_name[entry['id']] = entry['name']
        new_id[entry['id']] = None if name is None else id_of.setdefault(name, entry['id'])
    dropped: Counter = Counter()
    annotations = []
    for entry in content['annotations']:
        key = new_id[entry['category_id']]
        if key is None:
            dropped[old_name[entry['category_id']]] += 1
        else:
            annotations.append({**entry, 'category_id': key})
    categories = [{'id': key, 'name': name} for name, key in id_of.items()]
    return {**content, 'categories': categories, 'annotations': annotations}, dict(dropped)


def check_table(content: object, path: str) -> dict[str, str | None]:
    """Checks the content of a file with new names of categories.

    Raises:
        InputError: it is no object of texts and nulls.

    Example:
        >>> check_table({'automobile': 'car', 'sky': None}, 'table.json')
        {'automobile': 'car', 'sky': None}
    """
    if not isinstance(content, dict) or not all(
        value is None or (isinstance(value, str) and value) for value in content.values()
    ):
        raise InputError(
            f'{path}: must be an object {{"old name": "new name" or null}}, but got '
            f'{shorten(content)}'
        )
    return content


def _check_names(names: Sequence[str], known: Any) -> None:
    """Checks that a data set has categories.

    Raises:
        InputError: it lacks one.
    """
    for name in names:
        if name not in known:
            raise InputError(
                f'category must be of {", ".join(sorted(known))}, but got {name!r}'
                f'{did_you_mean(name, list(known))}'
            )
