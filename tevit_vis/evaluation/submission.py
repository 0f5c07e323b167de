"""Writes, reads and checks files in the YouTube-VIS submission format."""

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

from .results import check_prediction, other_data_set_message
from .scores import MAX_PREDICTIONS


def video_entries(
    instances: VideoInstances, video_id: int, label_to_category: Sequence[int]
) -> list[dict]:
    """Returns the ``results.json`` entries of a video: one per instance, with one RLE per frame."""
    return [
        {
            'video_id': video_id,
            'score': float(score),
            'category_id': label_to_category[label],
            'segmentations': segmentations,
        }
        for label, score, segmentations in zip(
            instances.labels, instances.scores, instances.segmentations
        )
    ]


def instances_to_json(instances: VideoInstances, class_names: Sequence[str]) -> dict:
    """Returns the instances of a single video as the content of a JSON file.

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
    frame_instances: FrameInstances, class_names: Sequence[str], min_score: float = 0.0
) -> dict:
    """Returns the tracks in a frame of a stream as the content of one line of a JSON lines file.

    Tracks whose best class scores ``min_score`` or less are left out. Scores are means over the
    stream so far, and decide on the category; boxes are x1 y1 x2 y2 in pixels.
    """
    return {
        'frame': frame_instances.frame,
        **({} if frame_instances.time is None else {'time': round(frame_instances.time, 6)}),
        'tracks': [
            {
                'track': track,
                'category': class_names[scores.argmax()],
                'score': round(float(scores.max()), 5),
                'box': box.round(2).tolist(),
                'segmentation': mask,
            }
            for track, scores, box, mask in zip(
                frame_instances.tracks,
                frame_instances.class_scores,
                frame_instances.boxes.astype(float),
                frame_instances.masks,
            )
            if scores.max() > min_score
        ],
    }


def read_results(path: str | os.PathLike) -> list[dict]:
    """Reads the entries of a results file, which may be packed for upload.

    Raises:
        InputError: the file is absent or is no JSON list, or an archive does not hold exactly one
            JSON file.
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
    """Reads the one JSON file at the top of an archive.

    Raises:
        InputError: the archive holds none or more than one, or cannot be unpacked.
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
    """Returns one line for each fault that a server would refuse or silently not count.

    Args:
        results: entries of a submission.
        content: of the annotation file.
        origin: names the submission in the lines.
    """
    videos = {video.id: video for video in parse_videos(content, 'annotation file')}
    lengths = {key: video.num_frames for key, video in videos.items()}
    categories = file_categories(content, 'annotation file')
    mismatch = other_data_set_message(results, lengths)
    faults = [f'{origin}: {mismatch}'] if mismatch else []
    counts: Counter = Counter()
    for index, entry in enumerate(results):
        where = f'{origin}: [{index}]'
        try:
            masks = check_prediction(entry, lengths, where)
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
        wrong = [t for t, rle in enumerate(masks) if rle and list(rle['size']) != size]
        if wrong:
            faults.append(
                f'{where}: segmentations[{wrong[0]}] must have the size [height, width] of its '
                f'video, {size}, or the frame counts nothing'
            )
        if not any(masks):
            faults.append(f'{where}: has no mask in any frame')
    limit = MAX_PREDICTIONS[-1]
    faults += [
        f'{origin}: video {video}, category {category}: at most {limit} entries count, '
        f'but there are {count}'
        for (video, category), count in counts.items()
        if count > limit
    ]
    return faults


def submission_summary(results: Sequence[dict], content: dict) -> str:
    """Returns how many entries a submission has, and for how many of the videos.

    Example:
        >>> submission_summary([{'video_id': 1}], {'videos': [{'id': 1}, {'id': 2}]})
        '1 entries for 1 of 2 videos; 1 videos have none'
    """
    videos = {entry['video_id'] for entry in results}
    num_empty = len(content['videos']) - len(videos)
    missing = f'; {num_empty} videos have none' if num_empty else ''
    return f'{len(results)} entries for {len(videos)} of {len(content["videos"])} videos{missing}'
