"""Draws the instances of a video into its frames.

Frames are arrays [H, W, 3] of uint8 in BGR.
"""

from __future__ import annotations

import colorsys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from tevit_vis.rle import decode_rle
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction, did_you_mean

from .labels import draw_label

PARTS = ('masks', 'boxes', 'labels', 'scores', 'ids', 'trails')
DEFAULT_PARTS = ('masks', 'boxes', 'labels', 'scores')
TRAIL_FRAMES = 30  # centres of a track that a trail has
BLUR_SHARE = 40  # the long side of a frame, in sigmas of the blur
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


@dataclass(frozen=True)
class DrawStyle:
    """What is drawn of the instances of a video, and how.

    Args:
        parts: of ``PARTS``.
        opacity: of the masks' colours, 0 to 1.
        line: width of outlines and boxes in pixels; None fits the size of the frame.
        blur: whether the instances are blurred, to make them unrecognisable.
        side_by_side: whether the frame as it was is put to the left.
        zoom: factor that enlarges small frames, so that labels can be read.

    Raises:
        InputError: a part is not known, or a number is out of range.

    Example:
        >>> DrawStyle(parts=('masks', 'ids')).opacity
        0.45
    """

    parts: Sequence[str] = DEFAULT_PARTS
    opacity: float = 0.45
    line: int | None = None
    blur: bool = False
    side_by_side: bool = False
    zoom: int = 1

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise InputError(
                    f'--draw: must be of {", ".join(PARTS)}, but got {part!r}'
                    f'{did_you_mean(part, PARTS)}'
                )
        check_fraction('--opacity', self.opacity)


class FrameDrawer:
    """Draws the instances of a video into its frames, one after the other.

    Args:
        class_names: name of each label.
        style: what is drawn, and how.
    """

    def __init__(self, class_names: Sequence[str], style: DrawStyle | None = None) -> None:
        self.class_names = class_names
        self.style = style or DrawStyle()
        self.trails: dict[int, deque[tuple[int, int]]] = {}  # by track: centres, the oldest first

    def draw(
        self,
        image: np.ndarray,
        instances: VideoInstances,
        index: int,
        tracks: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Returns a copy of a frame with its instances drawn.

        Args:
            image: [H, W, 3].
            instances: drawn with the first on top; a track keeps its colour through the video.
            index: number of the frame in ``instances``.
            tracks: track numbers of the instances, for their colours; the default is their order.

        Returns:
            [zoom * H, zoom * W, 3], or twice as wide with ``side_by_side``.
        """
        style = self.style
        numbers = range(len(instances)) if tracks is None else tracks
        canvas = cv2.resize(
            image, None, fx=style.zoom, fy=style.zoom, interpolation=cv2.INTER_CUBIC
        )
        original = canvas.copy() if style.side_by_side else None
        visible = self._visible(instances, index, numbers)
        if style.blur:
            _blur(canvas, [drawn.mask for drawn in visible])
        for drawn in reversed(visible):
            if 'masks' in style.parts:
                _draw_mask(canvas, drawn.mask, drawn.color, style.opacity, style.line or 1)
        scale = max(0.4, min(canvas.shape[:2]) / 900)
        thickness = style.line or max(1, round(scale * 1.6))
        for drawn in reversed(visible):
            if 'boxes' in style.parts:
                left, top, right, bottom = drawn.box
                cv2.rectangle(canvas, (left, top), (right, bottom), drawn.color, thickness)
        if 'trails' in style.parts:
            self._draw_trails(canvas, visible, thickness)
        taken: list[tuple[int, int, int, int]] = []
        for drawn in visible:
            text = self._text(instances, drawn)
            if text:
                taken.append(draw_label(canvas, drawn.box, text, drawn.color, scale, taken))
        return canvas if original is None else np.hstack([original, canvas])

    def _visible(
        self, instances: VideoInstances, index: int, numbers: Sequence[int]
    ) -> list[DrawnInstance]:
        """Returns the instances that have pixels in a frame, the first on top."""
        visible = []
        zoom = self.style.zoom
        limits = np.tile(np.array(instances.size[::-1]) * zoom - 1, 2)
        for n, track in enumerate(instances.segmentations):
            mask = decode_rle(track[index]) if track[index] is not None else None
            if mask is not None and mask.any():
                box = np.clip((instances.boxes[n, index] * zoom).round(), 0, limits)
                visible.append(
                    DrawnInstance(
                        index=n,
                        track=numbers[n],
                        mask=_enlarged(mask, zoom),
                        box=tuple(box.astype(int).tolist()),
                        color=track_color(numbers[n]),
                    )
                )
        return visible

    def _text(self, instances: VideoInstances, drawn: DrawnInstance) -> str:
        """Returns the label of an instance, or an empty text."""
        parts = []
        if 'ids' in self.style.parts:
            parts.append(f'#{drawn.track}')
        if 'labels' in self.style.parts:
            parts.append(self.class_names[instances.labels[drawn.index]])
        if 'scores' in self.style.parts:
            parts.append(f'{instances.scores[drawn.index]:.2f}')
        return ' '.join(parts)

    def _draw_trails(
        self, canvas: np.ndarray, visible: Sequence[DrawnInstance], thickness: int
    ) -> None:
        """Draws where the centres of the tracks have been."""
        for drawn in visible:
            left, top, right, bottom = drawn.box
            trail = self.trails.setdefault(drawn.track, deque(maxlen=TRAIL_FRAMES))
            trail.append(((left + right) // 2, (top + bottom) // 2))
            points = np.array(trail, np.int32).reshape(-1, 1, 2)
            cv2.polylines(canvas, [points], False, drawn.color, thickness, cv2.LINE_AA)
            cv2.circle(canvas, trail[-1], thickness + 1, drawn.color, cv2.FILLED, cv2.LINE_AA)
        shown = {drawn.track for drawn in visible}
        self.trails = {track: trail for track, trail in self.trails.items() if track in shown}


class DrawnInstance(NamedTuple):
    """An instance in a frame that is drawn."""

    index: int  # among the instances
    track: int
    mask: np.ndarray  # [zoom * H, zoom * W] bool
    box: tuple[int, ...]  # left, top, right, bottom, in pixels of the drawn frame
    color: tuple[int, int, int]


def _enlarged(mask: np.ndarray, zoom: int) -> np.ndarray:
    """Returns a mask [H, W] (bool) enlarged, with a smooth edge."""
    if zoom == 1:
        return mask
    return cv2.resize(mask.astype(np.float32), None, fx=zoom, fy=zoom) >= 0.5


def _blur(canvas: np.ndarray, masks: Sequence[np.ndarray]) -> None:
    """Blurs the pixels of masks."""
    if not masks:
        return
    inside = np.any(masks, axis=0)
    sigma = max(canvas.shape[:2]) / BLUR_SHARE
    canvas[inside] = cv2.GaussianBlur(canvas, (0, 0), sigma)[inside]


def _draw_mask(
    canvas: np.ndarray,
    mask: np.ndarray,
    color: tuple[int, int, int],
    opacity: float,
    line: int,
) -> None:
    """Tints the pixels of a mask and draws its outline."""
    mask = mask.view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    region = slice(top, top + height), slice(left, left + width)
    tint = np.full((height, width, 3), color, np.uint8)
    tinted = cv2.addWeighted(canvas[region], 1 - opacity, tint, opacity, 0)
    canvas[region][mask[region] > 0] = tinted[mask[region] > 0]
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(canvas, outlines, -1, color, line, cv2.LINE_AA)


def draw_frame(
    image: np.ndarray,
    instances: VideoInstances,
    index: int,
    class_names: Sequence[str],
    zoom: int = 1,
    tracks: Sequence[int] | None = None,
) -> np.ndarray:
    """Returns a copy of one frame with masks, boxes, classes and scores drawn.

    Args:
        image: [H, W, 3].
        instances, index, tracks: see ``FrameDrawer.draw``.
        class_names: name of each label.
        zoom: factor that enlarges small frames.
    """
    return FrameDrawer(class_names, DrawStyle(zoom=zoom)).draw(image, instances, index, tracks)
