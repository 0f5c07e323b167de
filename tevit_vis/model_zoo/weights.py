"""Checkpoints by name, in our layout."""

from __future__ import annotations

import logging
from pathlib import Path

from tevit_vis.converters import TABLES, convert_checkpoint
from tevit_vis.utils.cache import cache_folder
from tevit_vis.utils.checkpoints import read_checkpoint, weights_of, write_checkpoint
from tevit_vis.utils.config import find_config, known_configs
from tevit_vis.utils.errors import InputError

from .download import fetch
from .table import ZOO, Weights, find_weights, weights_for

ZOO_PREFIX = 'zoo:'
LOGGER = logging.getLogger('tevit_vis')


def resolve_checkpoint(checkpoint: str, config: str, trust: bool = False) -> str:
    """Returns the file of a checkpoint, which is fetched if it is asked for by name.

    Args:
        checkpoint: a file; ``'zoo'`` for the weights of the config, published or shipped beside it;
            or ``'zoo:NAME'``.
        config: name of the config; empty if it is none of ours.
        trust: also convert files that hold Python objects.

    Raises:
        InputError: no such weights are known, or they cannot be fetched.

    Example:
        >>> resolve_checkpoint('mine.pth', 'tevit/tevit_msgshift')
        'mine.pth'
    """
    if '://' in checkpoint:
        raise InputError(f'{checkpoint}: {_instead_of_address(checkpoint)}')
    if checkpoint != 'zoo' and not checkpoint.startswith(ZOO_PREFIX):
        return checkpoint
    name = checkpoint[len(ZOO_PREFIX) :]
    if name not in ZOO and name in known_configs():  # one whose weights ship beside it
        config, name = name, ''
    if not name:
        known = weights_for(config)
        shipped = find_config(config).with_suffix('.pth') if config and not known else None
        if shipped is not None and shipped.exists():
            return str(shipped)
        if not known:
            raise InputError(
                f'zoo: no weights are known for {config or "this config"}: name some with '
                f'{ZOO_PREFIX}NAME (tevit-vis download --list)'
            )
        name = known[0].name
    return str(zoo_file(find_weights(name), trust))


def _instead_of_address(address: str) -> str:
    """Returns what to write instead of the address of a checkpoint."""
    names = [w.name for w in ZOO.values() if address.startswith(w.address.removesuffix('/view'))]
    remedy = f'name {ZOO_PREFIX}{names[0]}' if names else 'download it first'
    return f'checkpoint must be a file or {ZOO_PREFIX}NAME, but is an address: {remedy}'


def zoo_file(weights: Weights, trust: bool = False) -> Path:
    """Returns the file of weights in our layout, fetched, checked and converted at its first use.

    The licence is logged before.

    Args:
        weights: of the table.
        trust: also convert a file that holds Python objects, which may run code of whoever wrote
            it.

    Raises:
        InputError: they cannot be fetched, or the file is another one.

    Example:
        >>> zoo_file(find_weights('tevit/tevit_r50'))  # doctest: +SKIP
        PosixPath('~/.cache/tevit_vis/checkpoints/tevit_r50.pth')
    """
    original = cache_folder() / weights.file
    ours = original.with_suffix('.ours.pth') if weights.converter else original
    stamp = original.with_name(f'.{original.name}.checked')  # says which file was checked
    if ours.exists() and stamp.exists() and stamp.read_text() == _state_of(original):
        return ours
    LOGGER.warning('%s: licence of the weights: %s', weights.name, weights.licence)
    fetch(weights, original)
    if weights.converter:
        _convert(weights, original, ours, trust)
    stamp.write_text(_state_of(original))
    return ours


def _state_of(path: Path) -> str:
    """Returns what changes when a file is replaced: its size and time."""
    if not path.exists():
        return 'gone'
    state = path.stat()
    return f'{state.st_size} {state.st_mtime_ns}'


def _convert(weights: Weights, original: Path, ours: Path, trust: bool) -> None:
    """Writes the weights of an official layout in ours."""
    table = TABLES[weights.converter]
    content = read_checkpoint(str(original), trust)
    official = weights_of(content, str(original), table.checkpoint_key)
    converted = convert_checkpoint(official, table, str(original))
    if converted.missing:
        raise InputError(
            f'{original}: weights must be whole, but {len(converted.missing)} keys are missing '
            f'(first: {converted.missing[0]}): get it again from {weights.address}'
        )
    result = {'state_dict': converted.weights, 'meta': {'converted_from': weights.file}}
    write_checkpoint(result, str(ours))


def where_to_find(config: str) -> str:
    """Returns where the weights of a config are, for errors and READMEs; empty if not known.

    Args:
        config: name of the config, or file of a backbone as in ``init_cfg``.

    Example:
        >>> where_to_find('ifc/ifc_r50_ytvis19').split(' in ')[0]
        'ifc_official_r50.pth'
    """
    known = weights_for(config)
    if not known:
        return ''
    first = known[0]
    how = (
        f'put it at {cache_folder() / first.file}, then name {ZOO_PREFIX}{first.name}'
        if first.needs_browser
        else f'name {ZOO_PREFIX}{first.name}, which fetches it'
    )
    return f'{first.file} in {first.address} ({first.what}; {first.licence}): {how}'
