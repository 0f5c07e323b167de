"""Builds what a config describes, and tells faults of the config from bugs."""

from __future__ import annotations

import linecache
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import TypeVar

from tevit_vis.utils.errors import InputError

Built = TypeVar('Built')
LIBRARIES = ('mmcv', 'mmdet', 'torch', 'tevit_vis')
STDLIB = sysconfig.get_path('stdlib')
WRONG_CALL = re.compile(
    r"got an unexpected keyword argument '(?P<name>\w+)'|missing \d+ required|got multiple values"
)


def build(what: str, builder: Callable[[], Built]) -> Built:
    """Builds a part of a config.

    Args:
        what: name of the part, for errors, such as ``'model'``.
        builder: function without arguments that builds the part by its registry.

    Raises:
        InputError: the type is not registered, or it does not accept its arguments or their
            values.
        Exception: any other error, such as a bug in a user's own module, unchanged.
    """
    try:
        return builder()
    except InputError as error:
        # mmcv's registries wrap it in a new error that starts with a class's name: raise ours.
        raise first_cause(error) from None
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        cause = first_cause(error)
        if isinstance(cause, InputError):
            raise cause from None
        if not is_refusal(cause, builder):
            raise
        raise InputError(
            f'config: {what} cannot be built: {one_line(error)}{_nearest_type(cause)}'
            f'{_silent_assertion(cause)}'
        ) from error


def first_cause(error: BaseException) -> BaseException:
    """Returns the first error of a chain in which each was raised while handling the one before."""
    while error.__context__ is not None and not error.__suppress_context__:
        error = error.__context__
    return error


def is_refusal(error: BaseException, builder: Callable) -> bool:
    """Whether a library rejected the config, rather than failed because of a bug.

    A library rejects a config by a ``raise`` or ``assert`` of its own, or because a class is called
    with arguments that it does not have. An error that a user's own module took part in is a bug.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    callers = {__file__, builder.__code__.co_filename}
    files = [frame.f_code.co_filename for frame, _ in frames]
    if not all(file in callers or is_library_file(file) for file in files):
        return False
    last_frame, line_number = frames[-1]
    if isinstance(error, TypeError) and (match := WRONG_CALL.search(str(error))):
        return _arguments_come_from_mapping(last_frame, match['name'])
    source_line = linecache.getline(last_frame.f_code.co_filename, line_number).strip()
    return source_line.startswith(('raise', 'assert'))


def is_library_file(file: str) -> bool:
    """Whether a source file belongs to tevit_vis, mmcv, mmdet, torch or Python itself."""
    installed = 'site-packages' in file or 'dist-packages' in file
    is_python = file.startswith(('<', STDLIB)) and not installed
    return is_python or file.startswith(library_folders())


@lru_cache
def library_folders() -> tuple[str, ...]:
    """Returns the folders of the libraries that take configs, of those that are imported."""
    modules = [sys.modules[name] for name in LIBRARIES if sys.modules.get(name)]
    return tuple(str(Path(module.__file__ or '').parent) for module in modules)


def _arguments_come_from_mapping(frame: FrameType, name: str | None) -> bool:
    """Whether the arguments of a failed call came from a mapping, as those of a config do."""
    mappings = [value for value in frame.f_locals.values() if isinstance(value, dict)]
    return any(name is None or name in mapping for mapping in mappings)


def _silent_assertion(error: BaseException) -> str:
    """Returns the source line of an ``assert`` without a message, else an empty text."""
    if not isinstance(error, AssertionError) or str(error):
        return ''
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f' {linecache.getline(frame.f_code.co_filename, line).strip()}'


def _nearest_type(error: BaseException) -> str:
    """Returns a hint with the registered names nearest to an unknown type, else an empty text."""
    if 'mmcv' not in sys.modules:  # where an exported model runs
        return ''
    from tevit_vis.utils.config_keys import nearest_registered

    match = re.search(r'(\S+) is not in the (.+) registry', str(error))
    return nearest_registered(match[1].strip('"\''), match[2]) if match else ''


def one_line(error: BaseException) -> str:
    """Returns the message of an error in one line, or its class name if it has none.

    Example:
        >>> one_line(ValueError('two\\nlines'))
        'two lines'
    """
    return ' '.join(str(error).split()) or type(error).__name__
