"""Command-line arguments that the tools share."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import did_you_mean
from tevit_vis.utils.versions import missing_package

CLOSED_PIPE = 141  # exit code of a program that a closed pipe ended, as shells have it
LARGEST_SEED = 2**32 - 1  # that numpy's global generator takes


def positive(text: str) -> int:
    """Returns a text as a whole number, which must be at least 1.

    Example:
        >>> positive('5')
        5
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, but got {value}')
    return value


def frame_size(text: str) -> tuple[int, int]:
    """Returns the (width, height) in pixels of a text ``WIDTHxHEIGHT``.

    Example:
        >>> frame_size('640x360')
        (640, 360)
    """
    sides = text.lower().split('x')
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(
            f'must be WIDTHxHEIGHT in pixels, such as 640x360, but got {text!r}'
        )
    width, height = map(int, sides)
    return width, height


class ToolParser(argparse.ArgumentParser):
    """A parser whose errors are one line that names the nearest option.

    Options may stand between positional arguments: ``convert --from cvat a.xml --to ytvis a.json``.
    """

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        parsed, rest = self.parse_known_args(args, namespace)
        return self.parse_intermixed_args(args, namespace) if rest else parsed

    def error(self, message: str) -> NoReturn:
        unknown, _, words = message.partition(': ')
        if unknown == 'unrecognized arguments':
            word = words.split()[0].partition('=')[0]
            hint = did_you_mean(word, self._option_string_actions, quoted=False)
            message = f'{word}: no such {"option" if word.startswith("-") else "argument"}{hint}'
        self.exit(2, f'error: {message} ("{self.prog} --help" shows all options)\n')


def tool_parser(docstring: str, prog: str | None = None) -> argparse.ArgumentParser:
    """Returns a parser with ``--debug`` whose help shows a command's docstring as it is written.

    Args:
        docstring: ends with a section ``Examples:`` of command lines, which stands below the
            options.
        prog: the command as it is typed; None for the name of the running file.
    """
    description, heading, examples = docstring.partition('Examples:\n')
    parser = ToolParser(
        prog=prog,
        description=description,
        epilog=heading + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--debug', action='store_true', help='show the traceback of an error, not only its message'
    )
    return parser


def run_tool(main: Callable[[], None]) -> None:
    """Runs the ``main`` of a tool and shows errors of its user in one line.

    An ``InputError``, a package that is missing, a fault of the device, Ctrl-C, SIGTERM or
    SIGHUP ends the tool with one line on stderr and exit code 1. Any other error, and every error
    under ``--debug``, shows its traceback.
    """
    sys.stderr.reconfigure(errors='backslashreplace')  # type: ignore[attr-defined]
    # One of several distributed processes must end at once on SIGTERM: it may be inside of a
    # library that waits for the others.
    is_single_process = 'RANK' not in os.environ
    previous_handlers: dict[int, Any] = {}
    if is_single_process and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
                previous_handlers[number] = signal.signal(number, _end_like_ctrl_c)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit('interrupted')
    except BrokenPipeError:
        if not _is_stdout_closed():
            raise
        sys.exit(CLOSED_PIPE)
    except (InputError, RuntimeError, ImportError) as error:
        line = _line_of(error)
        if line is None or '--debug' in sys.argv[1:]:
            raise
        sys.exit(f'error: {line}')
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def _is_stdout_closed() -> bool:
    """Returns whether the reader of the output, such as ``head``, has gone.

    If so, nothing more is written, so that Python ends without a complaint.
    """
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    is_closed = any(events & select.POLLERR for _, events in poll.poll(0))
    if is_closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_closed


def _line_of(error: Exception) -> str | None:
    """Returns the line that tells the user of an error; None for one that is a bug."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ImportError):
        return missing_package(error)
    if 'torch' not in sys.modules:
        return None
    from tevit_vis.utils.devices import device_fault

    return device_fault(error)


def _end_like_ctrl_c(number: int, frame: object) -> None:
    """Handles a signal like Ctrl-C, which keeps finished results; a second one ends at once."""
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds ``CONFIG`` and ``--cfg-options``."""
    parser.add_argument('config', help='config file, or its name below configs/')
    add_cfg_options(parser)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``."""
    from tevit_vis.utils.option_action import OptionAction

    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        default={},
        metavar='KEY=VALUE',
        help='change the config, e.g. model.test_cfg.rcnn.max_per_img=20',
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds ``CONFIG``, ``CHECKPOINT`` and the options of how to load and run them."""
    add_config_arguments(parser)
    parser.add_argument(
        'checkpoint',
        help='checkpoint file; zoo for the published weights of the config, or zoo:NAME '
        '(tevit-vis download --list)',
    )
    add_loading_arguments(parser)


def add_loading_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of how to load and run a model."""
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')
    add_precision_arguments(parser)
    add_trust_argument(parser)


def add_precision_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds ``--amp`` and ``--compile``."""
    parser.add_argument(
        '--amp',
        choices=['bf16', 'fp16'],
        help='precision of the network (default: fp32; fp16 needs a GPU)',
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='torch.compile backbone and neck: the first pass of each size of frames takes a '
        'minute or more, later ones less time',
    )


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """Adds ``--trust-checkpoint``."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint that holds Python objects; it may run code of whoever wrote it',
    )


def add_selection_arguments(
    parser: argparse.ArgumentParser, max_overlap: float | None = None
) -> None:
    """Adds ``--classes`` and ``--max-overlap``.

    Args:
        max_overlap: default of ``--max-overlap``; None keeps all tracks.
    """
    parser.add_argument(
        '--classes',
        type=lambda text: [name.strip() for name in text.split(',')],
        metavar='NAME,NAME',
        help='show only these classes (default: all)',
    )
    default_text = 'none is dropped' if max_overlap is None else max_overlap
    parser.add_argument(
        '--max-overlap',
        type=float,
        default=max_overlap,
        help='drop the lower-scored of two tracks that overlap by more than this IoU; '
        f'1 drops none (default: {default_text})',
    )


def whole_number(text: str) -> int:
    """Returns a text as a whole number, which must be at least 0.

    Example:
        >>> whole_number('0')
        0
    """
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f'must be at least 0, but got {value}')
    return value


def seed_number(text: str) -> int:
    """Returns a text as the seed of random generators.

    Example:
        >>> seed_number('7')
        7
    """
    value = whole_number(text)
    if value > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f'must be at most {LARGEST_SEED}, but got {value}')
    return value
