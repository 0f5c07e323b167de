"""Checks values that users write, and shows values in messages."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from tevit_vis.utils.errors import InputError


def shorten(value: object, most: int = 60) -> str:
    """Returns a value as printable text for a message; a long one is cut in the middle.

    Example:
        >>> shorten('a' * 9, most=7)
        "'a...a'"
    """
    text = ascii(value) if not isinstance(value, (int, float)) else _number_text(value)
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f'{text[:half]}...{text[-half:]}'


def check_whole_number(key: str, value: object, least: int) -> int:
    """Checks a value that must be a whole number and returns it.

    Args:
        key: names the value in the error.
        value: as it was written.
        least: the smallest number allowed.

    Raises:
        InputError: the value is something else, or less than ``least``.

    Example:
        >>> check_whole_number('model.test_cfg.windows.length', 5, least=1)
        5
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f'{key}: must be a whole number >= {least}, but got {value!r}')
    return value


def check_fraction(key: str, value: object) -> float:
    """Checks a value that must be a number from 0 to 1 and returns it.

    Args:
        key: names the value in the error.
        value: as it was written.

    Raises:
        InputError: the value is something else.

    Example:
        >>> check_fraction('--score-thr', 1)
        1.0
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InputError(f'{key}: must be a number from 0 to 1, but got {value!r}')
    return float(value)


def is_number(value: object) -> bool:
    """Whether a value of a file is a finite number; True and False are none.

    Example:
        >>> is_number(1.5), is_number(True), is_number(float('nan')), is_number('1')
        (True, False, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e300 if isinstance(value, int) else math.isfinite(value)


def is_whole_number(value: object) -> bool:
    """Whether a value of a file is a whole number; True and False are none.

    Example:
        >>> is_whole_number(2), is_whole_number(2.0), is_whole_number(True)
        (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool)


def _number_text(value: float) -> str:
    if isinstance(value, int) and abs(value) > 10**30:
        return f'a whole number of {value.bit_length()} bits'
    return repr(value)


def did_you_mean(
    word: str, known: Iterable[str], most: int = 3, cutoff: float = 0.6, quoted: bool = True
) -> str:
    """Returns '; did you mean ...?' with the known words that are closest, or an empty text.

    Args:
        word: unknown word that was written.
        known: words that may have been meant.
        most: most words to name.
        cutoff: least similarity of a word that is named, 0 to 1.
        quoted: whether to put the words in quotes.

    Example:
        >>> did_you_mean('bakcbone', ['backbone', 'neck'])
        "; did you mean 'backbone'?"
    """
    close = difflib.get_close_matches(word, sorted(set(known)), n=most, cutoff=cutoff)
    return f'; did you mean {" or ".join(map(repr, close) if quoted else close)}?' if close else ''
