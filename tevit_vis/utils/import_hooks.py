"""Prepares torch, mmcv and mmdet at the moment when somebody imports them.

``import tevit_vis`` itself imports none of them, so that a command answers at once and exported
models run without them. It calls ``prepare_on_import``: whoever imports mmcv or mmdet afterwards
gets the patches of ``compat``, and mmdet's registries then have this library's modules.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tevit_vis.utils.versions import check_versions


def prepare_on_import() -> None:
    """Prepares mmcv and mmdet: at once if mmcv is imported already, else when it will be.

    Nothing happens where the training stack is missing or does not fit.
    """
    try:
        check_versions()
    except ImportError:
        return
    if 'mmcv' not in sys.modules:
        sys.meta_path.insert(0, _StackFinder())
        return
    try:
        _before_mmcv()
        _after_mmcv()
        _after_mmdet()
        _fill_registries()
    except ImportError:
        pass  # utils/training_stack.py raises it again where it matters


def _before_mmcv() -> None:
    from tevit_vis.utils import compat

    compat.apply_before_mmcv()


def _after_mmcv() -> None:
    from tevit_vis.utils import compat

    compat.apply_to_mmcv()


def _before_mmdet() -> None:
    """mmdet imports mmcv itself, which prepares it."""


def _after_mmdet() -> None:
    from tevit_vis.utils import compat

    compat.apply_to_mmdet()
    # Where a module of this library imports mmdet, it is itself only half imported, and others
    # could not import it: then tevit_vis.apis fills the registries, as it imports all of them.
    ours = [module for name, module in sys.modules.items() if name.startswith('tevit_vis')]
    if not any(getattr(module.__spec__, '_initializing', False) for module in ours):
        _fill_registries()


def _fill_registries() -> None:
    """Imports the packages that register what configs name."""
    for name in ('layers', 'datasets', 'models'):
        importlib.import_module(f'tevit_vis.{name}')


class _StackFinder(MetaPathFinder):
    """Finds mmcv and mmdet as the other finders do, with loaders that prepare them."""

    def __init__(self) -> None:
        self.steps = {'mmcv': (_before_mmcv, _after_mmcv), 'mmdet': (_before_mmdet, _after_mmdet)}
        self.is_searching = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.steps or self.is_searching:
            return None
        self.is_searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.is_searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _PreparingLoader(spec.loader, *self.steps[name])
        return spec


class _PreparingLoader(Loader):
    """Loads a module as its own loader does, between two steps.

    Args:
        loader: of the module.
        before: called before the module is run.
        after: called when it has run.
    """

    def __init__(
        self, loader: Loader, before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        self.loader = loader
        self.before = before
        self.after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # what readers of source code and resources ask for

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.before()
        self.loader.exec_module(module)
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.after()
