"""Writes the results of a data set in other forms: masks, tables and labels of each video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tevit_vis.annotated_videos import file_categories
from tevit_vis.datasets import YouTubeVISDataset
from tevit_vis.evaluation.results import parse_results
from tevit_vis.evaluation.tubes import MaskTube, instances_of
from tevit_vis.outputs import Outputs, write_instances
from tevit_vis.outputs.arguments import SUFFIXES
from tevit_vis.outputs.predict_all import check_outputs
from tevit_vis.video import open_source


def result_files(
    dataset: YouTubeVISDataset,
    forms: Mapping[str, str],
    mask_form: str = 'index',
    score_thr: float = 0.3,
    inputs: Sequence[str] = (),
) -> list[Outputs]:
    """Returns the files of each video of a data set, after checking that they can be written.

    Args:
        dataset: of the videos.
        forms: {a form of ``outputs.arguments.FORMS``: folder}; a video has a file, or a folder, of
            its name there; a second one of a name gets its id behind it.
        mask_form: of ``visualization.mask_files.MASK_FORMS``.
        score_thr: least score of the instances that are written.
        inputs: files that must stay.

    Raises:
        InputError: a file cannot be written.
    """
    all_outputs, used = [], set()
    for video in dataset.videos:
        name = video.name.replace('/', '_')
        name = f'{name}_{video.id}' if name in used else name
        used.add(name)
        paths = {
            kind: str(Path(folder, name + SUFFIXES.get(kind, ''))) for kind, folder in forms.items()
        }
        all_outputs.append(
            Outputs(
                masks=paths.pop('masks', None),
                crops=paths.pop('crops', None),
                cvat=paths.pop('cvat', None),
                tables=paths,
                mask_form=mask_form,
                score_thr=score_thr,
            )
        )
    check_outputs(all_outputs, inputs)
    return all_outputs


def write_result_files(
    dataset: YouTubeVISDataset,
    results: Sequence[dict],
    path: str,
    all_outputs: Sequence[Outputs],
    on_video: Callable[[], object] = lambda: None,
) -> None:
    """Writes the results of a data set in other forms.

    Args:
        dataset: of the videos.
        results: entries of a submission.
        path: of the submission, for errors.
        all_outputs: of ``result_files``.
        on_video: called after each video.

    Raises:
        InputError: an entry breaks a rule, a frame cannot be read, or the disk is full.
    """
    lengths = {video.id: video.num_frames for video in dataset.videos}
    categories = file_categories(dataset.read_content(), dataset.ann_file)
    tubes_of: dict[int, dict[int, list[MaskTube]]] = {}
    labels = {category: label for label, category in enumerate(categories)}
    for (key, category), found in parse_results(results, lengths, path).items():
        tubes_of.setdefault(key, {})[labels[category]] = list(found)
    for video, outputs in zip(dataset.videos, all_outputs):
        tubes = tubes_of.get(video.id, {})
        instances = instances_of(tubes, (video.height, video.width), video.num_frames)
        images = None
        if outputs.crops:
            frames = [dataset.frame_path(video, t) for t in range(video.num_frames)]
            images = (frame.image for frame in open_source(frames).timed_frames())
        write_instances(instances, list(categories.values()), outputs, images)
        on_video()
