"""Draws labels in any script.

OpenCV draws ASCII only. Other names are drawn by Pillow with a font of this machine that has their
characters: the font of TEVIT_VIS_FONT, or the first suitable one.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_VARIABLE = 'TEVIT_VIS_FONT'
# Font families with many scripts, which are tried first.
FAMILIES = ('notosans', 'noto sans', 'wqy', 'wenquanyi', 'droid', 'unifont', 'arialuni', 'pingfang')
NO_GLYPH = '\U0010fffe'  # a character that no font has
CV_FONT, CV_PIXELS = cv2.FONT_HERSHEY_SIMPLEX, 22  # height of its capitals at scale 1
LOGGER = logging.getLogger('tevit_vis')


def text_size(text: str, scale: float) -> tuple[int, int, int]:
    """Returns the width of a text and its heights above and below the baseline, in pixels.

    Args:
        text: text in any script.
        scale: scale of OpenCV's font; at 1, capitals are 22 pixels high.
    """
    if text.isascii():
        (width, height), below = cv2.getTextSize(text, CV_FONT, scale, 1)
        return width, height, below
    left, top, right, bottom = _font(text, scale).getbbox(text, anchor='ls')
    return right - min(0, left), -top, max(0, bottom)


def draw_text(
    canvas: np.ndarray, text: str, origin: tuple[int, int], scale: float, ink: tuple[int, int, int]
) -> None:
    """Draws a text into a canvas.

    Args:
        canvas: [H, W, 3] (uint8, BGR), changed in place.
        text: text in any script.
        origin: (x, y) of the left end of its baseline.
        scale: see ``text_size``.
        ink: BGR colour.
    """
    if text.isascii():
        cv2.putText(canvas, text, origin, CV_FONT, scale, ink, 1, cv2.LINE_AA)
        return
    width, height, below = text_size(text, scale)
    left, top = max(0, origin[0]), max(0, origin[1] - height)
    region = canvas[top : origin[1] + below, left : left + width]
    if not region.size:
        return
    image = Image.fromarray(np.ascontiguousarray(region))
    place = (origin[0] - left, origin[1] - top)
    ImageDraw.Draw(image).text(place, text, fill=ink, font=_font(text, scale), anchor='ls')
    region[:] = np.asarray(image)


def _font(text: str, scale: float) -> ImageFont.FreeTypeFont:
    characters = ''.join(sorted({c for c in text if not c.isascii()}))
    return _load(font_for(characters), round(CV_PIXELS * scale * 1.4))


@lru_cache(maxsize=64)
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, max(6, size))


@lru_cache(maxsize=256)
def font_for(characters: str) -> str:
    """Returns the file of a font that has all of some characters.

    If there is none, returns the font that has most of them and logs a warning.
    """
    user_font = os.environ.get(FONT_VARIABLE)
    paths = [user_font] if user_font else system_fonts()
    if user_font and _num_missing(user_font, characters) > len(characters):
        LOGGER.warning('%s: must be a font file, but %s is none', FONT_VARIABLE, user_font)
        paths = system_fonts()
    missing = {path: _num_missing(path, characters) for path in paths[:1]}
    for path in paths[1:]:
        if min(missing.values()) == 0:
            break
        missing[path] = _num_missing(path, characters)
    best = min(missing, key=lambda path: missing[path])
    if missing[best]:
        LOGGER.warning(
            'no font has the characters of %r: install one, such as fonts-noto-cjk, or name its '
            'file in %s; boxes are drawn in their place',
            *(characters, FONT_VARIABLE),
        )
    return best


@lru_cache(maxsize=1)
def system_fonts() -> list[str]:
    """Returns the fonts of this machine, those with many scripts first."""
    from matplotlib import font_manager  # takes half a second to import

    paths = font_manager.findSystemFonts() + [font_manager.findfont('DejaVu Sans')]

    def rank(path: str) -> tuple:
        name = os.path.basename(path).lower()
        is_regular = 'regular' in name or name.startswith('dejavusans.')
        return not any(family in name for family in FAMILIES), not is_regular, name

    return sorted(paths, key=rank)


def _num_missing(path: str, characters: str) -> int:
    """Returns how many of the characters a font draws as its box for missing characters."""
    try:
        font = _load(path, 20)
        box = bytes(font.getmask(NO_GLYPH))
        return sum(bytes(font.getmask(character)) == box for character in characters)
    except (OSError, ValueError):  # no font file, or one of an unknown kind
        return len(characters) + 1
