"""Tests a model on a data set and scores the results.

Videos are spread over processes, and an interrupted test can be resumed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from tevit_vis.annotations import read_annotation_file
from tevit_vis.datasets import Frame, Video, YouTubeVISDataset
from tevit_vis.evaluation.scores import Evaluation
from tevit_vis.evaluation.submission import read_results, video_entries
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.evaluation.ytvis_eval import evaluate
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.prefetch import prefetch

from .distributed import ALONE, Processes
from .inference import frames_ahead, predict_video
from .journal import ResultsJournal

LOGGER = logging.getLogger('tevit_vis')


def write_submission(
    model: ClipDetector,
    dataset: YouTubeVISDataset,
    journal: ResultsJournal,
    resume: bool = False,
    num_workers: int = 2,
    processes: Processes = ALONE,
    select: Callable[[VideoInstances], VideoInstances] = lambda instances: instances,
) -> int:
    """Runs a model on the videos of a data set and writes the results as a submission.

    Args:
        model: of ``init_model``.
        dataset: the videos to test on.
        journal: stores finished videos and writes the results file.
        resume: continue an interrupted run.
        num_workers: threads that load frames ahead of the model.
        processes: the processes that share the videos.
        select: returns the instances of a video that are written; by default all.

    Returns:
        Number of entries written (on the first process; 0 on the others).

    Raises:
        InputError: the data cannot be read, or the model has another number of classes.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from tevit_vis.apis import init_model
        >>> from tevit_vis.data_tools.synthetic_files import make_synthetic
        >>> from tevit_vis.data_tools.synthetic_world import SyntheticWorld
        >>> from tevit_vis.datasets import build_dataset
        >>> model = init_model('synthetic/tevit_tiny', device='cpu')  # its weights are random
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     world = SyntheticWorld(num_frames=2)
        ...     made = make_synthetic(Path(folder), 1, seed=0, world=world)
        ...     files = dict(zip(('ann_file', 'img_prefix'), map(str, made)))
        ...     dataset = build_dataset(dict(model.cfg.data.test, test_mode=True, **files))
        ...     journal = ResultsJournal(f'{folder}/results.json', {})
        ...     write_submission(model, dataset, journal)
        10
    """
    if len(dataset.categories) != model.num_classes:
        raise InputError(
            f'{dataset.ann_file}: number of categories must be the {model.num_classes} classes of '
            f'the model, but got {len(dataset.categories)}'
        )
    label_to_category = match_categories(model.CLASSES, dataset.categories, dataset.ann_file)
    finished_ids, run_id = processes.run_on_first(lambda: _begin(journal, resume))
    try:
        remaining = [video for video in dataset.videos if video.id not in finished_ids]
        videos = videos_of_process(remaining, processes)
        if resume and processes.is_first:
            ProgressBar.write(f'{len(finished_ids)} of {len(dataset)} videos were finished before')
        writer = f'{run_id}_{processes.rank}'
        with _progress_bar(videos, processes) as bar:
            frames = load_frames(dataset, videos, num_workers)
            for video in videos:
                bar.set_postfix_str(video.name)
                instances = select(predict_video(model, islice(frames, video.num_frames)))
                entries = video_entries(instances, video.id, label_to_category)
                journal.add(writer, video.id, entries)
                bar.update(video.num_frames)
        processes.wait()
        if not processes.is_first:
            return 0
        return journal.finish([video.id for video in dataset.videos])
    finally:
        journal.release()


def match_categories(
    class_names: Sequence[str], categories: Mapping[int, str], ann_file: str
) -> list[int]:
    """Returns the category id of each label of a model. Names are matched, not positions.

    Args:
        class_names: names of the model's classes; ``'0'``, ``'1'``, ... if they are unknown.
        categories: {id: name} of the data set. If its names or the model's are unknown, the n-th
            category belongs to label n.
        ann_file: path of the annotation file, for messages.

    Raises:
        InputError: the data set and the model have different names.

    Example:
        >>> match_categories(('dog', 'cat'), {3: 'cat', 7: 'dog'}, 'a.json')
        [7, 3]
    """
    expected = tuple(categories.values())
    names = tuple(class_names)
    numbers = tuple(map(str, range(len(names))))  # stand for unknown names
    if names == expected or numbers in (names, expected):
        return list(categories)
    id_of = {_plain_name(name): category for category, name in categories.items()}
    plain = [_plain_name(name) for name in names]
    if set(plain) != set(id_of):
        raise InputError(
            f"{ann_file}: categories must be the model's classes, {_short_list(names)}, "
            f'but are {_short_list(expected)}'
        )
    if [id_of[name] for name in plain] != list(categories):
        LOGGER.warning(
            '%s: categories are in another order than the classes of the model: they '
            'are matched by name',
            ann_file,
        )
    return [id_of[name] for name in plain]


def _plain_name(name: str) -> str:
    """Returns a name in the form that is compared: 'Giant panda' and 'giant_panda' are equal."""
    return name.lower().replace('_', ' ').replace('-', ' ')


def _short_list(names: Sequence[str]) -> str:
    text = ', '.join(names[:8])
    return f'{text}, ... ({len(names)})' if len(names) > 8 else text


def _begin(journal: ResultsJournal, resume: bool) -> tuple[list[int], int]:
    """Returns the ids of the finished videos, and a number that names this run's files."""
    return list(journal.begin(resume)), time.time_ns()


def has_ground_truth(dataset: YouTubeVISDataset) -> bool:
    """Whether the data set has annotations to score a submission with; test sets have none.

    Raises:
        InputError: a category of the annotations differs from the class with its id.
    """
    content = dataset.read_content()
    if not content.get('annotations'):
        return False
    ground_truth = parse_ground_truth(content, dataset.ann_file)
    for category, name in ground_truth.categories.items():
        if dataset.categories.get(category) != name:
            raise InputError(
                f'{dataset.ann_file}: category {category} must be '
                f'{dataset.categories.get(category)!r}, the class whose results are written with '
                f'this id, but is {name!r}: results cannot be scored (leave out --eval)'
            )
    return True


def score_submission(ann_file: str, results_file: str) -> Evaluation:
    """Scores a submission.

    Args:
        ann_file: annotation file.
        results_file: the submission.

    Raises:
        InputError: an entry that cannot be scored, or no annotations.

    Example:
        >>> import json, tempfile
        >>> mask = {'size': [2, 2], 'counts': '04'}  # all four pixels
        >>> instance = dict(video_id=1, category_id=1, segmentations=[mask])
        >>> video = dict(id=1, width=2, height=2, length=1, file_names=['a/0.jpg'])
        >>> content = dict(
        ...     videos=[video],
        ...     categories=[dict(id=1, name='person')],
        ...     annotations=[dict(instance, id=1, iscrowd=0)],
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name, value in (('gt', content), ('results', [dict(instance, score=0.9)])):
        ...         with open(f'{folder}/{name}.json', 'w') as file:
        ...             json.dump(value, file)
        ...     evaluation = score_submission(f'{folder}/gt.json', f'{folder}/results.json')
        >>> round(evaluation.stats['AP'], 3)
        1.0
    """
    ground_truth = parse_ground_truth(read_annotation_file(ann_file), ann_file)
    return evaluate(ground_truth, read_results(results_file), results_file)


def videos_of_process(videos: Sequence[Video], processes: Processes) -> list[Video]:
    """Returns the videos of this process, longest first.

    Each video goes to the process that has the fewest frames so far.
    """
    num_frames = [0] * processes.count  # of each process
    own_videos = []
    for video in sorted(videos, key=lambda video: -video.num_frames):
        rank = num_frames.index(min(num_frames))
        num_frames[rank] += video.num_frames
        if rank == processes.rank:
            own_videos.append(video)
    return own_videos


def load_frames(
    dataset: YouTubeVISDataset, videos: Sequence[Video], num_workers: int
) -> Iterator[Frame]:
    """Yields the frames of all videos one after the other; threads load them in advance."""
    video_frames = ((video, index) for video in videos for index in range(video.num_frames))
    return prefetch(
        lambda frame: dataset.load_frame(*frame), video_frames, num_workers, ahead=frames_ahead()
    )


def _progress_bar(videos: Sequence[Video], processes: Processes) -> ProgressBar:
    return ProgressBar(
        total=sum(video.num_frames for video in videos),
        unit='frame',
        desc='test' if processes.count == 1 else f'test, 1 of {processes.count} processes',
        disable=not processes.is_first,
        smoothing=0.1,
    )
