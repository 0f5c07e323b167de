"""Draws synthetic videos: cut-outs of real photographs that move over other photographs.

Instances of one category in a video are copies of one cut-out, so that only their motion tells
them apart. They cross, cover each other, enter and leave, and some frames are out of focus. Masks
are exact: a mask has the pixels of which the cut-out covers at least half and that no other
cut-out hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tevit_vis.utils.errors import InputError

from .photographs import (
    BACKGROUNDS,
    CATEGORIES,
    CUTOUT_SIZE,
    NEW_CATEGORIES,
    cut_out,
    photograph_folder,
    read_photograph,
)

OVERSAMPLING = 2  # frames are drawn this much larger, then averaged down
BLURRED_VIDEOS, BLURRED_FRAMES, BLUR = 0.5, 3, 2.5  # part of the videos, frames, sigma in pixels
NOISE = 4.0  # standard deviation, in grey levels


@dataclass(frozen=True)
class MovingCutout:
    """An instance that moves through T frames.

    Args:
        category: index into ``SyntheticWorld.class_names``.
        picture: [h, w, 4] float, BGR and coverage 0 to 1.
        centers: [T, 2], x y relative to the frame's width and height.
        scales: [T], longer side relative to the frame's height.
        angles: [T], degrees.
        shown: [T] bool, whether the instance is drawn at all.
    """

    category: int
    picture: np.ndarray
    centers: np.ndarray
    scales: np.ndarray
    angles: np.ndarray
    shown: np.ndarray

    def draw(self, t: int, width: int, height: int) -> tuple[slice, slice, np.ndarray]:
        """Draws the instance alone on an empty frame of ``width`` x ``height``.

        Returns:
            The rows and columns of a window of the frame that contains the instance, and the pixels
            of the window [h, w, 4].
        """
        h, w = self.picture.shape[:2]
        zoom = self.scales[t] * height / CUTOUT_SIZE
        center = self.centers[t] * (width, height)
        radius = zoom * np.hypot(h, w) / 2 + 1
        rows, columns = (
            _window(center[axis], radius, length) for axis, length in ((1, height), (0, width))
        )
        matrix = cv2.getRotationMatrix2D((w / 2, h / 2), self.angles[t], zoom)
        matrix[:, 2] += center - (w / 2, h / 2) - (columns.start, rows.start)
        shape = columns.stop - columns.start, rows.stop - rows.start
        if not all(shape):
            return rows, columns, np.zeros((*shape[::-1], 4), np.float32)
        return rows, columns, cv2.warpAffine(self.picture, matrix, shape, flags=cv2.INTER_LINEAR)


def _window(center: float, radius: float, length: int) -> slice:
    """Returns the part of 0...length within a radius, widened to whole pixels as written."""
    first = np.floor((center - radius) / OVERSAMPLING) * OVERSAMPLING
    last = np.ceil((center + radius) / OVERSAMPLING) * OVERSAMPLING
    first, last = np.clip([first, last], 0, length).astype(int)
    return slice(int(first), int(last))


@dataclass(frozen=True)
class SyntheticVideo:
    """Frames [T, H, W, 3] (uint8, BGR), and each instance's category and masks [T, H, W] (bool)."""

    frames: np.ndarray
    categories: list[int]
    masks: list[np.ndarray]


class SyntheticWorld:
    """Draws synthetic videos.

    Args:
        size: (width, height) of the frames.
        num_frames: T.
        absence: (fewest, most) frames for which each instance is out of sight once, as if behind
            a curtain; there are two of a kind in every video then. None hides nothing.
        with_new: also draw ``NEW_CATEGORIES``, which the shipped model never saw.

    Attributes:
        class_names: of the categories, by index.

    Raises:
        InputError: the absences do not fit the video, or scikit-image, which ships the
            photographs, is not installed.
    """

    def __init__(
        self,
        size: tuple[int, int] = (160, 96),
        num_frames: int = 20,
        absence: tuple[int, int] | None = None,
        with_new: bool = False,
    ) -> None:
        self.width, self.height = size
        self.num_frames = num_frames
        self.absence = absence
        if absence is not None and not 0 < absence[0] <= absence[1] <= num_frames - 2:
            raise InputError(
                f'absence: must be from 1 frame to {num_frames - 2}, two fewer than the video '
                f'has, but is {absence[0]} to {absence[1]}'
            )
        folder = photograph_folder()
        categories = {**CATEGORIES, **NEW_CATEGORIES} if with_new else CATEGORIES
        self.class_names = list(categories)
        self.cutouts = [
            [cut_out(folder, cutout) for cutout in cutouts] for cutouts in categories.values()
        ]
        self.backgrounds = [read_photograph(folder, name) for name in BACKGROUNDS]

    def video(self, seed: Sequence[int]) -> SyntheticVideo:
        """Draws the video of a seed: the same seed always gives the same video."""
        rng = np.random.default_rng(seed)
        backdrop = self._backdrop(rng)
        cutouts = self._tracks(rng)
        blurred = self._blurred_frames(rng)
        frames, masks = [], []
        for t in range(self.num_frames):
            frame, visible_masks = self._compose(backdrop, cutouts, t)
            if t in blurred:
                frame = cv2.GaussianBlur(frame, (0, 0), BLUR)
            frame = frame + NOISE * rng.standard_normal(frame.shape, np.float32)
            frames.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
            masks.append(visible_masks)
        return SyntheticVideo(
            np.stack(frames),
            [cutout.category for cutout in cutouts],
            [np.stack(of_cutout) for of_cutout in zip(*masks)],
        )

    def _compose(
        self, backdrop: np.ndarray, cutouts: Sequence[MovingCutout], t: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Returns a frame [H, W, 3] and each cut-out's visible mask [H, W], later ones on top."""
        width, height = self.width * OVERSAMPLING, self.height * OVERSAMPLING
        pan = round(t * (backdrop.shape[1] - width) / max(1, self.num_frames - 1))
        canvas = backdrop[:, pan : pan + width].copy()
        masks: list[np.ndarray] = []
        for cutout in cutouts:
            rows, columns, pixels = cutout.draw(t, width, height)
            mask = np.zeros((self.height, self.width), bool)
            if pixels.size and cutout.shown[t]:
                coverage = pixels[..., 3:]
                background = canvas[rows, columns]
                canvas[rows, columns] = background + coverage * (pixels[..., :3] - background)
                frame_window = (_downscaled_slice(rows), _downscaled_slice(columns))
                mask[frame_window] = _downscale(pixels[..., 3]) >= 0.5
            masks = [other & ~mask for other in masks] + [mask]
        return _downscale(canvas), masks

    def _backdrop(self, rng: np.random.Generator) -> np.ndarray:
        """Returns a tinted part of a photograph, at least as wide as the frames."""
        photograph = self.backgrounds[rng.integers(len(self.backgrounds))]
        width = round(self.width * OVERSAMPLING * rng.uniform(1.0, 1.15))
        height = self.height * OVERSAMPLING
        zoom = max(1.0, width / photograph.shape[1], height / photograph.shape[0])
        large = cv2.resize(photograph, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
        x = rng.integers(large.shape[1] - width + 1)
        y = rng.integers(large.shape[0] - height + 1)
        part = large[y : y + height, x : x + width]
        part = part[:, ::-1] if rng.random() < 0.5 else part
        return np.clip(part * rng.uniform(0.6, 1.1, 3).astype(np.float32), 0, 255)

    def _tracks(self, rng: np.random.Generator) -> list[MovingCutout]:
        """Returns two to four instances; in most videos, two of them have the same category."""
        num_instances = int(rng.integers(2, 5))
        categories = [int(rng.integers(len(self.cutouts))) for _ in range(num_instances)]
        if rng.random() < 0.6 or self.absence:
            categories[1] = categories[0]
        rng.shuffle(categories)
        pictures = {}
        for category in categories:
            if category not in pictures:
                options = self.cutouts[category]
                picture = options[rng.integers(len(options))].copy()
                picture[..., :3] = np.clip(picture[..., :3] * rng.uniform(0.75, 1.15), 0, 255)
                pictures[category] = picture
        return [self._moving_cutout(rng, category, pictures[category]) for category in categories]

    def _moving_cutout(
        self, rng: np.random.Generator, category: int, picture: np.ndarray
    ) -> MovingCutout:
        time = np.linspace(0, 1, self.num_frames)[:, None]
        begin, end = rng.uniform(0.15, 0.85, 2), rng.uniform(0.15, 0.85, 2)
        begin[0] = rng.uniform(0.05, 0.5)
        end[0] = rng.uniform(0.5, 0.95)
        enter_or_leave = rng.random()
        if enter_or_leave < 0.2:
            begin[0] = -0.15  # enters
        elif enter_or_leave < 0.4:
            end[0] = 1.15  # leaves
        if rng.random() < 0.5:
            begin, end = end, begin
        swing = rng.uniform(0, 0.08, 2) * np.sin(2 * np.pi * (time * rng.uniform(0.5, 1.5, 2)))
        scale = rng.uniform(0.35, 0.65) * rng.uniform(0.75, 1.3) ** time[:, 0]
        angle = rng.uniform(-40, 40) + rng.uniform(-60, 60) * time[:, 0]
        centers = begin + (end - begin) * time + swing
        return MovingCutout(category, picture, centers, scale, angle, self._shown(rng))

    def _shown(self, rng: np.random.Generator) -> np.ndarray:
        """Returns in which frames an instance is drawn: [T] bool."""
        shown = np.ones(self.num_frames, bool)
        if self.absence:
            length = int(rng.integers(self.absence[0], self.absence[1] + 1))
            first = int(rng.integers(1, self.num_frames - length))
            shown[first : first + length] = False
        return shown

    def _blurred_frames(self, rng: np.random.Generator) -> set[int]:
        if rng.random() >= BLURRED_VIDEOS or self.num_frames <= BLURRED_FRAMES:
            return set()
        first = int(rng.integers(self.num_frames - BLURRED_FRAMES + 1))
        return set(range(first, first + BLURRED_FRAMES))


def _downscale(picture: np.ndarray) -> np.ndarray:
    """Averages pixels, from the size of drawing to the size of the written frame."""
    height, width = (length // OVERSAMPLING for length in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _downscaled_slice(window: slice) -> slice:
    return slice(window.start // OVERSAMPLING, window.stop // OVERSAMPLING)
