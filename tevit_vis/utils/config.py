"""Finds and reads configs, and applies ``--cfg-options`` after checking them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module, invalidate_caches
from pathlib import Path

from mmcv import Config, ConfigDict

from tevit_vis.utils.building import build, one_line
from tevit_vis.utils.config_keys import SECTIONS, check_option
from tevit_vis.utils.config_shorthand import expand_shorthand, with_step_indices
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import did_you_mean

__all__ = ['apply_options', 'build', 'find_config', 'load_config', 'one_line']

PACKAGE = Path(__file__).resolve().parents[1]
# Errors that the code of a config file may raise.
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
LOGGER = logging.getLogger('tevit_vis')
# Installed, the configs lie in the package; in a checkout, beside it.
CONFIG_FOLDERS = (PACKAGE / 'configs', PACKAGE.parent / 'configs')


def find_config(name: str) -> Path:
    """Returns a config file by its path, or by its name below ``configs/`` (``tevit/tevit_r50``).

    Raises:
        InputError: there is no such file, or it is no Python file.
    """
    for folder in (Path(), *CONFIG_FOLDERS):
        for candidate in (folder / name, folder / f'{name}.py'):
            if candidate.is_file():
                if candidate.suffix != '.py':
                    raise InputError(
                        f'{candidate}: config must be a Python file (.py), which runs when it is '
                        'read: YAML and JSON look like data, but could run code as well'
                    )
                return candidate
    hint = did_you_mean(name, known_configs(), quoted=False)
    raise InputError(
        f'{name}: config must be a file or a name such as tevit/tevit_msgshift, '
        f'but there is none{hint}'
    )


def find_base(folder: str, base: str) -> str:
    """Returns a config's base: the file beside it, or the one of that name below ``configs/``.

    Args:
        folder: folder of the config.
        base: value of ``_base_`` in the config.

    Raises:
        ValueError: the base is no Python file.
        FileNotFoundError: there is neither file; the message names the nearest config.
    """
    if os.path.splitext(base)[1] in ('.yaml', '.yml', '.json'):
        raise ValueError(f'_base_: {base} must be a Python file (.py)')
    beside = os.path.join(folder, base)
    if os.path.isfile(beside):
        return beside
    if not base.startswith(('.', '/')):
        for configs in CONFIG_FOLDERS:
            for candidate in (configs / base, configs / f'{base}.py'):
                if candidate.is_file():
                    return str(candidate)
    hint = did_you_mean(base, known_configs(), cutoff=0.5, quoted=False)
    raise FileNotFoundError(
        f'_base_: {base} must be a file beside {folder}/ or the name of a config{hint}'
    )


def known_configs() -> list[str]:
    """Returns the names of the configs that ship with the project, such as ``tevit/tevit_r50``."""
    return [
        str(path.relative_to(folder).with_suffix(''))
        for folder in CONFIG_FOLDERS
        for path in folder.glob('[!_]*/*.py')
    ]


def config_name(config: Config) -> str:
    """Returns the name below ``configs/`` of a config that was read; empty if it is not there."""
    path = Path(config.filename or '').resolve().with_suffix('')
    for folder in CONFIG_FOLDERS:
        if folder in path.parents:
            return path.relative_to(folder).as_posix()
    return ''


def load_config(name: str, options: Mapping | None = None) -> Config:
    """Reads a config, writes out its shorthand and applies options.

    Args:
        name: see ``find_config``.
        options: dotted keys and their values, as ``--cfg-options`` gives them. A step of a pipeline
            goes by its index or, where the config file names it, by its name.

    Raises:
        InputError: there is no such config, it cannot be read, or it has an unknown key.
    """
    path = find_config(name)
    try:
        config = Config.fromfile(str(path), import_custom_modules=False)
    except CONFIG_FAULTS as error:
        _close_copies(error)
        raise InputError(
            f'{path}: config cannot be read: {_line_of_config(error)}{one_line(error)}'
        ) from error
    check_top_keys(config, str(path))
    check_mmdet_only_values(config, str(path))
    import_custom_modules(config, path)
    for section in ('model', 'data'):
        if section not in config:
            raise InputError(f'{path}: config must have {section!r}, but has none')
    return apply_options(expand_shorthand(config), options or {})


def _line_of_config(error: BaseException) -> str:
    """Returns 'line N: ' if the config's own code failed, else an empty text.

    That code is recognised by its folder: mmcv runs a copy of a config in a temporary one.
    """
    for frame, line in traceback.walk_tb(error.__traceback__):
        if Path(frame.f_code.co_filename).parent.parent == Path(tempfile.gettempdir()):
            return f'line {line}: '
    return ''


def _close_copies(error: BaseException) -> None:
    """Closes the copies of a config that mmcv left open, which Python would complain about."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        copy = frame.f_locals.get('temp_config_file')
        if copy is not None:
            with contextlib.suppress(OSError):
                copy.close()


def import_custom_modules(config: Config, path: Path) -> None:
    """Imports the modules that ``custom_imports`` names, also from the folder of the config.

    Raises:
        InputError: a module, or one that it imports, cannot be imported.
    """
    section = config.get('custom_imports') or {}
    names = section.get('imports') or []
    for name in [names] if isinstance(names, str) else names:
        try:
            _import_beside(name, path.resolve().parent)
        except ImportError as error:
            if section.get('allow_failed_imports'):
                LOGGER.warning('%s: custom_imports: %s is left out: %s', path, name, error)
                continue
            missing_module = error.name if isinstance(error, ModuleNotFoundError) else None
            why = (
                "it is not in the config's folder, the working folder or PYTHONPATH"
                if missing_module and f'{name}.'.startswith(f'{missing_module}.')
                else one_line(error)
            )
            raise InputError(
                f'{path}: custom_imports: {name} must be a module that can be imported, but: {why}'
            ) from error


def _import_beside(name: str, folder: Path) -> None:
    """Imports a module; if Python does not find it, from ``folder`` or the working folder."""
    try:
        import_module(name)
        return
    except ModuleNotFoundError as error:
        if error.name != name.split('.')[0]:
            raise
    # The folders stay in sys.path: workers and checkpoints may import the module again.
    sys.path[:0] = [str(folder), os.getcwd()]
    invalidate_caches()
    import_module(name)


def apply_options(config: Config, options: Mapping) -> Config:
    """Changes a config in place by ``--cfg-options`` and returns it.

    Args:
        options: dotted keys and their values.

    Raises:
        InputError: a key is unknown, or its value is not possible.

    Example:
        >>> config = Config(dict(model=dict(test_cfg=dict(windows=dict(length=5, stride=1)))))
        >>> apply_options(config, {'model.test_cfg.windows.length': 3}).model.test_cfg
        {'windows': {'length': 3, 'stride': 1}}
    """
    options = {with_step_indices(config, key): value for key, value in options.items()}
    for key in dotted_keys(options):
        check_option(config, key, options)
    for key in options:
        _open_sections(config, key)
    try:
        config.merge_from_dict(dict(options))
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f'--cfg-options: cannot be applied: {one_line(error)}') from error
    check_mmdet_only_values(config, '--cfg-options')
    return expand_shorthand(config)


def dotted_keys(options: Mapping, prefix: str = '') -> list[str]:
    """Returns the dotted keys of options, including those inside of values that are dicts.

    Example:
        >>> dotted_keys({'model.test_cfg': {'windows': {'length': 3}}, 'amp': None})
        ['model.test_cfg', 'model.test_cfg.windows', 'model.test_cfg.windows.length', 'amp']
    """
    keys = []
    for key, value in options.items():
        keys.append(f'{prefix}{key}')
        if isinstance(value, Mapping) and not value.get('_delete_'):
            keys += dotted_keys(value, f'{prefix}{key}.')
    return keys


def _open_sections(config: Config, key: str) -> None:
    """Replaces sections on the way to a key that are None, such as ``grad_clip``, by empty ones."""
    node = config._cfg_dict
    for part in key.split('.')[:-1]:
        if isinstance(node, Mapping):
            if node.get(part, {}) is None:
                node[part] = ConfigDict()
            node = node.get(part)
        elif isinstance(node, Sequence) and not isinstance(node, str):
            node = node[int(part)]


def check_top_keys(config: Config, path: str) -> None:
    """Checks that no top-level name of a config file is a misspelt key.

    Names that resemble no key are variables of the file.

    Raises:
        InputError: a name is nearly, but not exactly, a key.
    """
    keys = SECTIONS[''][1]
    for name in config:
        if name in keys:
            continue
        hint = did_you_mean(name, keys, most=1, cutoff=0.85)
        if hint:
            raise InputError(
                f'{path}: has no key {name!r}{hint} '
                '(a variable of the file needs a name that resembles no key)'
            )


def check_mmdet_only_values(config: Config, path: str) -> None:
    """Checks that a config asks for nothing that only mmdet's own runners do.

    Raises:
        InputError: it does; the message says what to write instead.
    """
    workflow = config.get('workflow')
    steps = [list(step) if isinstance(step, (list, tuple)) else step for step in workflow or ()]
    if workflow is not None and steps != [['train', 1]]:
        raise InputError(
            f"{path}: workflow: must be [('train', 1)] or left out, but is {workflow}: "
            'validation while training is `evaluation = dict(interval=...)`'
        )
    if (config.get('runner') or {}).get('type') == 'EpochBasedRunner':
        raise InputError(
            f'{path}: runner: must be ClipRunner, which counts iterations, but is '
            'EpochBasedRunner: for N epochs write runner = dict(_delete_=True, '
            "type='ClipRunner', max_iters=None) and epochs = dict(total=N, lr_drops=[...])"
        )
    if 'type' in (config.get('optimizer_config') or {}):
        raise InputError(
            f'{path}: optimizer_config.type: must be left out, but is '
            f'{config.optimizer_config["type"]}: iterations are accumulated by '
            'optimizer_config.cumulative_iters, half precision is amp'
        )
