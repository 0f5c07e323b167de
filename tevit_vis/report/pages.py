"""Renders the pages of a report from templates; numbers come ready from the analysis."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tevit_vis.evaluation.comparison import Comparison
from tevit_vis.evaluation.slices import PROPERTIES
from tevit_vis.evaluation.tables import percent
from tevit_vis.evaluation.tube_errors import ERRORS, IGNORED, RIGHT, SPECIAL_REPAIRS
from tevit_vis.version import __version__

from .runs import DataSet, Run

FOLDER = Path(__file__).parent
KINDS = (RIGHT, *ERRORS, IGNORED)
PREDICTION_KINDS = tuple(kind for kind in (RIGHT, *ERRORS) if kind != 'Miss')
MATRIX_CLASSES = 20  # of the confusion matrix, those that are confused most
MEANING = {
    RIGHT: 'found: the best prediction with an IoU of at least 0.5',
    **ERRORS,
    IGNORED: 'matched with a crowd, so it does not count',
}
SPECIAL_MEANING = dict(
    zip(
        SPECIAL_REPAIRS,
        ('all wrong predictions taken away', 'all objects that were not found taken away'),
    )
)


def environment() -> Environment:
    """Returns the template engine: all values are escaped, and unknown names are errors."""
    engine = Environment(
        loader=FileSystemLoader(FOLDER / 'templates'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters['percent'] = percent
    engine.filters['points'] = lambda share: f'{100 * share:.1f}'
    engine.filters['signed'] = lambda share: f'{100 * share:+.1f}'
    return engine


def script_call(function: str, content: object) -> str:
    """Returns a script that gives a value to a function; a page may load it from the disk.

    Pages that are opened as files may not read JSON files. Characters that could end a script
    element are escaped.

    Example:
        >>> script_call('load', {'name': '</script>'})
        'load({"name":"\\\\u003c/script\\\\u003e"});\\n'
    """
    text = json.dumps(content, separators=(',', ':'), allow_nan=False)
    for character in '<>&':
        text = text.replace(character, f'\\u{ord(character):04x}')
    return f'{function}({text});\n'


def render_pages(
    data_set: DataSet, runs: Sequence[Run], comparisons: Sequence[Comparison], notes: Sequence[str]
) -> dict[str, str]:
    """Returns the pages by file name.

    Args:
        data_set: of the runs.
        runs: submissions; all with an analysis, or none.
        comparisons: of each run but the first with the first.
        notes: lines on what could not be shown.
    """
    engine = environment()
    is_scored = data_set.ground_truth is not None
    links = [('index.html', 'Summary')]
    if is_scored:
        links += [('classes.html', 'Classes'), ('slices.html', 'Slices')]
    links += [('videos.html', 'Videos')]
    if comparisons:
        links += [('compare.html', 'Compare')]
    shared = {
        'data_set': data_set,
        'runs': runs,
        'links': links,
        'is_scored': is_scored,
        'version': __version__,
        'kinds': KINDS,
        'errors': ERRORS,
        'meaning': MEANING,
        'right': RIGHT,
        'prediction_kinds': PREDICTION_KINDS,
    }
    contexts: dict[str, dict[str, Any]] = {
        'index.html': _summary(data_set, runs, comparisons, notes),
        'videos.html': {},
        'video.html': {},
    }
    if is_scored:
        contexts['classes.html'] = _classes(data_set, runs)
        contexts['slices.html'] = {'properties': PROPERTIES, 'groups': _slice_rows(runs)}
    if comparisons:
        contexts['compare.html'] = {'comparisons': _compared(data_set, runs, comparisons)}
    return {
        name: engine.get_template(name).render(page=name, **shared, **context)
        for name, context in contexts.items()
    }


def _summary(
    data_set: DataSet, runs: Sequence[Run], comparisons: Sequence[Comparison], notes: Sequence[str]
) -> dict[str, Any]:
    """Returns what the first page shows."""
    analyses = [run.analysis for run in runs if run.analysis is not None]
    gains = [analysis.errors.delta_ap() for analysis in analyses]
    return {
        'notes': notes,
        'num_frames': sum(video.num_frames for video in data_set.videos),
        'num_predictions': [sum(map(len, run.tubes.values())) for run in runs],
        'class_counts': [_class_counts(data_set, run) for run in runs],
        'stats': [analysis.evaluation.stats for analysis in analyses],
        'tracking': [analysis.tracking.report() for analysis in analyses],
        'gains': gains,
        'counts': [analysis.errors.counts() for analysis in analyses],
        'largest_gain': max((max(gain[kind] for kind in ERRORS) for gain in gains), default=0),
        'special': SPECIAL_MEANING,
        'comparisons': comparisons,
    }


def _class_counts(data_set: DataSet, run: Run) -> dict[str, int]:
    """Returns how many predictions a run has of each class, the most first."""
    counts: Counter = Counter()
    for (_, category), tubes in run.tubes.items():
        counts[data_set.category_name(category)] += len(tubes)
    return dict(counts.most_common())


def _classes(data_set: DataSet, runs: Sequence[Run]) -> dict[str, Any]:
    """Returns the rows of the page of classes, and the confusion matrices."""
    analyses = [run.analysis for run in runs if run.analysis is not None]
    curves = [analysis.evaluation.precision_recall() for analysis in analyses]
    rows = []
    for category, name in analyses[0].evaluation.categories.items():
        scores = analyses[0].slices['class'].get(name)
        outcomes = [
            Counter(p.kind for p in analysis.errors.predictions if p.category == category)
            for analysis in analyses
        ]
        rows.append(
            {
                'name': name,
                'objects': scores.count if scores else 0,
                'stats': [analysis.evaluation.per_category[category] for analysis in analyses],
                'outcomes': outcomes,
                'missed': [
                    sum(g.kind == 'Miss' and g.category == category for g in a.errors.ground_truths)
                    for a in analyses
                ],
                'calibration': [a.class_calibration.get(category) for a in analyses],
                'curves': [curve.get(category) for curve in curves],
            }
        )
    return {
        'rows': rows,
        'matrices': [_matrix(data_set, run) for run in runs if run.analysis is not None],
        'calibration': [analysis.calibration for analysis in analyses],
    }


def _matrix(data_set: DataSet, run: Run) -> dict[str, Any]:
    """Returns the confusion matrix of the classes that are confused most."""
    confusion = run.analysis.confusion if run.analysis is not None else {}
    wrong: Counter = Counter()
    for (true, predicted), count in confusion.items():
        for category in {true, predicted} - {-1}:
            wrong[category] += count * (true != predicted)
    chosen = sorted(key for key, _ in wrong.most_common(MATRIX_CLASSES))
    axis = [*chosen, -1]
    cells = [[confusion.get((true, predicted), 0) for predicted in axis] for true in axis]
    return {
        'run': run.name,
        'names': [*(data_set.category_name(key) for key in chosen), 'none'],
        'cells': cells,
        'largest': max((value for row in cells for value in row), default=0),
        'left_out': len(wrong) - len(chosen),
    }


def _slice_rows(runs: Sequence[Run]) -> dict[str, list[tuple[str, list]]]:
    """Returns {property: [(group, scores of each run)]}."""
    analyses = [run.analysis for run in runs if run.analysis is not None]
    return {
        name: [(group, [a.slices[name][group] for a in analyses]) for group in groups]
        for name, groups in analyses[0].slices.items()
    }


def _compared(
    data_set: DataSet, runs: Sequence[Run], comparisons: Sequence[Comparison]
) -> list[dict[str, Any]]:
    """Returns the comparison of each later run with the first."""
    names = {video.id: video.name for video in data_set.videos}
    first = runs[0].analysis
    assert first is not None
    before = {**first.evaluation.stats, **first.tracking.report()}
    rows = []
    for index, (run, comparison) in enumerate(zip(runs[1:], comparisons), start=1):
        assert run.analysis is not None
        rows.append(
            {
                'index': index,
                'name': run.name,
                'sentence': comparison.sentence(),
                'comparison': comparison,
                'before': before,
                'after': {**run.analysis.evaluation.stats, **run.analysis.tracking.report()},
                'gains_before': first.errors.delta_ap(),
                'gains_after': run.analysis.errors.delta_ap(),
                'video_names': names,
            }
        )
    return rows


def video_rows(data_set: DataSet, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Returns what the list of videos shows of each, the worst of the first run first."""
    by_video = [run.by_video() for run in runs]
    objects: dict[int, Counter] = {video.id: Counter() for video in data_set.videos}
    if data_set.ground_truth is not None:
        for (video_id, category), tubes in data_set.ground_truth.tubes.items():
            objects[video_id][data_set.category_name(category)] += sum(not t.crowd for t in tubes)
    rows = []
    for video in data_set.videos:
        predicted = [preds.get(video.id, []) for preds in by_video]
        found = {data_set.category_name(category) for pairs in predicted for category, _ in pairs}
        rows.append(
            {
                'id': video.id,
                'name': video.name,
                'frames': video.num_frames,
                'classes': sorted(set(objects[video.id]) | found),
                'objects': sum(objects[video.id].values()),
                'runs': [
                    _video_scores(run, video.id, len(pairs)) for run, pairs in zip(runs, predicted)
                ],
            }
        )
    return sorted(rows, key=_badness) if data_set.ground_truth is not None else rows


def _badness(row: dict[str, Any]) -> tuple[bool, float, float]:
    """Orders videos with objects before those without, the worst first."""
    scores = row['runs'][0]
    return row['objects'] == 0, scores['AP50'], scores['HOTA']


def _video_scores(run: Run, video: int, num_predictions: int) -> dict[str, Any]:
    """Returns the scores of a run in one video."""
    if run.analysis is None:
        return {'predictions': num_predictions}
    scores = run.analysis.videos[video]
    return {
        'predictions': num_predictions,
        'AP50': round(scores.ap50, 4),
        'HOTA': round(scores.tracking.hota, 4),
        'IDF1': round(scores.tracking.idf1, 4),
        'switches': scores.tracking.switches,
        **scores.counts,
    }
