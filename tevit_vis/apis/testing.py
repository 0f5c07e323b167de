"""Test a model on a data set: every video once, spread over processes, continued after a stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from tqdm import tqdm

from tevit_vis.annotations import read_annotation_file
from tevit_vis.datasets import Frame, Video, YouTubeVISDataset
from tevit_vis.evaluation.submission import read_results, video_entries
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.evaluation.ytvis_eval import Evaluation, evaluate
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.structures import VideoInstances
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
    """Write the submission of a data set.

    Args:
        model: of ``init_model``.
        dataset: its videos are whole clips.
        journal: names the results file.
        resume: go on with an interrupted run.
        num_workers: threads that load frames ahead of the model.
        processes: among which the videos are spread.
        select: chooses of a video's instances what is written; by default all.

    Returns:
        Number of entries written (on the first process; 0 on the others).

    Raises:
        InputError: the data cannot be read, or the model has another number of classes.
    """
    if len(dataset.categories) != model.num_classes:
        raise InputError(
            f'{dataset.ann_file}: number of categories must be the {model.num_classes} classes of '
            f'the model, but got {len(dataset.categories)}'
        )
    label_to_category = match_categories(model.CLASSES, dataset.categories, dataset.ann_file)
    done, run = processes.from_first(lambda: _begin(journal, resume))
    try:
        videos = [video for video in dataset.videos if video.id not in done]
        own_videos = videos_of_process(videos, processes)
        if resume and processes.is_first:
            tqdm.write(f'{len(done)} of {len(dataset)} videos were finished before')
        writer = f'{run}_{processes.rank}'
        with _progress_bar(own_videos, processes) as bar:
            frames = load_frames(dataset, own_videos, num_workers)
            for video in own_videos:
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
    """Returns the category id of each label of a model: names decide, not positions.

    Args:
        class_names: of the model; plain numbers where they are unknown.
        categories: {id: name} of the data, in the order that was expected; names as above.
        ann_file: names the file in messages.

    Raises:
        InputError: the names are others.

    Example:
        >>> match_categories(('dog', 'cat'), {3: 'cat', 7: 'dog'}, 'a.json')
        [7, 3]
    """
    expected = tuple(categories.values())
    names = tuple(class_names)
    unknown = tuple(map(str, range(len(names))))
    if names == expected or unknown in (names, expected):
        return list(categories)
    id_of = {_plain_name(name): category for category, name in categories.items()}
    plain = [_plain_name(name) for name in names]
    if set(plain) != set(id_of):
        raise InputError(
            f"{ann_file}: categories must be the model's classes, {_shown(names)}, "
            f'but are {_shown(expected)}'
        )
    if [id_of[name] for name in plain] != list(categories):
        LOGGER.warning(
            '%s: categories are in another order than the classes of the model: they '
            'are matched by name',
            ann_file,
        )
    return [id_of[name] for name in plain]


def _plain_name(name: str) -> str:
    """A category's name as it is compared: 'Giant panda' and 'giant_panda' are one."""
    return name.lower().replace('_', ' ').replace('-', ' ')


def _shown(names: Sequence[str]) -> str:
    shown = ', '.join(names[:8])
    return f'{shown}, ... ({len(names)})' if len(names) > 8 else shown


def _begin(journal: ResultsJournal, resume: bool) -> tuple[list[int], int]:
    return list(journal.begin(resume)), time.time_ns()


def has_ground_truth(dataset: YouTubeVISDataset) -> bool:
    """Whether a submission for the data set can be scored; those of test sets hold no annotations.

    Raises:
        InputError: annotations are there, but cannot be scored against.
    """
    content = dataset.read_content()
    if not content.get('annotations'):
        return False
    truth = parse_ground_truth(content, dataset.ann_file)
    for category, name in truth.categories.items():
        if dataset.categories.get(category) != name:
            raise InputError(
                f'{dataset.ann_file}: category {category} must be '
                f'{dataset.categories.get(category)!r} like the class of the model that is written '
                f'with this id, but is {name!r}: it cannot be scored against (leave out --eval)'
            )
    return True


def score_submission(ann_file: str, results_file: str) -> Evaluation:
    """The scores of a submission.

    Args:
        ann_file: annotation file.
        results_file: the submission.

    Raises:
        InputError: an entry that cannot be scored, or no annotations.
    """
    truth = parse_ground_truth(read_annotation_file(ann_file), ann_file)
    return evaluate(truth, read_results(results_file), results_file)


def videos_of_process(videos: Sequence[Video], processes: Processes) -> list[Video]:
    """The videos of this process: long ones first, each to whoever has the fewest frames."""
    loads = [0] * processes.count
    mine = []
    for video in sorted(videos, key=lambda video: -video.num_frames):
        least = loads.index(min(loads))
        loads[least] += video.num_frames
        if least == processes.rank:
            mine.append(video)
    return mine


def load_frames(
    dataset: YouTubeVISDataset, videos: Sequence[Video], num_workers: int
) -> Iterator[Frame]:
    """The frames of all videos in one stream, loaded ahead of their use."""
    places = ((video, index) for video in videos for index in range(video.num_frames))

    return prefetch(
        lambda place: dataset.load_frame(*place), places, num_workers, ahead=frames_ahead()
    )


def _progress_bar(videos: Sequence[Video], processes: Processes) -> tqdm:
    return tqdm(
        total=sum(video.num_frames for video in videos),
        unit='frame',
        desc='test' if processes.count == 1 else f'test, 1 of {processes.count} processes',
        disable=not processes.is_first,
        smoothing=0.1,
    )
