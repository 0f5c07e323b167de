"""The photographs that synthetic videos are made of, and what is cut out of them.

They are those that scikit-image ships in its wheel and that its authors list as public domain or
CC0 (astronaut, brick, chelsea, coffee, gravel, grass, horse, moon, retina, rocket), or as without
known copyright restrictions (coins, ihc); and a chessboard.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tevit_vis.utils.errors import InputError

CUTOUT_SIZE = 128  # longer side of a cut-out, in pixels
DARK = 128  # grey levels below it are dark


def _ellipse(x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return [(x + rx * np.cos(a), y + ry * np.sin(a)) for a in angles]


def _rectangle(width: float, height: float) -> list[tuple[float, float]]:
    return [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]


@dataclass(frozen=True)
class Cutout:
    """A part of a photograph.

    Args:
        photograph: its file.
        polygons: whose union is cut out, x y in pixels of the photograph.
        silhouette: BGR colour; only dark pixels are cut out then, and painted in it.
    """

    photograph: str
    polygons: Sequence[Sequence[tuple[float, float]]]
    silhouette: tuple[int, int, int] | None = None


# fmt: off
CATEGORIES: dict[str, list[Cutout]] = {
    'cat': [Cutout('chelsea.png', [[
        (42, 75), (113, 12), (211, 0), (296, 50), (359, 112), (345, 187), (317, 250), (268, 292),
        (183, 281), (113, 237), (49, 175)]])],
    'astronaut': [Cutout('astronaut.png', [[
        (150, 85), (172, 28), (222, 8), (272, 26), (300, 80), (290, 140), (304, 190), (330, 235),
        (355, 300), (360, 370), (300, 385), (285, 505), (16, 505), (32, 405), (56, 300), (96, 235),
        (120, 190), (160, 150)]])],
    'cup': [Cutout('coffee.png', [_ellipse(267, 235, 200, 150), _ellipse(283, 100, 112, 82)])],
    'coin': [Cutout('coins.png', [_ellipse(*coin)]) for coin in (
        (330, 43, 28, 28), (270, 117, 23, 23), (341, 184, 30, 30), (208, 191, 22, 22))],
    'retina': [Cutout('retina.jpg', [_ellipse(705, 705, 672, 672)])],
}
# What the shipped model never saw: the quickstart teaches it these.
NEW_CATEGORIES: dict[str, list[Cutout]] = {
    'horse': [Cutout('horse.png', [_rectangle(400, 328)], silhouette=(58, 92, 150))],
    'gland': [Cutout('ihc.png', [_ellipse(324, 410, 55, 88)])],
    'chessboard': [Cutout('chessboard_RGB.png', [_rectangle(200, 200)])],
}
# fmt: on
BACKGROUNDS = ('gravel.png', 'grass.png', 'brick.png', 'moon.png', 'rocket.jpg')


def photograph_folder() -> Path:
    """Returns the folder of scikit-image's photographs, without importing the package.

    Raises:
        InputError: scikit-image is not installed.
    """
    spec = importlib.util.find_spec('skimage')
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            'scikit-image: must be installed, since its photographs are used: '
            'bash tools/setup_env.sh quickstart, or pip install scikit-image'
        )
    return Path(spec.submodule_search_locations[0]) / 'data'


def read_photograph(folder: Path, name: str) -> np.ndarray:
    """Reads a photograph as [H, W, 3] float32 (BGR).

    Raises:
        InputError: the file is absent or is not an image.
    """
    photograph = cv2.imread(str(folder / name))
    if photograph is None:
        raise InputError(
            f'{folder / name}: photograph of scikit-image must be there, but it is not'
        )
    return photograph.astype(np.float32)


def cut_out(folder: Path, cutout: Cutout) -> np.ndarray:
    """Returns a cut-out as [h, w, 4] float32, BGR and coverage; its longer side is ``CUTOUT_SIZE``
    pixels, without the border.
    """
    photograph = read_photograph(folder, cutout.photograph)
    coverage = np.zeros(photograph.shape[:2], np.float32)
    for polygon in cutout.polygons:
        cv2.fillPoly(coverage, [np.rint(polygon).astype(np.int32)], 1.0)
    if cutout.silhouette:
        coverage *= photograph.mean(2) < DARK
        photograph[:] = cutout.silhouette
    ys, xs = np.nonzero(coverage)
    window = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
    picture = np.dstack([photograph, coverage])[window]
    zoom = CUTOUT_SIZE / max(picture.shape[:2])
    interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=interpolation)
    # An empty border, so that the edge of the cut-out is interpolated like the rest.
    return cv2.copyMakeBorder(picture, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
