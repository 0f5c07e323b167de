"""Registries of this library; all others are mmcv's and mmdet's."""

from __future__ import annotations

from typing import Any

try:
    from mmcv.utils import Registry
except ImportError:  # where an exported model runs

    class Registry:  # type: ignore[no-redef]
        """The part of mmcv's Registry that trackers need.

        Args:
            name: of the registry, for errors.
        """

        def __init__(self, name: str) -> None:
            self.name = name
            self.module_dict: dict[str, Any] = {}

        def register_module(self) -> Any:
            """Returns a decorator that registers a class by its name."""

            def register(cls: Any) -> Any:
                self.module_dict[cls.__name__] = cls
                return cls

            return register

        def build(self, config: dict[str, Any]) -> Any:
            """Returns what a config with a ``type`` describes.

            Raises:
                KeyError: the type is not registered.
            """
            arguments = dict(config)
            name = arguments.pop('type')
            if name not in self.module_dict:
                raise KeyError(f'{name} is not in the {self.name} registry')
            return self.module_dict[name](**arguments)


TRACKERS = Registry('tracker')
