"""The numbers of an analysis as tables of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from terminaltables import AsciiTable

from .analysis import Analysis
from .tube_errors import ERRORS, RIGHT, SPECIAL_REPAIRS

VIDEO_COLUMNS = ('AP50', 'HOTA', 'IDF1', 'switches', 'Right', *ERRORS)


def percent(value: float) -> str:
    """Returns a share in percent, or a dash for one that is not defined (-1).

    Example:
        >>> percent(0.1234), percent(-1)
        ('12.3', '-')
    """
    return '-' if value < 0 else f'{100 * value:.1f}'


def analysis_tables(analysis: Analysis) -> str:
    """Returns the findings in words, then the errors, tracking, slices and calibration."""
    gains, counts = analysis.errors.delta_ap(), analysis.errors.counts()
    errors: list[Sequence[object]] = [['error', 'times', 'AP50 gained', 'what it is']]
    errors += [[kind, counts[kind], f'{100 * gains[kind]:+.1f}', ERRORS[kind]] for kind in ERRORS]
    texts = ('all wrong predictions taken away', 'all ground truth found or taken away')
    errors += [
        [kind, '', f'{100 * gains[kind]:+.1f}', text] for kind, text in zip(SPECIAL_REPAIRS, texts)
    ]
    tracking = analysis.tracking.report()
    slices: list[Sequence[object]] = [
        ['property', 'group', 'objects', 'AP', 'AP50', 'found', 'switches per object']
    ]
    for name, groups in analysis.slices.items():
        slices += [
            [
                *(name, group, scores.count, percent(scores.ap), percent(scores.ap50)),
                percent(scores.outcomes.get(RIGHT, 0.0)),
                f'{scores.switches:.2f}',
            ]
            for group, scores in groups.items()
        ]
    return '\n'.join(
        [
            *analysis.sentences(),
            str(AsciiTable(errors).table),
            f'of predictions that score at least {analysis.min_score:g}: '
            + ', '.join(
                f'{name} {value if isinstance(value, int) else percent(value)}'
                for name, value in tracking.items()
            ),
            str(AsciiTable(slices).table),
            f'scores are off by {percent(analysis.calibration.error)} points on average '
            '(expected calibration error)',
        ]
    )


def video_table(analysis: Analysis, names: Mapping[int, str]) -> str:
    """Returns a table of all videos, the worst first.

    Args:
        analysis: of ``analyse``.
        names: {video id: name to show}.
    """
    videos = analysis.videos
    worst_first = sorted(
        videos, key=lambda video: (videos[video].ap50, videos[video].tracking.hota)
    )
    rows: list[Sequence[object]] = [['video', 'objects', *VIDEO_COLUMNS]]
    for video in worst_first:
        scores = videos[video]
        rows.append(
            [
                *(names.get(video, str(video)), scores.num_gts, percent(scores.ap50)),
                *(percent(scores.tracking.hota), percent(scores.tracking.idf1)),
                *(scores.tracking.switches, scores.counts[RIGHT]),
                *(scores.counts[kind] for kind in ERRORS),
            ]
        )
    return str(AsciiTable(rows).table)


def comparison_table(analyses: Mapping[str, Analysis]) -> str:
    """Returns the numbers of several submissions side by side.

    Args:
        analyses: {name of a submission: analysis}, of one ground truth.
    """
    rows: list[Sequence[object]] = [['', *analyses]]
    all_stats = [analysis.evaluation.stats for analysis in analyses.values()]
    rows += [[name, *(percent(stats[name]) for stats in all_stats)] for name in all_stats[0]]
    all_tracking = [analysis.tracking.report() for analysis in analyses.values()]
    for name, first in all_tracking[0].items():
        shown = str if isinstance(first, int) else percent
        rows.append([name, *(shown(tracking[name]) for tracking in all_tracking)])
    all_gains = [analysis.errors.delta_ap() for analysis in analyses.values()]
    rows += [
        [f'AP50 lost by {kind}', *(f'{100 * gains[kind]:.1f}' for gains in all_gains)]
        for kind in ERRORS
    ]
    return str(AsciiTable(rows).table)
