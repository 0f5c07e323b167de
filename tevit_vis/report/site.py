"""Writes a report: a folder of pages that open from the disk, and ``report.json``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tevit_vis.annotated_videos import Video
from tevit_vis.evaluation.comparison import Comparison, compare
from tevit_vis.evaluation.tubes import MaskTube, instances_of
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable, unfinished_folder
from tevit_vis.utils.json_files import write_json
from tevit_vis.visualization.draw import track_color

from .pages import FOLDER, KINDS, MEANING, render_pages, script_call, video_rows
from .paper_tables import latex_tables, markdown_tables
from .pictures import VideoPictures, write_pictures
from .runs import DataSet, Run
from .video_data import OutcomesOfRun, video_data

MARK = 'report.json'  # a folder with this file, and nothing that is not written, is a report
WRITTEN = {
    *(MARK, 'index.html', 'classes.html', 'slices.html', 'videos.html', 'video.html'),
    *('compare.html', 'assets', 'data', 'frames', 'strips', 'plots', 'tables.tex', 'tables.md'),
}
NUM_COLORS = 64  # of tracks; later ones start over
MAX_WORKERS = 8


@dataclass(frozen=True)
class ReportOptions:
    """What a report holds.

    Args:
        frames_root: folder that the file names of frames are relative to; None for a report
            without pictures.
        most_pictures: videos that get pictures, the worst ones.
        frame_width: of the pictures in pixels, at most.
        plots: whether figures are written as PNG and SVG files.
        latex: whether tables are written as ``tables.tex``.
        markdown: whether tables are written as ``tables.md``.
        overwrite: whether a report that is in the folder is replaced.
    """

    frames_root: str | None = None
    most_pictures: int = 300
    frame_width: int = 384
    plots: bool = False
    latex: bool = False
    markdown: bool = False
    overwrite: bool = False


def check_report_folder(folder: str, overwrite: bool, inputs: Sequence[str] = ()) -> None:
    """Checks that a report may be written to a folder.

    Args:
        folder: to write.
        overwrite: whether a report that is there may be replaced.
        inputs: files and folders that must not lie in it.

    Raises:
        InputError: the folder holds something else than a report, or a report that is to be kept.
    """
    inside = os.path.realpath(folder) + os.sep
    for path in inputs:
        if (os.path.realpath(path) + os.sep).startswith(inside):
            raise InputError(f'{folder}: must be another folder than that of {path}')
    if os.path.isfile(folder):
        raise InputError(f'{folder}: must be a folder, but is a file')
    check_writable(os.path.join(folder, MARK) if os.path.isdir(folder) else folder)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if not names:
        return
    foreign = sorted(set(names) - WRITTEN) or ([] if MARK in names else names)
    if foreign:
        raise InputError(
            f'{folder}: must be a new or empty folder, but holds {len(foreign)} files or folders '
            f'that are of no report (first: {foreign[0]}): choose another'
        )
    if not overwrite:
        raise InputError(f'{folder}: holds a report: --overwrite replaces it')


def write_report(
    data_set: DataSet,
    runs: Sequence[Run],
    folder: str,
    options: ReportOptions,
    on_video: Callable[[], object] = lambda: None,
) -> list[str]:
    """Writes a report; the folder gets its name when it is complete.

    Args:
        data_set: that the runs are for.
        runs: one or more submissions, read by ``read_run``.
        folder: to write; new, empty, or an earlier report.
        options: what the report holds.
        on_video: called after each video.

    Returns:
        Lines on what could not be shown, such as frames that are absent.

    Raises:
        InputError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> video = dict(id=1, width=8, height=8, file_names=['a/0.jpg'])
        >>> data_set = DataSet.parse({'videos': [video]}, 'valid.json')
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     notes = write_report(data_set, [Run('r', {}, None)], folder, ReportOptions())
        >>> notes
        ['Frames are not shown: the report was made without --frames.']
    """
    check_report_folder(folder, options.overwrite)
    with unfinished_folder(folder) as unfinished:
        return _write_all(data_set, runs, unfinished, options, on_video)


def _write_all(
    data_set: DataSet,
    runs: Sequence[Run],
    folder: str,
    options: ReportOptions,
    on_video: Callable[[], object],
) -> list[str]:
    """Writes the files of a report into an empty folder; returns what could not be shown."""
    analyses = [run.analysis for run in runs if run.analysis is not None]
    comparisons = [compare(analyses[0], other) for other in analyses[1:]]
    os.makedirs(os.path.join(folder, 'data'))
    shutil.copytree(FOLDER / 'assets', os.path.join(folder, 'assets'))
    rows = video_rows(data_set, runs)
    pictured = {row['id'] for row in rows[: options.most_pictures]}
    pictures = _write_videos(data_set, runs, folder, options, pictured, on_video)
    for row in rows:
        row['strip'] = row['id'] in pictures and pictures[row['id']].has_strip
    notes = _notes(data_set, options, pictures)
    _write_scripts(data_set, runs, folder, rows)
    for name, text in render_pages(data_set, runs, comparisons, notes).items():
        _write_text(text, os.path.join(folder, name))
    write_json(_numbers(data_set, runs, comparisons), os.path.join(folder, MARK))
    if options.latex:
        _write_text(latex_tables(runs), os.path.join(folder, 'tables.tex'))
    if options.markdown:
        _write_text(markdown_tables(runs), os.path.join(folder, 'tables.md'))
    if options.plots:
        from .plots import write_plots  # matplotlib takes a second to import

        write_plots(runs, os.path.join(folder, 'plots'))
    return notes


def _write_videos(
    data_set: DataSet,
    runs: Sequence[Run],
    folder: str,
    options: ReportOptions,
    pictured: set[int],
    on_video: Callable[[], object],
) -> dict[int, VideoPictures]:
    """Writes data and pictures of each video; returns the pictures by video id."""
    outcomes = [OutcomesOfRun(run) for run in runs]
    labels = sorted({category for run in runs for _, category in run.tubes})
    names = [data_set.category_name(category) for category in labels]

    def write_video(video: Video) -> VideoPictures | None:
        made = None
        if video.id in pictured and options.frames_root is not None:
            drawn = _drawn_instances(video, outcomes[0], labels)
            made = write_pictures(
                video, options.frames_root, folder, options.frame_width, drawn, names
            )
        data = video_data(data_set, video, outcomes)
        # Faults of frames; a video without pictures has none to show.
        data['pictures'] = None if made is None else {str(t): f for t, f in made.faults.items()}
        _write_text(script_call('loadVideo', data), os.path.join(folder, 'data', f'{video.id}.js'))
        return made

    pictures = {}
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        for video, made in zip(data_set.videos, pool.map(write_video, data_set.videos)):
            if made is not None:
                pictures[video.id] = made
            on_video()
    return pictures


def _drawn_instances(video: Video, run: OutcomesOfRun, labels: list[int]) -> VideoInstances:
    """Returns the predictions of a video that score enough, as they are drawn in its strip."""
    tubes: dict[int, list[MaskTube]] = {}
    for category, tube in run.tubes.get(video.id, []):
        if tube.score >= run.min_score:
            tubes.setdefault(labels.index(category), []).append(tube)
    return instances_of(tubes, (video.height, video.width), video.num_frames)


def _write_scripts(data_set: DataSet, runs: Sequence[Run], folder: str, rows: list[dict]) -> None:
    """Writes what the list of videos and the player read."""
    colors = [track_color(index) for index in range(NUM_COLORS)]
    shared = {
        'runs': [run.name for run in runs],
        'scored': data_set.ground_truth is not None,
        'minScore': OutcomesOfRun(runs[0]).min_score,
        'kinds': KINDS,
        'meaning': MEANING,
        'colors': [f'#{red:02x}{green:02x}{blue:02x}' for blue, green, red in colors],
        'classes': sorted({name for row in rows for name in row['classes']}),
        'order': [str(row['id']) for row in rows],
    }
    _write_text(script_call('loadReport', shared), os.path.join(folder, 'data', 'report.js'))
    rows = [{**row, 'id': str(row['id'])} for row in rows]
    _write_text(script_call('loadVideos', rows), os.path.join(folder, 'data', 'videos.js'))


def _notes(
    data_set: DataSet, options: ReportOptions, pictures: dict[int, VideoPictures]
) -> list[str]:
    """Returns lines on frames that could not be shown."""
    if options.frames_root is None:
        return ['Frames are not shown: the report was made without --frames.']
    notes = []
    without = len(data_set.videos) - len(pictures)
    if without:
        notes.append(f'{without} videos have no pictures: --most-pictures sets how many get some.')
    faults = [
        (video, t, fault)
        for video, made in sorted(pictures.items())
        for t, fault in sorted(made.faults.items())
    ]
    if faults:
        video, t, fault = faults[0]
        notes.append(
            f'{len(faults)} frames of {len({video for video, _, _ in faults})} videos could not be '
            f'shown; the first: video {video}, frame {t}: {fault}'
        )
    return notes


def _numbers(
    data_set: DataSet, runs: Sequence[Run], comparisons: Sequence[Comparison]
) -> dict[str, object]:
    """Returns every number of the report as the content of a JSON file."""
    content: dict[str, object] = {
        'annotations': data_set.name,
        'runs': {
            run.name: run.analysis.report()
            if run.analysis is not None
            else {
                'predictions': sum(map(len, run.tubes.values())),
                'videos': {str(video): len(pairs) for video, pairs in run.by_video().items()},
            }
            for run in runs
        },
    }
    if comparisons:
        content['compared_with_first'] = {
            run.name: comparison.report() for run, comparison in zip(runs[1:], comparisons)
        }
    return content


def _write_text(text: str, path: str) -> None:
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
