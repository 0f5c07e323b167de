"""Configs: found by path or by name, changed by ``--cfg-options`` that must mean something."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmcv import Config
from mmcv.utils import Registry

from tevit_vis.utils.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
# Installed, the configs lie in the package; in a checkout, beside it.
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
    except (SyntaxError, KeyError, TypeError, AttributeError, NameError, ImportError) as error:
        raise InputError(f'{path}: config cannot be read: {error}') from error
    for key in options or {}:
        check_option(config, key)
    try:
        config.merge_from_dict(dict(options or {}))
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f'--cfg-options: cannot be applied to {path}: {error}') from error
    return config


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
    from mmcv.runner import HOOKS, OPTIMIZERS, RUNNERS
    from mmdet.core.bbox.builder import BBOX_ASSIGNERS, BBOX_CODERS, BBOX_SAMPLERS
    from mmdet.datasets import DATASETS, PIPELINES
    from mmdet.models.builder import MODELS

    return (
        MODELS,
        DATASETS,
        PIPELINES,
        HOOKS,
        OPTIMIZERS,
        RUNNERS,
        BBOX_ASSIGNERS,
        BBOX_CODERS,
        BBOX_SAMPLERS,
    )
