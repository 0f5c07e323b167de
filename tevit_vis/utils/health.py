"""Looks at what is installed: for ``tevit-vis doctor``."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from tevit_vis.utils.cache import CACHE_VARIABLE, cache_folder
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.versions import (
    DISTRIBUTIONS,
    SUPPORTED_VERSIONS,
    installed_version,
    version_tuple,
)
from tevit_vis.version import __version__

PYTHONS = ((3, 9), (3, 13))  # the first that is supported, and the first that is not
# What every use needs, by the names by which it is imported.
BASE = (
    'numpy',
    'scipy',
    'cv2',
    'av',
    'PIL',
    'pycocotools',
    'jinja2',
    'tqdm',
    'terminaltables',
    'defusedxml',
)
# What one feature needs: {module: (feature, how to install it)}.
EXTRAS = {
    'onnxruntime': ('exported models: tevit-vis deploy', 'pip install "tevit-vis[deploy]"'),
    'onnxscript': ('tevit-vis export', 'pip install "tevit-vis[export]"'),
    'skimage': ('synthetic videos, quickstart', 'pip install "tevit-vis[quickstart]"'),
    'safetensors': ('weights in safetensors', 'pip install safetensors'),
    'tensorboard': ('TensorBoard while training', 'pip install tensorboard'),
}
STACK = {*SUPPORTED_VERSIONS, "mmcv's ops", 'GPU'}  # what exported models do not need
SETUP = 'in a checkout: bash tools/setup_env.sh; else see docs/install.md'
LEAST_DISK = 2.0  # GB, for weights


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Args:
        what: the thing.
        found: its state, for people.
        is_well: whether it is there and fits.
        is_needed: whether models cannot run without it.
        remedy: what to do; empty where nothing is.
    """

    what: str
    found: str
    is_well: bool = True
    is_needed: bool = False
    remedy: str = ''


def examine() -> Iterator[Finding]:
    """Yields what is found about this machine and its packages, in the order of importance.

    Example:
        >>> next(examine()).what
        'tevit-vis'
    """
    yield Finding('tevit-vis', f'{__version__}, in {Path(__file__).parents[1]}')
    version = sys.version_info[:2]
    fits = PYTHONS[0] <= version < PYTHONS[1]
    remedy = '' if fits else 'Python 3.9 to 3.12'
    yield Finding('Python', f'{platform.python_version()}, {sys.prefix}', fits, True, remedy)
    yield from map(_package, BASE)
    yield from map(_of_stack, SUPPORTED_VERSIONS)
    yield from _stack_at_work()
    yield _encoders()
    for module, (feature, remedy) in EXTRAS.items():
        is_there = find_spec(module) is not None
        found = f'{_version(module)} ({feature})' if is_there else f'not installed ({feature})'
        yield Finding(module, found, is_there, remedy='' if is_there else remedy)
    yield from _cache()


def _version(module: str) -> str:
    try:
        return metadata.version(DISTRIBUTIONS.get(module, module))
    except metadata.PackageNotFoundError:
        return 'there'


def _package(module: str) -> Finding:
    if find_spec(module) is not None:
        return Finding(module, _version(module), is_needed=True)
    remedy = f'pip install {DISTRIBUTIONS.get(module, module)}'
    return Finding(module, 'not installed', False, True, remedy)


def _of_stack(distribution: str) -> Finding:
    """Looks at torch, mmcv-full or mmdet."""
    lowest, beyond = SUPPORTED_VERSIONS[distribution]
    installed = installed_version(distribution)
    if installed is None:
        found = f'not installed; wanted: >={lowest}, <{beyond}'
        remedy = f'{SETUP}; exported models run without it (tevit-vis deploy)'
        return Finding(distribution, found, False, True, remedy)
    fits = version_tuple(lowest) <= version_tuple(installed) < version_tuple(beyond)
    found = installed if fits else f'{installed}; wanted: >={lowest}, <{beyond}'
    return Finding(distribution, found, fits, True, '' if fits else SETUP)


def _stack_at_work() -> Iterator[Finding]:
    """Looks whether mmcv's ops can be loaded, and at the GPU."""
    if any(installed_version(name) is None for name in SUPPORTED_VERSIONS):
        return
    again = 'the wheel fits another torch: bash tools/setup_env.sh --again'
    yield _tried("mmcv's ops", _describe_ops, again)
    yield _tried('GPU', _describe_gpu, 'see docs/troubleshooting.md')


def _tried(what: str, describe: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(what, describe(), is_needed=True)
    except (ImportError, OSError, RuntimeError) as error:  # what a broken library raises
        line = (str(error).splitlines() or [''])[0]
        return Finding(what, f'{type(error).__name__}: {line}', False, True, remedy)


def _describe_ops() -> str:
    from mmcv.ops import get_compiling_cuda_version

    import tevit_vis.utils.training_stack  # noqa: F401  (before mmcv)
    from tevit_vis.utils.compat import has_compiled_ops

    if not has_compiled_ops():
        return 'not compiled, which models on the CPU do not need'
    cuda = get_compiling_cuda_version()
    return f'built for CUDA {cuda}' if cuda[0].isdigit() else 'built for the CPU'


def _describe_gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        count = torch.get_num_threads()
        threads = f'{count} thread{"" if count == 1 else "s"}'
        return f'none that torch sees: models run on the CPU, {threads}'
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f'{", ".join(names)} (tevit-vis gpu-check tries it)'


def _encoders() -> Finding:
    """Looks for the encoders of drawn videos."""
    if find_spec('av') is None:
        return Finding('encoders', 'unknown without av', False)
    from av.codec import codecs_available

    names = ('libx264', 'libx265', 'libvpx-vp9', 'libsvtav1')
    there = [name for name in names if name in codecs_available]
    is_well = 'libx264' in there
    remedy = '' if is_well else 'pip install --force-reinstall av, whose wheels have them'
    return Finding('encoders', ', '.join(there) or 'none', is_well, False, remedy)


def _cache() -> Iterator[Finding]:
    """Looks at the folder of weights and at its disk."""
    try:
        folder = cache_folder()
    except InputError as error:
        yield Finding('weights', str(error), False, remedy=f'set {CACHE_VARIABLE} to a folder')
        return
    files = sorted(folder.glob('*.pth')) if folder.is_dir() else []
    found = ', '.join(file.name for file in files[:5]) or 'none but synthetic/tevit_tiny'
    more = f' and {len(files) - 5} more' if len(files) > 5 else ''
    remedy = '' if files else 'tevit-vis download --list; predict fetches what it needs'
    yield Finding('weights', f'{found}{more}, in {folder}', bool(files), remedy=remedy)
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(parent).free / 1e9
    remedy = '' if free >= LEAST_DISK else f'weights need up to {LEAST_DISK:.0f} GB'
    yield Finding('disk', f'{free:.1f} GB free at {parent}', free >= LEAST_DISK, remedy=remedy)
