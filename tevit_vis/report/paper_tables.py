"""The numbers of submissions as tables for a paper: LaTeX (booktabs) and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tevit_vis.evaluation.tables import percent
from tevit_vis.evaluation.tube_errors import ERRORS

from .runs import Run

LATEX_ESCAPES = str.maketrans(
    {
        **{character: f'\\{character}' for character in '&%$#_{}'},
        '\\': r'\textbackslash{}',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
    }
)


def _tables(runs: Sequence[Run]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Returns caption, header and rows of each table."""
    analyses = [(run.name, run.analysis) for run in runs if run.analysis is not None]
    if not analyses:
        return []
    stats = list(analyses[0][1].evaluation.stats)
    tracking = list(analyses[0][1].tracking.report())
    return [
        (
            'Average precision and recall (YouTube-VIS metric)',
            ['run', *stats],
            [[name, *(percent(a.evaluation.stats[s]) for s in stats)] for name, a in analyses],
        ),
        (
            'Tracking',
            ['run', *tracking],
            [
                [
                    name,
                    *(
                        str(value) if isinstance(value, int) else percent(value)
                        for value in a.tracking.report().values()
                    ),
                ]
                for name, a in analyses
            ],
        ),
        (
            'AP50 that is lost by each kind of error',
            ['run', *ERRORS],
            [
                [name, *(percent(max(0.0, a.errors.delta_ap()[kind])) for kind in ERRORS)]
                for name, a in analyses
            ],
        ),
    ]


def markdown_tables(runs: Sequence[Run]) -> str:
    """Returns the tables of all runs that have an analysis, in Markdown."""
    blocks = []
    for caption, header, rows in _tables(runs):
        lines = [header, ['---', *['---:'] * (len(header) - 1)], *rows]
        cells = [[cell.replace('|', r'\|') for cell in line] for line in lines]
        blocks.append('\n'.join([f'{caption}\n', *(f'| {" | ".join(line)} |' for line in cells)]))
    return '\n\n'.join(blocks) + '\n'


def latex_tables(runs: Sequence[Run]) -> str:
    """Returns the tables of all runs that have an analysis, in LaTeX with the package booktabs."""
    blocks = []
    for caption, header, rows in _tables(runs):
        lines = [' & '.join(cell.translate(LATEX_ESCAPES) for cell in row) for row in rows]
        blocks.append(
            '\n'.join(
                [
                    r'\begin{table}',
                    r'\centering',
                    rf'\caption{{{caption}}}',
                    rf'\begin{{tabular}}{{l{"r" * (len(header) - 1)}}}',
                    r'\toprule',
                    ' & '.join(cell.translate(LATEX_ESCAPES) for cell in header) + r' \\',
                    r'\midrule',
                    *(line + r' \\' for line in lines),
                    r'\bottomrule',
                    r'\end{tabular}',
                    r'\end{table}',
                ]
            )
        )
    return '\n\n'.join(blocks) + '\n'
