"""Draws the instances of a video into its frames.

Frames are arrays [H, W, 3] of uint8 in BGR.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from tevit_vis.rle import decode_rle
from tevit_vis.structures import VideoInstances

from .text import draw_text, text_size

MASK_OPACITY = 0.45
GOLDEN_RATIO = 0.618034


def track_color(index: int) -> tuple[int, int, int]:
    """Returns the BGR colour of a track; tracks with neighbouring numbers differ much in hue.

    Example:
        >>> track_color(0)
        (38, 207, 255)
    """
    hue = (0.13 + index * GOLDEN_RATIO) % 1.0
    value = (1.0, 0.8)[index // 8 % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw_frame(
    image: np.ndarray,
    instances: VideoInstances,
    index: int,
    class_names: Sequence[str],
    zoom: int = 1,
    tracks: Sequence[int] | None = None,
) -> np.ndarray:
    """Returns a copy of a frame with masks, boxes, classes and scores drawn.

    Args:
        image: [H, W, 3].
        instances: drawn with the first on top; a track keeps its colour through the video.
        index: number of the frame.
        class_names: name of each label.
        zoom: factor that enlarges small frames, so that labels can be read.
        tracks: track numbers of the instances, for their colours; the default is their order.

    Returns:
        [zoom * H, zoom * W, 3].
    """
    canvas = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    annotated = [n for n in range(len(instances)) if instances.segmentations[n][index] is not None]
    masks = {n: decode_rle(instances.segmentations[n][index]) for n in annotated}
    visible = [n for n in annotated if masks[n].any()]
    colors = {n: track_color(n if tracks is None else tracks[n]) for n in visible}
    for n in reversed(visible):
        _draw_mask(canvas, _enlarged(masks[n], zoom), colors[n])
    for n in reversed(visible):
        text = f'{class_names[instances.labels[n]]} {instances.scores[n]:.2f}'
        _draw_box(canvas, instances.boxes[n, index] * zoom, text, colors[n])
    return canvas


def _enlarged(mask: np.ndarray, zoom: int) -> np.ndarray:
    """Returns a mask [H, W] (bool) enlarged, with a smooth edge."""
    if zoom == 1:
        return mask
    return cv2.resize(mask.astype(np.float32), None, fx=zoom, fy=zoom) >= 0.5


def _draw_mask(canvas: np.ndarray, mask: np.ndarray, color: tuple[int, int, int]) -> None:
    mask = mask.view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    region = slice(top, top + height), slice(left, left + width)
    tint = np.full((height, width, 3), color, np.uint8)
    tinted = cv2.addWeighted(canvas[region], 1 - MASK_OPACITY, tint, MASK_OPACITY, 0)
    canvas[region][mask[region] > 0] = tinted[mask[region] > 0]
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(canvas, outlines, -1, color, 1, cv2.LINE_AA)


def _draw_box(canvas: np.ndarray, box: np.ndarray, text: str, color: tuple[int, int, int]) -> None:
    height, width = canvas.shape[:2]
    scale = max(0.4, min(height, width) / 900)
    thickness = max(1, round(scale * 1.6))
    limits = np.array([width, height, width, height]) - 1
    left, top, right, bottom = np.clip(box.round(), 0, limits).astype(int).tolist()
    cv2.rectangle(canvas, (left, top), (right, bottom), color, thickness)
    text_width, text_height, below = text_size(text, scale)
    # The label sits on the box's upper edge, but never outside the frame.
    label_bottom = max(top, text_height + below + 2)
    left = max(0, min(left, width - text_width - 2))
    corner = (left, label_bottom - text_height - below - 2)
    cv2.rectangle(canvas, corner, (left + text_width + 2, label_bottom), color, cv2.FILLED)
    luminance = np.dot(color, (0.114, 0.587, 0.299))
    ink = (0, 0, 0) if luminance > 120 else (255, 255, 255)
    origin = (left + 1, label_bottom - below)
    draw_text(canvas, text, origin, scale, ink)
