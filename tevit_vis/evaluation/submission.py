"""The YouTube-VIS submission format: written, read and checked."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Sequence

from tevit_vis.annotated_videos import file_categories, parse_videos
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import read_json

from .tubes import another_data_set, check_prediction
from .ytvis_eval import MAX_PREDICTIONS


def video_entries(
    instances: VideoInstances, video_id: int, label_to_category: Sequence[int]
) -> list[dict]:
    """Entries of ``results.json`` for one video: one per instance, with one RLE per frame."""
    return [
        {
            'video_id': video_id,
            'score': float(score),
            'category_id': label_to_category[label],
            'segmentations': track,
        }
        for label, score, track in zip(instances.labels, instances.scores, instances.segmentations)
    ]


def instances_to_json(instances: VideoInstances, class_names: Sequence[str]) -> dict:
    """The instances of a single video, for a file of their own.

    Boxes are x1 y1 x2 y2 in pixels, per frame; masks are RLE per frame, null where there is none;
    times are seconds from the start of the video, where it has times.
    """
    return {
        'height': instances.size[0],
        'width': instances.size[1],
        'length': instances.num_frames,
        **({} if instances.times is None else {'times': instances.times.round(6).tolist()}),
        'instances': [
            {
                'category': class_names[instances.labels[n]],
                'score': float(instances.scores[n]),
                'boxes': instances.boxes[n].round(2).tolist(),
                'segmentations': instances.segmentations[n],
            }
            for n in range(len(instances))
        ],
    }


def frame_to_json(
    found: FrameInstances, class_names: Sequence[str], min_score: float = 0.0
) -> dict:
    """The tracks in a frame of a stream whose best class is above ``min_score``, for a line of a
    file.

    Scores and categories are means so far; boxes are x1 y1 x2 y2 in pixels.
    """
    return {
        'frame': found.frame,
        **({} if found.time is None else {'time': round(found.time, 6)}),
        'tracks': [
            {
                'track': track,
                'category': class_names[scores.argmax()],
                'score': round(float(scores.max()), 5),
                'box': box.round(2).tolist(),
                'segmentation': mask,
            }
            for track, scores, box, mask in zip(
                found.tracks, found.class_scores, found.boxes.astype(float), found.masks
            )
            if scores.max() > min_score
        ],
    }


def read_results(path: str | os.PathLike) -> list[dict]:
    """The entries of a results file, also of one that is packed for upload.

    Raises:
        InputError: absent, no JSON, or no list; an archive without results.json.
    """
    if os.path.isfile(path) and zipfile.is_zipfile(path):
        results = read_packed_json(path)
    else:
        results = read_json(path, 'results file')
    if not isinstance(results, list):
        raise InputError(
            f'{path}: results must be a list of entries, but got a {type(results).__name__}'
        )
    return results


def read_packed_json(path: str | os.PathLike) -> object:
    """The content of the one JSON file at the top of an archive.

    Raises:
        InputError: there is none, or more than one.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith('.json')]
                names = [name for name in names if '/' not in name] or names
                if len(names) != 1:
                    raise InputError(
                        f'{path}: archive must hold one JSON file, but holds {len(names)}'
                    )
                unpacked = os.path.join(folder, 'results.json')
                with archive.open(names[0]) as packed, open(unpacked, 'wb') as file:
                    shutil.copyfileobj(packed, file)
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            raise InputError(f'{path}: archive cannot be unpacked: {error}') from None
        return read_json(unpacked, f'{path}: {names[0]}')


def submission_faults(results: Sequence[dict], content: dict, origin: str) -> list[str]:
    """What a server would refuse or silently not count: a line for each fault.

    Args:
        results: entries of a submission.
        content: of the annotation file.
        origin: names the submission.
    """
    videos = {video.id: video for video in parse_videos(content, 'annotation file')}
    lengths = {key: video.num_frames for key, video in videos.items()}
    categories = file_categories(content, 'annotation file')
    other = another_data_set(results, lengths)
    faults = [f'{origin}: {other}'] if other else []
    counts: Counter = Counter()
    for index, entry in enumerate(results):
        where = f'{origin}: [{index}]'
        try:
            track = check_prediction(entry, lengths, where)
        except InputError as error:
            faults.append(str(error))
            continue
        counts[entry['video_id'], entry['category_id']] += 1
        if categories and entry['category_id'] not in categories:
            faults.append(
                f'{where}: "category_id" must be one of the categories, or the entry counts '
                f'nothing, but got {entry["category_id"]}'
            )
        video = videos[entry['video_id']]
        size = [video.height, video.width]
        wrong = [t for t, rle in enumerate(track) if rle and list(rle['size']) != size]
        if wrong:
            faults.append(
                f'{where}: segmentations[{wrong[0]}] must have the size [height, width] of its '
                f'video, {size}, or the frame counts nothing'
            )
        if not any(track):
            faults.append(f'{where}: has no mask in any frame')
    most = MAX_PREDICTIONS[-1]
    faults += [
        f'{origin}: video {video}, category {category}: at most {most} entries count, '
        f'but there are {count}'
        for (video, category), count in counts.items()
        if count > most
    ]
    return faults


def submission_summary(results: Sequence[dict], content: dict) -> str:
    """How many entries a submission has, and for how many of the videos."""
    videos = {entry['video_id'] for entry in results}
    empty = len(content['videos']) - len(videos)
    without = f'; {empty} videos have none' if empty else ''
    return f'{len(results)} entries for {len(videos)} of {len(content["videos"])} videos{without}'
