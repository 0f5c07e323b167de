"""What a config describes, built; faults of the config apart from bugs."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

import mmcv
import mmdet
import torch

import tevit_vis
from tevit_vis.utils.config_keys import nearest_registered
from tevit_vis.utils.errors import InputError

Built = TypeVar('Built')
LIBRARIES = tuple(
    str(Path(library.__file__ or '').parent) for library in (mmcv, mmdet, torch, tevit_vis)
)
STDLIB = sysconfig.get_path('stdlib')
WRONG_CALL = re.compile(
    r"got an unexpected keyword argument '(?P<name>\w+)'|missing \d+ required|got multiple values"
)


def build(what: str, builder: Callable[[], Built]) -> Built:
    """Returns what ``builder`` makes of a part of a config.

    Args:
        what: names the part in errors.
        builder: calls a registry.

    Raises:
        InputError: mmcv's registry finds no such type, the type refuses its arguments, or a
            library refuses their values.
        Exception: a bug, also in a user's own module, as it is.
    """
    try:
        return builder()
    except InputError as error:
        # mmcv's registries raise it anew with a class's name in front: the first one is ours.
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
    """The error on top of which others were raised anew while it was handled."""
    while error.__context__ is not None and not error.__suppress_context__:
        error = error.__context__
    return error


def is_refusal(error: BaseException, builder: Callable) -> bool:
    """Whether a library refused what a config says, rather than failed at it.

    It did where an explicit ``raise`` or ``assert`` of a library stopped it, or a class was called
    with arguments that it does not have; not where a user's own module was at work.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    callers = {__file__, builder.__code__.co_filename}
    names = [frame.f_code.co_filename for frame, _ in frames]
    if not all(name in callers or is_of_a_library(name) for name in names):
        return False
    last, line = frames[-1]
    if isinstance(error, TypeError) and (match := WRONG_CALL.search(str(error))):
        return _passes_on(last, match['name'])
    return linecache.getline(last.f_code.co_filename, line).strip().startswith(('raise', 'assert'))


def is_of_a_library(file: str) -> bool:
    """Whether a source file is one of ours, of mmcv, mmdet, torch or Python itself."""
    installed = 'site-packages' in file or 'dist-packages' in file
    is_python = file.startswith(('<', STDLIB)) and not installed
    return is_python or file.startswith(LIBRARIES)


def _passes_on(frame: FrameType, name: str | None) -> bool:
    """Whether a call's arguments came from a mapping, as a config's do."""
    mappings = [value for value in frame.f_locals.values() if isinstance(value, dict)]
    return any(name is None or name in mapping for mapping in mappings)


def _silent_assertion(error: BaseException) -> str:
    """The line of an ``assert`` that says nothing."""
    if not isinstance(error, AssertionError) or str(error):
        return ''
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f' {linecache.getline(frame.f_code.co_filename, line).strip()}'


def _nearest_type(error: BaseException) -> str:
    match = re.search(r'(\S+) is not in the (.+) registry', str(error))
    return nearest_registered(match[1].strip('"\''), match[2]) if match else ''


def one_line(error: BaseException) -> str:
    """What an error says, in one line.

    Example:
        >>> one_line(ValueError('two\\nlines'))
        'two lines'
    """
    return ' '.join(str(error).split()) or type(error).__name__
