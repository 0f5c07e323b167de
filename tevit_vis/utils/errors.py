"""The one exception for faults of the user's input."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used; the message names file, entry, rule and value in one line.

    torch's DataLoader raises the error of a worker again, with the whole traceback as its message;
    of that only the original message is kept.
    """

    def __init__(self, message: str = '') -> None:
        if message.startswith('Caught InputError in DataLoader worker'):
            message = message.rstrip().rsplit('InputError: ', 1)[-1]
        super().__init__(message)
