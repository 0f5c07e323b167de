"""Checks masks from files before native code gets them; nothing here calls native code.

pycocotools trusts what it is given: runs that do not add up make it hang, and coordinates far off
the frame make it crash or take all memory.

Letters: N masks, R runs of all masks, H and W pixels of a frame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tevit_vis.utils.values import is_number, is_whole_number, shorten

MAX_PIXELS = 1 << 28  # of a frame: 16,384 x 16,384
MAX_SIDE = 1 << 20  # pixels
MAX_FRAMES_OUTSIDE = 10  # how far a polygon may leave the frame, in widths or heights of it
FIRST_CODE = 48  # of the characters of a compressed RLE, '0' to 'o'
RLE_TEXT, OPEN_END = re.compile('[0-o]*'), re.compile('[P-o]$')  # after 'P' to 'o' more follow
LONG_RUN = re.compile('[P-o]{7}')  # of more than 35 bits


def check_size(size: object) -> tuple[int, int]:
    """Returns the (H, W) of an RLE.

    Raises:
        ValueError: it is no pair of whole numbers of at least 1, or the frame is too large.

    Example:
        >>> check_size([360, 640])
        (360, 640)
    """
    if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(map(is_whole_number, size)):
        raise ValueError(f'"size" must be [height, width], but is {shorten(size)}')
    height, width = size
    if height < 1 or width < 1 or height > MAX_SIDE or width > MAX_SIDE:
        raise ValueError(f'"size" must be 1 to {MAX_SIDE} pixels a side, but is {shorten(size)}')
    if height * width > MAX_PIXELS:
        raise ValueError(f'"size" must be at most {MAX_PIXELS} pixels, but is {shorten(size)}')
    return height, width


def check_counts(counts: object) -> list[int]:
    """Returns the runs of an uncompressed RLE; ``rle_faults`` checks whether they add up.

    Raises:
        ValueError: they are no list of whole numbers of 32 bits without a sign.

    Example:
        >>> check_counts([7, 2, 3])
        [7, 2, 3]
    """
    if not isinstance(counts, list) or not all(map(is_whole_number, counts)):
        raise ValueError(f'"counts" must be text or whole numbers, but is {shorten(counts)}')
    bad = [count for count in counts if not 0 <= count < 1 << 32]
    if bad:
        raise ValueError(f'"counts" must be 0 or more, of 32 bits, but has {shorten(bad[0])}')
    return counts


def check_polygons(polygons: object, height: int, width: int) -> list[list[float]]:
    """Returns those polygons of a mask [[x, y, x, y, ...], ...] that have at least three points.

    The others have no pixel.

    Raises:
        ValueError: a coordinate is not finite or lies far from the frame, a point has no y, or no
            polygon has three points.

    Example:
        >>> check_polygons([[0, 0, 4, 0, 4, 4], [1, 1]], height=10, width=10)
        [[0, 0, 4, 0, 4, 4]]
    """
    if not isinstance(polygons, list) or not all(isinstance(piece, list) for piece in polygons):
        raise ValueError(f'it is {shorten(polygons)}')
    kept = []
    for number, piece in enumerate(polygons):
        bad = [value for value in piece if not is_number(value)]
        if bad:
            raise ValueError(
                f'polygon {number} must have finite numbers, but has {shorten(bad[0])}'
            )
        if len(piece) % 2:
            raise ValueError(
                f'polygon {number} must have an x and a y for each point, but {len(piece)} numbers'
            )
        for axis, side in (('x', width), ('y', height)):
            values = piece[axis == 'y' :: 2]
            far = [
                value
                for value in values
                if not -MAX_FRAMES_OUTSIDE * side <= value <= (MAX_FRAMES_OUTSIDE + 1) * side
            ]
            if far:
                raise ValueError(
                    f'polygon {number} must lie near its frame of {width}x{height} pixels, '
                    f'but has {axis} = {shorten(far[0])}'
                )
        if len(piece) >= 6:
            kept.append(piece)
    if not kept:
        raise ValueError('it must have a polygon of at least three points, but has none')
    return kept


def decode_runs(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the runs of compressed RLEs and the index of the RLE of each run, [R] int64 each.

    In COCO's code a character holds 5 bits of a run. Its bit 32 says that more characters of the
    run follow; bit 16 of the last one is the sign. From the fourth run on, the difference to the
    run two before it is coded. Texts must be ASCII; any other fault of a text shows in its runs.

    Example:
        >>> runs, owners = decode_runs(['723', '04'])
        >>> runs.tolist(), owners.tolist()
        ([7, 2, 3, 0, 4], [0, 0, 0, 1, 1])
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    codes = np.frombuffer(''.join(texts).encode('ascii'), np.uint8).astype(np.int64) - FIRST_CODE
    if not len(codes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    owner = np.repeat(np.arange(len(texts)), lengths)
    is_last = (codes & 32) == 0  # character of a run
    is_first = np.concatenate([[True], is_last[:-1] | (owner[1:] != owner[:-1])])
    starts = np.flatnonzero(is_first)
    position = np.arange(len(codes)) - starts[np.cumsum(is_first) - 1]
    values = np.add.reduceat((codes & 31) << (5 * np.minimum(position, 11)), starts)
    ends = np.concatenate([starts[1:], [len(codes)]]) - 1
    is_negative = (codes[ends] & 16) > 0
    values -= is_negative.astype(np.int64) << (5 * np.minimum(position[ends] + 1, 12))
    return _add_differences(values, owner[is_first], len(texts)), owner[is_first]


def _add_differences(values: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Returns the runs of coded numbers, which are differences from the fourth run of a mask on."""
    rank = np.arange(len(owner)) - np.searchsorted(owner, np.arange(count))[owner]
    # A sum runs through every second run of a mask: the odd ones, or the even ones from the third.
    chain = owner * 3 + np.where(rank == 0, 0, 1 + rank % 2)
    order = np.argsort(chain, kind='stable')
    sums = np.cumsum(values[order])
    chain_starts = np.flatnonzero(np.diff(chain[order], prepend=-1))
    sums_before = np.repeat(
        sums[chain_starts] - values[order][chain_starts], np.diff([*chain_starts, len(order)])
    )
    runs = np.empty_like(values)
    runs[order] = sums - sums_before
    return runs


def rle_faults(texts: Sequence[str], pixels: Sequence[int]) -> list[str]:
    """Returns the fault of each compressed RLE, an empty text for an RLE without a fault.

    Args:
        texts: the ``counts`` of N masks.
        pixels: H * W of each.

    Example:
        >>> rle_faults(['723', '72'], [12, 12])
        ['', 'runs must add up to 12 pixels, but make 9']
    """
    faults = [_character_fault(text) for text in texts]
    readable = [n for n, fault in enumerate(faults) if not fault]
    runs, owners = decode_runs([texts[n] for n in readable])
    totals = np.zeros(len(readable), np.int64)
    np.add.at(totals, owners, runs)
    lowest = np.zeros(len(readable), np.int64)
    np.minimum.at(lowest, owners, runs)
    for n, total, low in zip(readable, totals.tolist(), lowest.tolist()):
        if low < 0:
            faults[n] = f'runs must not be negative, but one is {low}'
        elif total != pixels[n]:
            faults[n] = f'runs must add up to {pixels[n]} pixels, but make {total}'
    return faults


def _character_fault(text: str) -> str:
    """Returns the fault of the characters of a compressed RLE, or an empty text."""
    if not RLE_TEXT.fullmatch(text):
        return f'"counts" must be a compressed RLE, but is {shorten(text)}'
    if OPEN_END.search(text):
        return f'"counts" must be whole, but is cut off: {shorten(text)}'
    if LONG_RUN.search(text):
        return f'"counts" must have runs of up to 32 bits, but has longer ones: {shorten(text)}'
    return ''
