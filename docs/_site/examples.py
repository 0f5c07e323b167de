"""Lets griffe take the section ``Example:`` of docstrings for what it calls ``Examples:``."""

from typing import Any

from griffe import Extension, Object


class ExampleSections(Extension):
    """Renames the section before docstrings are parsed."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace('Example:\n', 'Examples:\n')
