"""The one exception for faults of the user's input."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used; the message names file, entry, rule and value in one line.

    torch's loader raises a worker's error anew with the traceback as its message, of which the
    last line is the one that counts.
    """

    def __init__(self, message: str = '') -> None:
        if message.startswith('Caught InputError in DataLoader worker'):
            message = message.rstrip().rsplit('InputError: ', 1)[-1]
        super().__init__(message)


def whole_number(key: str, value: object, least: int) -> int:
    """A config value that must be a whole number.

    Raises:
        InputError: it is something else, or less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f'{key}: must be a whole number >= {least}, but got {value!r}')
    return value


def share(key: str, value: object) -> float:
    """A config value that must be a number from 0 to 1.

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InputError(f'{key}: must be a number from 0 to 1, but got {value!r}')
    return float(value)
