"""Options of the command line that change a config."""

from __future__ import annotations

import ast

from mmcv import DictAction

from tevit_vis.utils.values import shorten


class OptionAction(DictAction):
    """Reads ``KEY=VALUE ...`` as mmcv's ``DictAction`` does, with plain messages for errors.

    Values may also be written as in a config file, such as ``[dict(type='TextLoggerHook')]``.
    """

    @staticmethod
    def _parse_iterable(val: str) -> object:
        try:
            return literal(ast.parse(val.strip(), mode='eval').body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            is_open = val.startswith(('[', '(')) and not val.endswith((']', ')'))
            assert not is_open, 'mmcv would take it for a text'
            return DictAction._parse_iterable(val)

    def __call__(self, parser, namespace, values, option_string=None):
        options = dict(getattr(namespace, self.dest))
        for option in values:
            key, equals, value = option.partition('=')
            if not equals:
                parser.error(f'{option_string}: must be KEY=VALUE, but got {shorten(option)}')
            try:
                options[key] = self._parse_iterable(value)
            except (AssertionError, RecursionError):
                parser.error(f'{option_string}: brackets must be closed, but got {shorten(option)}')
        setattr(namespace, self.dest, options)


def literal(node: ast.expr) -> object:
    """Returns the value of a Python literal, which may contain ``dict(key=value)``.

    Raises:
        ValueError: the expression is something else.

    Example:
        >>> literal(ast.parse("[dict(type='TextLoggerHook')]", mode='eval').body)
        [{'type': 'TextLoggerHook'}]
    """
    if isinstance(node, ast.Call):
        is_dict = isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args
        if not is_dict or any(keyword.arg is None for keyword in node.keywords):
            raise ValueError('only dict(key=value) may be called')
        return {keyword.arg: literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [literal(item) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    return ast.literal_eval(node)
