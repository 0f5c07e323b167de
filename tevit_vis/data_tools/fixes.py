"""Mends what can be mended safely in an annotation file, and lists what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tevit_vis.annotated_videos import Video, file_categories, other_layout_message, parse_video
from tevit_vis.annotations import annotation_entries
from tevit_vis.formats import ConversionLog
from tevit_vis.mask_checks import rle_faults
from tevit_vis.rle import mask_areas, mask_boxes, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import is_whole_number


class ChangeLog(ConversionLog):
    """What was changed: how often, and the first example of each."""

    def change(self, what: str, where: str) -> None:
        """Notes a change.

        Args:
            what: the same for all of its kind.
            where: names the entry.
        """
        self._add('changed', what, where)


def fix_data_set(content: Mapping[str, Any], path: str) -> tuple[dict[str, Any], ChangeLog]:
    """Returns a data set without the faults that can be mended, and what was changed.

    Wrong lengths, areas and boxes are computed anew, repeated ids of annotations are given anew,
    and empty masks become null. What cannot be used is left out: a mask that is damaged or of
    another size, a track without a mask, of no video or category, or with another number of masks
    than frames, and a video whose entry breaks a rule, with its tracks.

    Args:
        content: of the file; it stays as it is.
        path: names the file.

    Raises:
        InputError: the file is in another layout, has no usable video, or its categories break a
            rule.

    Example:
        >>> video = {'id': 1, 'width': 8, 'height': 8, 'file_names': ['0.jpg'], 'length': 5}
        >>> fixed, log = fix_data_set({'videos': [video]}, 'a.json')
        >>> fixed['videos'][0]['length'], log.lines()
        (1, ['changed: "length" is the number of frames (1 times; first: a.json: videos[0])'])
    """
    fault = other_layout_message(content)
    if fault:
        raise InputError(f'{path}: {fault}')
    log = ChangeLog()
    categories = file_categories(content, path)
    videos, entries = _fix_videos(content, path, log)
    if not entries:
        raise InputError(f'{path}: no entry of "videos" can be used')
    annotations: list[dict[str, Any]] = []
    used_ids: set[object] = set()
    for index, entry in enumerate(annotation_entries(content, path)):
        where = f'{path}: annotations[{index}]'
        fixed = _fix_annotation(entry, where, videos, categories, log)
        if fixed is None:
            continue
        key = fixed.get('id')
        if not is_whole_number(key) or key in used_ids:
            fixed['id'] = max([0, *(each for each in used_ids if isinstance(each, int))]) + 1
            log.change('an "id" that was no number or used twice is a new one', where)
        used_ids.add(fixed['id'])
        annotations.append(fixed)
    return {**content, 'videos': entries, 'annotations': annotations}, log


def _fix_videos(
    content: Mapping[str, Any], path: str, log: ChangeLog
) -> tuple[dict[int, Video], list[dict[str, Any]]]:
    """Returns the usable videos, by id and as entries."""
    videos: dict[int, Video] = {}
    entries: list[dict[str, Any]] = []
    found = content.get('videos')
    for index, entry in enumerate(found if isinstance(found, list) else []):
        where = f'{path}: videos[{index}]'
        if isinstance(entry, dict) and isinstance(entry.get('file_names'), list):
            length = len(entry['file_names'])
            if entry.get('length', length) != length:
                log.change('"length" is the number of frames', where)
                entry = {**entry, 'length': length}
        try:
            video = parse_video(entry, where)
        except InputError as error:
            log.drop('a video whose entry breaks a rule', str(error))
            continue
        if video.id in videos:
            log.drop('a second video of one id', where)
            continue
        videos[video.id] = video
        entries.append(entry)
    return videos, entries


def _fix_annotation(
    entry: Mapping[str, Any],
    where: str,
    videos: Mapping[int, Video],
    categories: Mapping[int, str],
    log: ChangeLog,
) -> dict[str, Any] | None:
    """Returns a mended annotation; None where it cannot be used."""
    reason = _unusable(entry, videos, categories)
    if reason:
        log.drop(reason, where)
        return None
    video = videos[entry['video_id']]
    masks = entry['segmentations']
    rles = [
        _fix_mask(mask, video, f'{where}: segmentations[{t}]', log) if mask else None
        for t, mask in enumerate(masks)
    ]
    areas, boxes = mask_areas(rles).tolist(), mask_boxes(rles).tolist()
    for t, area in enumerate(areas):
        if rles[t] is not None and not area:
            log.change('an empty mask is null', f'{where}: segmentations[{t}]')
            rles[t] = None
    if not any(areas):
        log.drop('a track without a mask', where)
        return None
    values = {
        'areas': [area if rle else None for area, rle in zip(areas, rles)],
        'bboxes': [box if rle else None for box, rle in zip(boxes, rles)],
    }
    for key, value in values.items():
        if entry.get(key) is not None and entry[key] != value:
            log.change(f'"{key}" are those of the masks', where)
    crowd = entry.get('iscrowd', 0)
    if isinstance(crowd, (list, dict)) or crowd not in (0, 1):
        log.change('"iscrowd" that was neither 0 nor 1 is 0', where)
        crowd = 0
    return {**entry, 'segmentations': rles, **values, 'iscrowd': int(crowd)}


def _unusable(
    entry: Mapping[str, Any], videos: Mapping[int, Video], categories: Mapping[int, str]
) -> str:
    """Returns why an annotation cannot be used, or an empty text."""
    video_id, category = entry.get('video_id'), entry.get('category_id')
    if not is_whole_number(video_id) or video_id not in videos:
        return 'a track of no usable video'
    if not is_whole_number(category) or category not in categories:
        return 'a track of no category of the file'
    masks, length = entry.get('segmentations'), videos[entry['video_id']].num_frames
    if not isinstance(masks, list) or len(masks) != length:
        return 'a track with another number of masks than frames'
    return ''


def _fix_mask(mask: object, video: Video, where: str, log: ChangeLog) -> RLE | None:
    """Returns a mask as compressed RLE; None where it is damaged."""
    try:
        rle = to_rle(mask, video.height, video.width)
    except (TypeError, ValueError, KeyError) as error:
        log.drop('a mask that is no RLE and no polygons', f'{where}: {error}')
        return None
    if list(rle['size']) != [video.height, video.width]:
        log.drop('a mask of another size than its video', where)
        return None
    (fault,) = rle_faults([rle['counts']], [video.height * video.width])
    if fault:
        log.drop('a mask whose runs do not add up', f'{where}: {fault}')
        return None
    return rle
