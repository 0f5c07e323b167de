"""Compares trainings: one page of curves and a table, mean and spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tevit_vis.evaluation.tube_errors import ERRORS

from .charts import HEIGHT, WIDTH, Chart, line_chart
from .pages import FOLDER, environment
from .training_logs import RunGroup

SCORES = ('segm_AP', 'segm_AP50', 'segm_AP75', 'segm_AR10', 'HOTA', 'IDF1')


def trainings_page(groups: Sequence[RunGroup]) -> str:
    """Returns a page of several trainings, whole in itself.

    Args:
        groups: of ``group_runs``.
    """
    present = {name for group in groups for run in group.runs for name in run.curves}
    losses = sorted(name for name in present if name not in SCORES and not name.startswith('dAP'))
    losses = [name for name in losses if not name.startswith('segm_')]
    sections = {
        'Scores of validation': [name for name in SCORES if name in present],
        'AP50 that each kind of error costs': [
            f'dAP {kind}' for kind in ERRORS if f'dAP {kind}' in present
        ],
        'Losses': sorted(losses, key=lambda name: (name != 'loss', '.' in name, name)),
    }
    charts = {
        title: [chart for name in names if (chart := _chart(name, groups))]
        for title, names in sections.items()
    }
    return (
        environment()
        .get_template('trainings.html')
        .render(
            groups=groups,
            scores=sections['Scores of validation'],
            sections={title: own for title, own in charts.items() if own},
            style=(FOLDER / 'assets' / 'style.css').read_text(encoding='utf-8'),
            with_spread=with_spread,
            width=WIDTH,
            height=HEIGHT,
        )
    )


def _chart(name: str, groups: Sequence[RunGroup]) -> Chart | None:
    """Returns the chart of one number, or None if no group has it; shares are in percent."""
    scale = 100 if name in SCORES or name.startswith('dAP') else 1
    curves = {
        index: curve for index, group in enumerate(groups) if (curve := group.curve(name, scale))
    }
    return line_chart(name, curves) if curves else None


def summary_rows(groups: Sequence[RunGroup]) -> list[list[str]]:
    """Returns the final scores of each group as rows of a table, with a header."""
    names = [name for name in SCORES if any(group.final(name) for group in groups)]
    rows = [['training', 'runs', *names]]
    for group in groups:
        values = [group.final(name) for name in names]
        rows.append([group.name, str(len(group.runs)), *map(with_spread, values)])
    return rows


def with_spread(value: tuple[float, float] | None, scale: float = 100, digits: int = 1) -> str:
    """Returns mean and spread in words; shares are shown in percent.

    Args:
        value: mean, and spread or NaN; None for no number.
        scale: factor of both.
        digits: behind the point.

    Example:
        >>> with_spread((0.401, 0.012)), with_spread(None)
        ('40.1 ± 1.2', '-')
    """
    if value is None:
        return '-'
    mean, spread = value
    return f'{scale * mean:.{digits}f}' + (
        '' if math.isnan(spread) else f' ± {scale * spread:.{digits}f}'
    )
