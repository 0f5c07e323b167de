"""Configs: found by path or by name, changed by ``--cfg-options`` that must mean something."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mmcv import Config
from mmcv.utils import Registry

from tevit_vis.utils.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
# Installed, the configs lie in the package; in a checkout, beside it.
CONFIG_FAULTS = (
    SyntaxError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    NameError,
    ImportError,
    OSError,
)
Built = TypeVar('Built')
CONFIG_FOLDERS = (PACKAGE / 'configs', PACKAGE.parent / 'configs')


def find_config(name: str) -> Path:
    """A config file from its path, or from its name below ``configs/`` (``tevit/tevit_r50``).

    Raises:
        InputError: there is none.
    """
    for folder in (Path(), *CONFIG_FOLDERS):
        for candidate in (folder / name, folder / f'{name}.py'):
            if candidate.is_file():
                return candidate
    known = [
        str(path.relative_to(folder).with_suffix(''))
        for folder in CONFIG_FOLDERS
        for path in folder.glob('[!_]*/*.py')
    ]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f'; did you mean {" or ".join(close)}?' if close else ''
    raise InputError(
        f'{name}: config must be a file or a name such as tevit/tevit_msgshift, '
        f'but there is none{hint}'
    )


def load_config(name: str, options: Mapping | None = None) -> Config:
    """Read a config and apply options.

    Args:
        name: see ``find_config``.
        options: dotted keys and their values, as ``--cfg-options`` gives them.

    Raises:
        InputError: no such config, one that cannot be read, or an unknown key.
    """
    path = find_config(name)
    try:
        config = Config.fromfile(str(path))
    except CONFIG_FAULTS as error:
        raise InputError(f'{path}: config cannot be read: {one_line(error)}') from error
    for section in ('model', 'data'):
        if section not in config:
            raise InputError(f'{path}: config must have {section!r}, but has none')
    return apply_options(config, options or {})


def apply_options(config: Config, options: Mapping) -> Config:
    """Change a config in place.

    Args:
        options: dotted keys and their values.

    Raises:
        InputError: an unknown key, or a value that cannot stand there.
    """
    for key in options:
        check_option(config, key)
    try:
        config.merge_from_dict(dict(options))
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f'--cfg-options: cannot be applied: {one_line(error)}') from error
    return config


def build(what: str, builder: Callable[[], Built]) -> Built:
    """What ``builder`` makes of a part of a config.

    Raises:
        InputError: mmcv's registry finds no such type, or the type refuses its arguments.
    """
    try:
        return builder()
    except InputError as error:
        # mmcv's registries raise it anew with a class's name in front: the first one is ours.
        first = error
        while isinstance(first.__context__, InputError):
            first = first.__context__
        raise first from None
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError, RuntimeError) as error:
        raise InputError(f'config: {what} cannot be built: {one_line(error)}') from error


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return ' '.join(str(error).split()) or type(error).__name__


def check_option(config: Config, option: str) -> None:
    """Check that a dotted key is in the config, or is an argument of what the config builds there.

    Raises:
        InputError: it is neither; names the nearest key.
    """
    node = config._cfg_dict
    parts = option.split('.')
    for depth, part in enumerate(parts):
        if isinstance(node, Sequence) and not isinstance(node, str):
            if not part.isdigit() or int(part) >= len(node):
                raise InputError(
                    f'--cfg-options {option}: {".".join(parts[:depth])} is a list of {len(node)}, '
                    f'so {part!r} must be an index below that'
                )
            node = node[int(part)]
            continue
        if not isinstance(node, Mapping):
            raise InputError(
                f'--cfg-options {option}: {".".join(parts[:depth])} is {node!r}, '
                f'which has no key {part!r}'
            )
        if part not in node:
            arguments = known_arguments(node.get('type'))
            if part in arguments:
                return
            close = difflib.get_close_matches(part, [*node, *arguments], n=1)
            hint = f'; did you mean {close[0]!r}?' if close else ''
            where = '.'.join(parts[:depth]) or 'the config'
            raise InputError(f'--cfg-options {option}: {where} has no key {part!r}{hint}')
        node = node[part]


def known_arguments(type_name: str | None) -> set[str]:
    """Constructor arguments of the registered classes of that name, and of their bases."""
    arguments: set[str] = set()
    for registry in _registries():
        built = registry.get(type_name) if type_name else None
        for owner in inspect.getmro(built) if inspect.isclass(built) else ():
            if '__init__' in vars(owner):
                arguments |= set(inspect.signature(owner.__init__).parameters)
    return arguments - {'self', 'args', 'kwargs'}


def _registries() -> Iterable[Registry]:
    from mmcv import cnn
    from mmcv.runner import HOOKS, OPTIMIZERS, RUNNERS
    from mmdet.core.bbox.builder import BBOX_ASSIGNERS, BBOX_CODERS, BBOX_SAMPLERS
    from mmdet.datasets import DATASETS, PIPELINES
    from mmdet.models.builder import MODELS

    return (
        MODELS,
        cnn.CONV_LAYERS,
        cnn.NORM_LAYERS,
        cnn.ACTIVATION_LAYERS,
        DATASETS,
        PIPELINES,
        HOOKS,
        OPTIMIZERS,
        RUNNERS,
        BBOX_ASSIGNERS,
        BBOX_CODERS,
        BBOX_SAMPLERS,
    )
