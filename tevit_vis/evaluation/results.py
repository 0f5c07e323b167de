"""Reads the predictions of a results file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tevit_vis.mask_checks import check_size, rle_faults
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import is_number, is_whole_number, shorten

from .tubes import MaskTube, track_areas


def parse_results(
    results: Sequence[dict], lengths: dict[int, int], origin: str
) -> dict[tuple[int, int], list[MaskTube]]:
    """Checks the entries of a submission and returns {(video id, category id): predicted tubes}.

    Args:
        results: entries of a submission.
        lengths: {video id: number of frames}.
        origin: names the submission in errors.

    Raises:
        InputError: an entry cannot be scored, or most entries are of other videos.
    """
    mismatch = other_data_set_message(results, lengths)
    if mismatch:
        raise InputError(f'{origin}: {mismatch}')
    all_masks = [
        check_prediction(entry, lengths, f'{origin}: [{index}]')
        for index, entry in enumerate(results)
    ]
    pred_tubes = defaultdict(list)
    for index, (masks, areas) in enumerate(zip(all_masks, track_areas(all_masks))):
        entry = results[index]
        nonzero_areas = areas[areas > 0]
        mean_area = float(nonzero_areas.mean()) if nonzero_areas.size else 0.0
        tube = MaskTube(masks, areas, mean_area, entry['score'], entry=index)
        pred_tubes[entry['video_id'], entry['category_id']].append(tube)
    return pred_tubes


def other_data_set_message(results: Sequence[dict], lengths: Mapping[int, int]) -> str:
    """Returns a message if most entries of a submission fit no video, otherwise an empty text.

    Args:
        results: entries of a submission.
        lengths: {video id: number of frames}.

    Example:
        >>> entries = [{'video_id': 1, 'segmentations': [None] * 20}] * 3
        >>> other_data_set_message(entries, {1: 12}).partition(':')[0]
        'must be the results of this data set, but most likely are those of another'
    """
    num_fitting = 0
    for entry in results:
        if isinstance(entry, dict) and is_whole_number(entry.get('video_id')):
            masks = entry.get('segmentations')
            length = lengths.get(entry['video_id'])
            num_fitting += isinstance(masks, list) and len(masks) == length
    if len(results) < 3 or 2 * num_fitting >= len(results):
        return ''
    return (
        'must be the results of this data set, but most likely are those of another: '
        f'{len(results) - num_fitting} of {len(results)} entries name videos that are not there or '
        'have another number of frames'
    )


def check_prediction(entry: dict, lengths: dict[int, int], where: str) -> list[RLE | None]:
    """Checks an entry of a submission and returns its masks.

    Raises:
        InputError: the entry cannot be scored.

    Example:
        >>> entry = dict(video_id=1, category_id=2, score=0.5, segmentations=[None, None])
        >>> check_prediction(entry, {1: 2}, 'r.json: [0]')
        [None, None]
    """
    if not isinstance(entry, dict):
        raise InputError(f'{where}: entry must be an object, but got {shorten(entry)}')
    score = entry.get('score')
    if not is_number(score):
        raise InputError(f'{where}: "score" must be a number, but got {shorten(score)}')
    masks = _masks_of(entry, lengths, where)
    mask_frames, pixels = [], []
    for t, mask in enumerate(masks):
        if mask is None:
            continue
        try:
            pixels.append(_num_pixels(mask))
        except ValueError as error:
            raise InputError(f'{where}: segmentations[{t}] {error}') from None
        mask_frames.append(t)
    for t, fault in zip(mask_frames, rle_faults([masks[t]['counts'] for t in mask_frames], pixels)):
        if fault:
            raise InputError(f'{where}: segmentations[{t}] must be a whole RLE, but: {fault}')
    return masks


def _masks_of(entry: dict, lengths: dict[int, int], where: str) -> list:
    video_id = entry.get('video_id')
    if not is_whole_number(video_id) or video_id not in lengths:
        got = shorten(video_id)
        raise InputError(f'{where}: "video_id" must be a video of the file, but got {got}')
    if not is_whole_number(entry.get('category_id')):
        got = shorten(entry.get('category_id'))
        raise InputError(f'{where}: "category_id" must be a whole number, but got {got}')
    masks = entry.get('segmentations')
    if not isinstance(masks, list) or len(masks) != lengths[video_id]:
        got = str(len(masks)) if isinstance(masks, list) else shorten(masks)
        raise InputError(
            f'{where}: "segmentations" must have one mask or null for each of the '
            f'{lengths[video_id]} frames, but got {got}'
        )
    return masks


def _num_pixels(mask: object) -> int:
    """Returns the number of pixels H * W of a compressed RLE.

    Raises:
        ValueError: the mask is something else.
    """
    if not isinstance(mask, dict) or not isinstance(mask.get('counts'), str):
        raise ValueError(
            'must be null or a compressed RLE with text "counts", as the server wants it, '
            f'but got {shorten(mask)}'
        )
    try:
        height, width = check_size(mask.get('size'))
    except ValueError as error:
        raise ValueError(f'must have a size, but: {error}') from None
    return height * width
