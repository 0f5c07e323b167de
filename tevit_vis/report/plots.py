"""Figures for papers, each as PNG and SVG: precision-recall, errors, slices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tevit_vis.evaluation.analysis import Analysis
from tevit_vis.evaluation.slices import PROPERTIES
from tevit_vis.evaluation.tube_errors import ERRORS

from .runs import Run

# Okabe and Ito's colours, which people with colour blindness tell apart.
RUN_COLORS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#000000')
STYLES = {'AP50': '-', 'AP75': '--'}


def write_plots(runs: Sequence[Run], folder: str) -> list[str]:
    """Writes ``precision_recall``, ``errors`` and ``slices`` as ``.png`` and ``.svg`` files.

    Args:
        runs: those without analysis are left out; without any, nothing is written.
        folder: to write; it is made.

    Returns:
        The files.
    """
    # A dollar sign would begin a formula, and labels that begin with _ are not shown.
    names = [run.name.replace('$', r'\$').replace('_', ' _', run.name[:1] == '_') for run in runs]
    analyses = [(name, run.analysis) for name, run in zip(names, runs) if run.analysis is not None]
    files: list[str] = []
    if not analyses:
        return files
    os.makedirs(folder, exist_ok=True)
    figures = {
        'precision_recall': _precision_recall(analyses),
        'errors': _errors(analyses),
        'slices': _slices(analyses),
    }
    for name, figure in figures.items():
        FigureCanvasAgg(figure)
        for suffix in ('png', 'svg'):
            path = os.path.join(folder, f'{name}.{suffix}')
            figure.savefig(path, dpi=200, bbox_inches='tight')
            files.append(path)
    return files


def _plain(axes: Any) -> None:
    """Takes away what a figure can do without."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(alpha=0.3)


def _precision_recall(analyses: Sequence[tuple[str, Analysis]]) -> Figure:
    """Draws precision over recall, mean of all classes with ground truth."""
    figure = Figure(figsize=(4.5, 3.5))
    axes = figure.subplots()
    recall = np.linspace(0, 1, 101)
    for (name, analysis), color in zip(analyses, _colors(len(analyses))):
        curves = analysis.evaluation.precision_recall().values()
        for threshold, style in STYLES.items():
            if curves:
                mean = np.mean([curve[threshold] for curve in curves], 0)
                label = f'{name}, {threshold} {100 * mean.mean():.1f}'
                axes.plot(recall, mean, style, color=color, label=label)
    axes.set(xlabel='recall', ylabel='precision', xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize='small')
    _plain(axes)
    return figure


def _errors(analyses: Sequence[tuple[str, Analysis]]) -> Figure:
    """Draws the AP50 that each kind of error costs."""
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    places = np.arange(len(ERRORS))
    width = 0.8 / len(analyses)
    for index, ((name, analysis), color) in enumerate(zip(analyses, _colors(len(analyses)))):
        gains = analysis.errors.delta_ap()
        heights = [100 * gains[kind] for kind in ERRORS]
        axes.bar(places + index * width, heights, width, color=color, label=name)
    axes.set_xticks(places + 0.4 - width / 2, list(ERRORS))
    axes.set(ylabel='AP50 gained by repair')
    axes.legend(fontsize='small')
    _plain(axes)
    return figure


def _slices(analyses: Sequence[tuple[str, Analysis]]) -> Figure:
    """Draws the AP of the groups of each property, a panel per property."""
    names = [name for name in PROPERTIES if name != 'class']
    figure = Figure(figsize=(9, 9), layout='constrained')
    panels = figure.subplots(-(-len(names) // 2), 2, sharex=True).ravel()
    width = 0.8 / len(analyses)
    for axes, name in zip(panels, names):
        groups = list(analyses[0][1].slices[name])
        places = np.arange(len(groups))
        for index, ((run, analysis), color) in enumerate(zip(analyses, _colors(len(analyses)))):
            values = [100 * max(0.0, analysis.slices[name][group].ap) for group in groups]
            axes.barh(places + index * width, values, width, color=color, label=run)
        axes.set_yticks(places + 0.4 - width / 2, groups, fontsize='small')
        axes.invert_yaxis()
        axes.set_title(name, fontsize='medium')
        _plain(axes)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc='lower right', fontsize='small')
    figure.supxlabel('AP')
    return figure


def _colors(count: int) -> list[str]:
    """Returns a colour for each run."""
    return [RUN_COLORS[index % len(RUN_COLORS)] for index in range(count)]
