"""Labels of boxes that do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .text import draw_text, text_size


def draw_label(
    canvas: np.ndarray,
    box: Sequence[int],
    text: str,
    color: tuple[int, int, int],
    scale: float,
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int]:
    """Draws a label at its box, where no other label is.

    Args:
        canvas: [H, W, 3] (uint8, BGR), changed in place.
        box: left, top, right, bottom.
        text: of the label.
        color: of its background.
        scale: see ``text_size``.
        taken: the places of other labels.

    Returns:
        Its place: left, top, right, bottom.
    """
    text_width, text_height, below = text_size(text, scale)
    size = text_width + 2, text_height + below + 2
    left, top, right, bottom = place_label(box, size, canvas.shape[1::-1], taken)
    cv2.rectangle(canvas, (left, top), (right, bottom), color, cv2.FILLED)
    luminance = np.dot(color, (0.114, 0.587, 0.299))
    ink = (0, 0, 0) if luminance > 120 else (255, 255, 255)
    draw_text(canvas, text, (left + 1, bottom - below), scale, ink)
    return left, top, right, bottom


def place_label(
    box: Sequence[int],
    size: tuple[int, int],
    frame: Sequence[int],
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int]:
    """Returns where a label goes: left, top, right, bottom.

    It sits on its box, else below it, else further down until no other label is there; never
    outside the frame. If there is no free place, it sits on its box.

    Args:
        box: left, top, right, bottom.
        size: (width, height) of the label.
        frame: (width, height).
        taken: the places of other labels.

    Example:
        >>> place_label((10, 20, 40, 60), (30, 10), (100, 100), taken=[])
        (10, 10, 40, 20)
        >>> place_label((10, 20, 40, 60), (30, 10), (100, 100), taken=[(10, 10, 40, 20)])
        (10, 60, 40, 70)
    """
    width, height = size
    left = max(0, min(box[0], frame[0] - width))
    on_box = max(0, min(box[1] - height, frame[1] - height))
    below = range(box[1], frame[1], height + 1)
    above = range(box[1] - 2 * height - 1, -1, -height - 1)
    tops = [on_box, box[3], *below, *above]
    for top in tops:
        if 0 <= top <= frame[1] - height and not any(
            left < other[2]
            and other[0] < left + width
            and top < other[3]
            and other[1] < top + height
            for other in taken
        ):
            return left, top, left + width, top + height
    return left, on_box, left + width, on_box + height
