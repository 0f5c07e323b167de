"""The registry of trackers; all others are mmcv's and mmdet's.

Exported models have trackers, too, where there is no mmcv.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar('T')


class Registry:
    """Classes by name, for configs to choose from: the part of mmcv's Registry that trackers need.

    Args:
        name: of the registry, for errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.module_dict: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.module_dict

    def get(self, name: str) -> Any:
        """Returns the class of this name, or None."""
        return self.module_dict.get(name)

    def register_module(self) -> Callable[[type[T]], type[T]]:
        """Returns a decorator that registers a class by its name.

        Raises:
            KeyError: another class has this name.
        """

        def register(cls: type[T]) -> type[T]:
            if cls.__name__ in self.module_dict:
                raise KeyError(f'{cls.__name__} is already registered in {self.name}')
            self.module_dict[cls.__name__] = cls
            return cls

        return register

    def build(self, config: Mapping[str, Any]) -> Any:
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
