"""What long runs show: bars in a terminal, plain lines in files and pipes, short logs."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0
# What is shown of an iteration; the log file has all.
SHOWN = ('lr', 'eta', 'time', 'memory', 'loss', 'grad_norm', 'segm_AP', 'segm_AP50', 'segm_AR10')
# Records that are of interest in the log file only.
LONG_RECORDS = ('Hooks will be executed', 'Start running, host', 'workflow:', 'Checkpoints will be')
ITERATION = re.compile(r'(Iter.* \[[\d/]+\])\t(.*)')


class ProgressBar(tqdm):
    """A bar of tqdm in a terminal; elsewhere a line now and then, which a file can hold."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.is_terminal = sys.stderr.isatty()
        self.last_line = float('-inf')  # when it was printed
        if not self.is_terminal:
            counts = '{percentage:.0f}% {n_fmt}' if kwargs.get('total') else '{n_fmt} {unit}'
            kwargs['bar_format'] = '{desc}: ' + counts + ' [{elapsed}, {rate_fmt}{postfix}]'
        super().__init__(*args, **kwargs)

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """Returns what shows the state of a bar; lines are shown by ``display``."""
        return tqdm.status_printer(file) if sys.stderr.isatty() else lambda text: None

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Shows the state, but no lines in quick succession."""
        if self.is_terminal:
            super().display(msg, pos)
            return
        now = time.monotonic()
        is_closing = self.disable  # then tqdm ends the line
        if is_closing or now - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = now
            self.fp.write(str(self) + ('' if is_closing else '\n'))
            self.fp.flush()


class ShortFormatter(logging.Formatter):
    """Formats records for people who watch: the time of day, and of iterations the main numbers.

    Example:
        >>> text = 'Iter [5/9]\\tlr: 1e-4, stage0_loss_cls: 2.0'
        >>> record = logging.LogRecord('x', logging.INFO, '', 0, text, (), None)
        >>> ShortFormatter().format(record)[9:]
        'Iter [5/9]  lr 1e-4'
    """

    def __init__(self) -> None:
        super().__init__('%(asctime)s %(message)s', '%H:%M:%S')

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        match = ITERATION.match(record.message)
        if match:
            pairs = [pair.partition(': ') for pair in re.split(r', (?=\w+: )', match[2])]
            shown = [f'{name} {value}' for name, _, value in pairs if name in SHOWN]
            record.message = f'{match[1]}  {", ".join(shown)}'
        elif record.levelno >= logging.WARNING:
            record.message = f'{record.levelname.lower()}: {record.message}'
        return super().formatMessage(record)


def shorten_console(logger: logging.Logger) -> None:
    """Makes a logger short on the console; its files keep everything."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setFormatter(ShortFormatter())
            handler.addFilter(lambda record: not record.getMessage().startswith(LONG_RECORDS))
