"""What a report shows: a data set, and one or more submissions for it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tevit_vis.annotated_videos import Video, file_categories, parse_videos
from tevit_vis.annotations import annotation_entries
from tevit_vis.evaluation.analysis import MIN_SCORE, Analysis, analyse
from tevit_vis.evaluation.explain import explain_score
from tevit_vis.evaluation.results import parse_results
from tevit_vis.evaluation.tubes import GroundTruth, MaskTube, parse_ground_truth


@dataclass(frozen=True)
class DataSet:
    """The videos that submissions are about.

    Args:
        name: of the annotation file.
        content: of the annotation file, in YouTube-VIS layout.
        videos: in the order of the file.
        categories: {id: name}.
        ground_truth: None where the file has no annotations.
    """

    name: str
    content: dict
    videos: list[Video]
    categories: dict[int, str]
    ground_truth: GroundTruth | None

    @classmethod
    def parse(cls, content: dict, path: str) -> DataSet:
        """Reads the content of an annotation file, with or without annotations.

        Args:
            content: in YouTube-VIS layout.
            path: names the file in errors.

        Raises:
            InputError: an entry breaks a rule.

        Example:
            >>> video = dict(id=1, width=8, height=8, file_names=['a/0.jpg'])
            >>> data_set = DataSet.parse({'videos': [video]}, 'valid.json')
            >>> data_set.videos[0].name, data_set.ground_truth
            ('a', None)
        """
        has_truth = bool(annotation_entries(content, path))
        return cls(
            os.path.basename(path),
            content,
            parse_videos(content, path),
            file_categories(content, path),
            parse_ground_truth(content, path) if has_truth else None,
        )

    def category_name(self, category: int) -> str:
        """Returns the name of a category; its number where the file does not name it."""
        return self.categories.get(category, f'category {category}')


@dataclass(frozen=True)
class Run:
    """A submission.

    Args:
        name: short, to tell it from the others.
        tubes: {(video id, category id): predictions}.
        analysis: None without ground truth.
        warnings: lines on what does not count, and on mistakes that explain a low score.
    """

    name: str
    tubes: dict[tuple[int, int], list[MaskTube]]
    analysis: Analysis | None
    warnings: list[str] = field(default_factory=list)

    def by_video(self) -> dict[int, list[tuple[int, MaskTube]]]:
        """Returns {video id: (category, tube) of its predictions, in the order of the file}.

        The place of a prediction is its track number in the videos that the tools draw.
        """
        videos: dict[int, list[tuple[int, MaskTube]]] = {}
        for (video, category), tubes in self.tubes.items():
            videos.setdefault(video, []).extend((category, tube) for tube in tubes)
        for pairs in videos.values():
            pairs.sort(key=lambda pair: pair[1].entry)
        return videos


def read_run(
    data_set: DataSet,
    results: Sequence[dict],
    path: str,
    name: str = '',
    min_score: float = MIN_SCORE,
) -> Run:
    """Checks and analyses a submission.

    Args:
        data_set: that it is for.
        results: its entries.
        path: names it in errors.
        name: in the report; the default is the path.
        min_score: least score of the predictions whose tracks and confusions are counted.

    Raises:
        InputError: an entry cannot be shown.

    Example:
        >>> video = dict(id=1, width=8, height=8, file_names=['a/0.jpg'])
        >>> data_set = DataSet.parse({'videos': [video]}, 'valid.json')
        >>> entry = dict(video_id=1, category_id=2, score=0.5, segmentations=[None])
        >>> len(read_run(data_set, [entry], 'results.json').tubes[1, 2])
        1
    """
    lengths = {video.id: video.num_frames for video in data_set.videos}
    tubes = dict(parse_results(results, lengths, path))
    if data_set.ground_truth is None:
        return Run(name or path, tubes, None)
    analysis = analyse(data_set.ground_truth, results, path, min_score)
    warnings = explain_score(data_set.content, results, analysis.evaluation, path)
    return Run(name or path, tubes, analysis, warnings)


def short_names(paths: Sequence[str]) -> list[str]:
    """Returns what tells paths apart: without the folders that all share; equal ones get numbers.

    Example:
        >>> short_names(['runs/a/results.json', 'runs/b/results.json'])
        ['a/results.json', 'b/results.json']
        >>> short_names(['runs/a/results.json'])
        ['results.json']
    """
    folders = [os.path.abspath(path).split(os.sep) for path in paths]
    names = []
    for parts in folders:
        shared = next(
            (
                depth
                for depth, part in enumerate(parts[:-1])
                if any(len(other) <= depth or other[depth] != part for other in folders)
            ),
            len(parts) - 1,
        )
        names.append(os.fsencode('/'.join(parts[shared:])).decode('utf-8', 'replace'))
    times: Counter = Counter()
    for index, name in enumerate(names):
        times[name] += 1
        if times[name] > 1:
            names[index] = f'{name} ({times[name]})'
    return names
