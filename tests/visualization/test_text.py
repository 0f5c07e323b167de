"""Names of any script are drawn, or it is said which font is missing."""

import numpy as np
import pytest

from tevit_vis.visualization import text
from tevit_vis.visualization.text import draw_text, font_for, system_fonts, text_size


@pytest.fixture(autouse=True)
def fresh_fonts():
    font_for.cache_clear()


def ink_of(words, scale=1.0):
    """Pixels that a text fills, and the canvas."""
    width, height, below = text_size(words, scale)
    canvas = np.zeros((height + below + 40, width + 40, 3), np.uint8)
    draw_text(canvas, words, (20, 20 + height), scale, (255, 255, 255))
    return (canvas > 60).any(2), (width, height, below)


@pytest.mark.parametrize('words', ['person 0.90', 'Élan 0.90', 'собака', 'σκύλος', 'Ångström'])
def test_a_text_lies_within_its_size(words):
    ink, (width, height, below) = ink_of(words)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    assert ink.sum() > 100
    assert columns[0] >= 19
    assert columns[-1] <= 21 + width
    assert rows[0] >= 19
    assert rows[-1] <= 21 + height + below


def test_letters_are_told_apart():
    pictures = [ink_of(words)[0] for words in ('ж', 'ш')]
    assert pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize('origin', [(-30, 5), (0, 0), (55, 18), (300, 300)])
def test_at_and_across_the_border(origin):
    canvas = np.zeros((20, 60, 3), np.uint8)
    draw_text(canvas, 'собака', origin, 0.5, (255, 255, 255))
    assert canvas.shape == (20, 60, 3)


def test_a_font_without_the_characters_is_said_once(caplog, monkeypatch):
    dejavu = next(path for path in system_fonts() if path.endswith('DejaVuSans.ttf'))
    monkeypatch.setattr(text, 'system_fonts', lambda: [dejavu])
    for _ in range(3):
        ink_of('人 0.90')
    assert caplog.text.count('no font has the characters of') == 1
    assert 'TEVIT_VIS_FONT' in caplog.text


def test_the_users_font_comes_first(monkeypatch):
    dejavu = next(path for path in system_fonts() if path.endswith('DejaVuSans.ttf'))
    monkeypatch.setenv('TEVIT_VIS_FONT', dejavu)
    monkeypatch.setattr(text, 'system_fonts', lambda: ['/absent.ttf'])
    assert font_for('жш') == dejavu


def test_a_file_that_is_no_font_is_passed_over(monkeypatch, tmp_path, caplog):
    (tmp_path / 'a.ttf').write_bytes(b'no font')
    dejavu = next(path for path in system_fonts() if path.endswith('DejaVuSans.ttf'))
    monkeypatch.setattr(text, 'system_fonts', lambda: [str(tmp_path / 'a.ttf'), dejavu])
    assert font_for('жш') == dejavu
    assert not caplog.records


def test_a_font_that_is_not_there_is_said(monkeypatch, caplog):
    monkeypatch.setenv('TEVIT_VIS_FONT', '/absent.ttf')
    assert ink_of('жш')[0].any()
    assert 'TEVIT_VIS_FONT: must be a font file, but /absent.ttf is none' in caplog.text
