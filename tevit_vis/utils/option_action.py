"""Options of the command line that change a config."""

from __future__ import annotations

import argparse
import ast

from tevit_vis.utils.values import shorten


class OptionAction(argparse.Action):
    """Reads ``KEY=VALUE ...`` as mmcv's ``DictAction`` does, with plain messages for errors.

    Values may also be written as in a config file, such as ``[dict(type='TextLoggerHook')]``.
    """

    def __call__(self, parser, namespace, values, option_string=None):
        options = dict(getattr(namespace, self.dest))
        for option in values:
            key, equals, value = option.partition('=')
            if not equals:
                parser.error(f'{option_string}: must be KEY=VALUE, but got {shorten(option)}')
            try:
                options[key] = option_value(value)
            except (AssertionError, RecursionError):
                parser.error(f'{option_string}: brackets must be closed, but got {shorten(option)}')
        setattr(namespace, self.dest, options)


def option_value(text: str) -> object:
    """Returns the value of an option.

    Raises:
        AssertionError: a bracket is not closed.
        RecursionError: there are too many brackets.

    Example:
        >>> option_value('[1,(2,x)]'), option_value("dict(type='A')"), option_value('true')
        ([1, (2, 'x')], {'type': 'A'}, True)
    """
    try:
        return literal(ast.parse(text.strip(), mode='eval').body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        from mmcv import DictAction  # brings torch, which the help of a command does not need

        is_open = text.startswith(('[', '(')) and not text.endswith((']', ')'))
        assert not is_open, 'mmcv would take it for a text'
        return DictAction._parse_iterable(text)


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
