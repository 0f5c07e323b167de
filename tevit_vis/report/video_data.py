"""What the player needs of one video: masks, what became of each track, and where errors are."""

from __future__ import annotations

from typing import Any

from tevit_vis.annotated_videos import Video
from tevit_vis.evaluation.analysis import MIN_SCORE
from tevit_vis.evaluation.timelines import Timeline
from tevit_vis.evaluation.tube_errors import (
    ERRORS,
    IGNORED,
    RIGHT,
    GroundTruthOutcome,
    PredictionOutcome,
)
from tevit_vis.evaluation.tubes import MaskTube

from .runs import DataSet, Run

MAX_TRACKS = 50  # predictions of a video that are shown, the best ones


class OutcomesOfRun:
    """What became of all tracks of a run, by video.

    Args:
        run: with or without analysis.
    """

    def __init__(self, run: Run) -> None:
        self.name = run.name
        self.tubes = run.by_video()
        self.preds: dict[int, PredictionOutcome] = {}  # by entry
        self.gts: dict[int, GroundTruthOutcome] = {}
        self.timelines: dict[int, Timeline] = {}
        self.min_score = MIN_SCORE
        if run.analysis is not None:
            self.min_score = run.analysis.min_score
            self.preds = {each.entry: each for each in run.analysis.errors.predictions}
            self.gts = {each.entry: each for each in run.analysis.errors.ground_truths}
            self.timelines = {
                line.entry: line for lines in run.analysis.timelines.values() for line in lines
            }


def video_data(data_set: DataSet, video: Video, runs: list[OutcomesOfRun]) -> dict[str, Any]:
    """Returns the data of one video as the content of a JSON file.

    Tracks are numbered: ground truth as in the annotation file, predictions as in the results
    file and in drawn videos, both from 0 in each video. Masks are the text of their RLE, or a
    triple with height and width before it where their size is not that of the video.

    Args:
        data_set: of the video.
        video: to show.
        runs: submissions.
    """
    truth: list[tuple[int, MaskTube]] = []
    if data_set.ground_truth is not None:
        truth = [
            (category, tube)
            for category in data_set.categories
            for tube in data_set.ground_truth.tubes.get((video.id, category), ())
        ]
        truth.sort(key=lambda pair: pair[1].entry)
    return {
        'id': str(video.id),  # JavaScript rounds numbers above 2**53
        'name': video.name,
        'width': video.width,
        'height': video.height,
        'length': video.num_frames,
        'truth': [
            {
                'number': number,
                'category': data_set.category_name(category),
                'crowd': tube.crowd,
                'masks': _mask_texts(tube, video),
            }
            for number, (category, tube) in enumerate(truth)
        ],
        'runs': [_run_data(data_set, video, truth, run) for run in runs],
    }


def _run_data(
    data_set: DataSet, video: Video, truth: list[tuple[int, MaskTube]], run: OutcomesOfRun
) -> dict[str, Any]:
    """Returns the predictions of a run for a video, and what became of the ground truth."""
    all_preds = run.tubes.get(video.id, [])
    number_of = {tube.entry: number for number, (_, tube) in enumerate(all_preds)}
    gt_number_of = {tube.entry: number for number, (_, tube) in enumerate(truth)}
    shown = sorted(all_preds, key=lambda pair: -pair[1].score)[:MAX_TRACKS]
    tracks = []
    for category, tube in shown:
        outcome = run.preds.get(tube.entry)
        track = {
            'number': number_of[tube.entry],
            'category': data_set.category_name(category),
            'score': round(tube.score, 4),
            'masks': _mask_texts(tube, video),
        }
        if outcome is not None:
            track['kind'] = outcome.kind
            track['about'] = gt_number_of.get(outcome.gt_entry, -1)
            track['iou'] = round(outcome.iou, 3)
        tracks.append(track)
    objects = [
        _object_data(run.gts[tube.entry], run.timelines[tube.entry], number_of)
        if tube.entry in run.gts
        else None  # a crowd
        for _, tube in truth
    ]
    return {
        'tracks': tracks,
        'hidden': len(all_preds) - len(shown),
        'objects': objects,
        'events': _events(truth, shown, run, number_of),
    }


def _object_data(
    outcome: GroundTruthOutcome, timeline: Timeline, number_of: dict[int, int]
) -> dict[str, Any]:
    """Returns what became of a ground truth."""
    return {
        'kind': outcome.kind,
        'about': number_of.get(outcome.pred_entry, -1),
        'iou': round(outcome.iou, 3),
        'ious': timeline.ious,
        'matches': [number_of.get(entry, -1) for entry in timeline.matches],
        'switches': timeline.switches,
    }


def _events(
    truth: list[tuple[int, MaskTube]],
    preds: list[tuple[int, MaskTube]],
    run: OutcomesOfRun,
    number_of: dict[int, int],
) -> list[dict[str, Any]]:
    """Returns the errors of a video in order of time, for the jump from one to the next."""
    events = []
    for number, (_, tube) in enumerate(truth):
        if tube.entry not in run.gts:
            continue
        line = run.timelines[tube.entry]
        for t in line.switches:
            to = number_of[line.matches[t]]
            text = f'object {number} goes on as track {to}'
            events.append({'frame': t, 'kind': 'switch', 'text': text, 'object': number})
        for t in line.losses:
            text = f'object {number} is no longer followed'
            events.append({'frame': t, 'kind': 'lost', 'text': text, 'object': number})
        if run.gts[tube.entry].kind == 'Miss' and tube.areas.any():
            text = f'object {number}: {ERRORS["Miss"]}'
            first = int((tube.areas > 0).argmax())
            events.append({'frame': first, 'kind': 'Miss', 'text': text, 'object': number})
    for _, tube in preds:
        outcome = run.preds.get(tube.entry)
        is_wrong = outcome is not None and outcome.kind not in (RIGHT, IGNORED)
        if outcome is not None and is_wrong and tube.score >= run.min_score and tube.areas.any():
            number = number_of[tube.entry]
            text = f'track {number}: {ERRORS[outcome.kind]}'
            first = int((tube.areas > 0).argmax())
            events.append({'frame': first, 'kind': outcome.kind, 'text': text, 'track': number})
    return sorted(events, key=lambda event: event['frame'])


def _mask_texts(tube: MaskTube, video: Video) -> list[object]:
    """Returns the masks of a tube for the page: each None, its text, or height, width and text."""
    texts: list[object] = []
    for mask, area in zip(tube.masks, tube.areas):
        if mask is None or not area:
            texts.append(None)
            continue
        height, width = mask['size']
        is_usual = (height, width) == (video.height, video.width)
        texts.append(mask['counts'] if is_usual else [height, width, mask['counts']])
    return texts
