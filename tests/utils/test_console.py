"""What long runs show in files and pipes, and what of a log is shown."""

import io
import logging
import sys

import pytest

from tevit_vis.utils import console
from tevit_vis.utils.console import ProgressBar, ShortFormatter, shorten_console

LONG = (
    'Iter [20/40]\tlr: 1e-4, eta: 1 day, 0:00:14, time: 0.7, data_time: 0.1, stage0_loss_cls: 0.7, '
    'loss: 10.4, grad_norm: 15.6'
)


def test_a_bar_in_a_pipe_is_a_few_plain_lines(monkeypatch):
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    with ProgressBar(total=50, desc='find', unit='frame') as bar:
        for number in range(50):
            bar.set_postfix_str(f'video {number}')
            bar.update()
    text = sys.stderr.getvalue()
    assert '\r' not in text
    lines = text.splitlines()
    assert [line[:10] for line in lines] == ['find: 0% 0', 'find: 100%']
    assert lines[-1].endswith('video 49]')


def test_a_line_comes_now_and_then(monkeypatch):
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    monkeypatch.setattr(console, 'SECONDS_BETWEEN_LINES', 0)
    with ProgressBar(desc='read', unit='video', mininterval=0) as bar:
        for _ in range(5):
            bar.update()
    lines = sys.stderr.getvalue().splitlines()
    assert len(lines) >= 5
    assert lines[-1].startswith('read: 5 video [')


def test_a_bar_in_a_terminal_stays_one(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, 'stderr', Terminal())
    with ProgressBar(total=2, desc='find') as bar:
        bar.update(2)
    assert '\rfind: 100%|' in sys.stderr.getvalue()


@pytest.mark.parametrize(
    ('level', 'text', 'shown'),
    [
        (
            'INFO',
            LONG,
            'Iter [20/40]  lr 1e-4, eta 1 day, 0:00:14, time 0.7, loss 10.4, grad_norm 15.6',
        ),
        (
            'INFO',
            'Iter(val) [4]\tsegm_AP: 0.3, segm_AP50: 0.5, segm_APs: -1, segm_AR10: 0.4',
            'Iter(val) [4]  segm_AP 0.3, segm_AP50 0.5, segm_AR10 0.4',
        ),
        ('INFO', 'Saving checkpoint at 4 iterations', 'Saving checkpoint at 4 iterations'),
        ('WARNING', 'the loss is odd', 'warning: the loss is odd'),
    ],
)
def test_the_console_shows_the_main_numbers(level, text, shown):
    record = logging.LogRecord('x', getattr(logging, level), '', 0, text, (), None)
    assert ShortFormatter().format(record)[9:] == shown


def test_the_file_keeps_everything(tmp_path):
    logger = logging.Logger('test')
    shown = io.StringIO()
    logger.addHandler(logging.StreamHandler(shown))
    logger.addHandler(logging.FileHandler(tmp_path / 'log'))
    shorten_console(logger)
    logger.info('Hooks will be executed in the following order:\nbefore_run:\n...')
    logger.info('Iter [1/2]\tlr: 1, data_time: 3')
    logger.handlers[1].close()
    assert shown.getvalue()[9:] == 'Iter [1/2]  lr 1\n'
    assert 'before_run' in (tmp_path / 'log').read_text()
    assert 'data_time' in (tmp_path / 'log').read_text()
