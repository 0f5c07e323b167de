"""Lays out curves as a chart: what the template draws, in units of its view box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from .training_logs import Curve

WIDTH, HEIGHT = 320.0, 160.0
MAX_POINTS = 150  # of a curve; longer ones are averaged


@dataclass(frozen=True)
class Line:
    """A curve as the points of an SVG polyline, and the area from its least to greatest value."""

    group: int
    points: str
    area: str


@dataclass(frozen=True)
class Chart:
    """Curves of one number.

    Args:
        name: of the number.
        lines: of the groups that have it.
        x_ticks, y_ticks: (place, label).
    """

    name: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def line_chart(name: str, curves: Mapping[int, Curve]) -> Chart:
    """Returns the chart of one number.

    Args:
        name: of the number.
        curves: {group: curve}, at least one.

    Example:
        >>> chart = line_chart('loss', {0: Curve([0, 10], [1.0, 3.0], [1.0, 2.0], [1.0, 4.0])})
        >>> chart.lines[0].points
        '0.0,150.0 320.0,50.0'
    """
    thinned = {group: _thinned(curve) for group, curve in curves.items()}
    last = max(curve.iterations[-1] for curve in thinned.values())
    x_ticks = MaxNLocator(5, integer=True).tick_values(0, max(last, 1))
    low = min(min(curve.low) for curve in thinned.values())
    high = max(max(curve.high) for curve in thinned.values())
    y_ticks = MaxNLocator(4).tick_values(low, high if high > low else low + 1e-6)
    bottom, top = min(low, y_ticks[0]), max(high, y_ticks[-1])

    def place(iteration: float, value: float) -> str:
        x = WIDTH * iteration / max(last, 1)
        return f'{x:.1f},{HEIGHT * (1 - (value - bottom) / (top - bottom)):.1f}'

    lines = []
    for group, curve in thinned.items():
        forth = [place(i, v) for i, v in zip(curve.iterations, curve.high)]
        back = [place(i, v) for i, v in zip(curve.iterations, curve.low)]
        points = [place(i, v) for i, v in zip(curve.iterations, curve.mean)]
        lines.append(Line(group, ' '.join(points), ' '.join([*forth, *reversed(back)])))
    return Chart(
        name,
        lines,
        [(WIDTH * tick / max(last, 1), f'{tick:g}') for tick in x_ticks if 0 <= tick <= last],
        [
            (HEIGHT * (1 - (tick - bottom) / (top - bottom)), f'{tick:.4g}')
            for tick in y_ticks
            if bottom <= tick <= top
        ],
    )


def _thinned(curve: Curve) -> Curve:
    """Returns a curve of at most ``MAX_POINTS`` points, means of neighbours."""
    if len(curve.iterations) <= MAX_POINTS:
        return curve
    parts = np.array_split(np.arange(len(curve.iterations)), MAX_POINTS)
    return Curve(
        [round(float(np.mean([curve.iterations[n] for n in part]))) for part in parts],
        *(
            [float(np.mean([values[n] for n in part])) for part in parts]
            for values in (curve.mean, curve.low, curve.high)
        ),
    )
