"""HOTA, IDF1, switches, fragmentations: against TrackEval's numbers and slow references."""

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from builders import GOLDENS

from tevit_vis.evaluation.tracking_scores import (
    ALPHAS,
    FrameOverlaps,
    count_switches,
    score_tracking,
    sum_scores,
)

GOLDEN = json.loads((GOLDENS / 'evaluation' / 'tracking.json').read_text())


def frames_of(rows):
    return [
        FrameOverlaps(
            np.array(gts, int),
            np.array(preds, int),
            np.array(ious, float).reshape(len(gts), len(preds)),
        )
        for gts, preds, ious in rows
    ]


def test_numbers_are_those_of_trackeval():
    videos = []
    for case in GOLDEN['cases']:
        scores = score_tracking(frames_of(case['frames']), case['num_gts'], case['num_preds'])
        assert scores.report() == pytest.approx(case['expected'], abs=1e-9)
        videos.append(scores)
    assert sum_scores(videos).report() == pytest.approx(GOLDEN['total'], abs=1e-9)
    assert max(case['expected']['id_switches'] for case in GOLDEN['cases']) > 1


# Of TrackEval 1.3.0, with the IoU of boxes; 39.14 and 39.78 HOTA are also in motmetrics' README.
TUD = {
    'TUD-Campus': {
        'HOTA': 0.3913974378451139,
        'DetA': 0.418047030142763,
        'AssA': 0.36912068120832836,
        'LocA': 0.770052227022172,
        'IDF1': 0.5576592082616179,
        'id_switches': 7,
        'fragmentations': 7,
    },
    'TUD-Stadtmitte': {
        'HOTA': 0.3978490169927877,
        'DetA': 0.3922675723693166,
        'AssA': 0.4088407518112996,
        'LocA': 0.737521177178062,
        'IDF1': 0.6446194225721785,
        'id_switches': 7,
        'fragmentations': 6,
    },
}


def box_ious(first, second):
    """IoUs [N, M] of boxes x y width height."""
    starts = np.maximum(first[:, None, :2], second[:, :2])
    ends = np.minimum(first[:, None, :2] + first[:, None, 2:], second[:, :2] + second[:, 2:])
    both = np.clip(ends - starts, 0, None).prod(-1)
    return both / (first[:, 2:].prod(1)[:, None] + second[:, 2:].prod(1) - both)


@pytest.mark.parametrize('name', TUD)
def test_real_tracks_of_motmetrics(name):
    package = importlib.util.find_spec('motmetrics')
    if package is None:
        pytest.skip('motmetrics, which has the files, is not installed')
    folder = Path(package.origin).parent / 'data' / name
    tracks = [np.loadtxt(folder / file, delimiter=',') for file in ('gt.txt', 'test.txt')]
    numbers = [np.unique(rows[:, 1]) for rows in tracks]
    frames = []
    for t in range(1, int(max(rows[:, 0].max() for rows in tracks)) + 1):
        now = [rows[rows[:, 0] == t] for rows in tracks]
        gts, preds = (np.searchsorted(ids, rows[:, 1]) for ids, rows in zip(numbers, now))
        frames.append(FrameOverlaps(gts, preds, box_ious(now[0][:, 2:6], now[1][:, 2:6])))
    assert score_tracking(frames, *map(len, numbers)).report() == pytest.approx(TUD[name], abs=1e-9)


@pytest.mark.filterwarnings('ignore')
def test_trackeval_itself_says_the_same():
    """Runs where TrackEval is installed; it wants opencv-python, which would replace ours."""
    metrics = pytest.importorskip('trackeval.metrics')
    rng = np.random.default_rng(11)
    for _ in range(10):
        num_gts, num_preds = rng.integers(1, 6, 2)
        frames = random_frames(rng, num_gts, num_preds, 9)
        data = {
            'num_timesteps': len(frames),
            'num_gt_ids': num_gts,
            'num_tracker_ids': num_preds,
            'gt_ids': [frame.gts for frame in frames],
            'tracker_ids': [frame.preds for frame in frames],
            'similarity_scores': [frame.ious for frame in frames],
            'num_gt_dets': sum(len(frame.gts) for frame in frames),
            'num_tracker_dets': sum(len(frame.preds) for frame in frames),
        }
        hota = metrics.HOTA().eval_sequence(data)
        identity = metrics.Identity({'PRINT_CONFIG': False}).eval_sequence(data)
        clear = metrics.CLEAR({'PRINT_CONFIG': False}).eval_sequence(data)
        expected = {name: hota[name].mean() for name in ('HOTA', 'DetA', 'AssA', 'LocA')}
        expected |= {'IDF1': identity['IDF1'], 'id_switches': clear['IDSW'],
                     'fragmentations': clear['Frag']}  # fmt: skip
        scores = score_tracking(frames, num_gts, num_preds).report()
        assert scores == pytest.approx(expected, abs=1e-9)


def random_frames(rng, num_gts, num_preds, num_frames):
    frames = []
    for _ in range(num_frames):
        gts = np.flatnonzero(rng.random(num_gts) < 0.8)
        preds = np.flatnonzero(rng.random(num_preds) < 0.8)
        frames.append(FrameOverlaps(gts, preds, rng.random((len(gts), len(preds)))))
    return frames


def slow_pairings(rows, columns):
    """All ways to pair rows with columns, as lists of (row, column)."""
    if rows <= columns:
        for chosen in itertools.permutations(range(columns), rows):
            yield list(enumerate(chosen))
    else:
        for chosen in itertools.permutations(range(rows), columns):
            yield [(row, column) for column, row in enumerate(chosen)]


def slow_hota(frames, num_gts, num_preds):
    """HOTA written from the paper's formulas, by trying all pairings."""
    tracks = {
        (kind, n): [f for f, frame in enumerate(frames) if n in getattr(frame, kind)]
        for kind, count in (('gts', num_gts), ('preds', num_preds))
        for n in range(count)
    }
    potential = np.zeros((num_gts, num_preds))
    for frame in frames:
        for a, g in enumerate(frame.gts):
            for b, p in enumerate(frame.preds):
                rest = frame.ious[a].sum() + frame.ious[:, b].sum() - frame.ious[a, b]
                potential[g, p] += frame.ious[a, b] / rest if rest > 0 else 0
    total = 0.0
    for alpha in ALPHAS:
        matched = []
        for frame in frames:

            def value(pairs, frame=frame):
                result = 0.0
                for a, b in pairs:
                    g, p = frame.gts[a], frame.preds[b]
                    union = len(tracks['gts', g]) + len(tracks['preds', p]) - potential[g, p]
                    result += potential[g, p] / union * frame.ious[a, b]
                return result

            best = max(slow_pairings(len(frame.gts), len(frame.preds)), key=value)
            matched += [
                (int(frame.gts[a]), int(frame.preds[b]))
                for a, b in best
                if frame.ious[a, b] >= alpha
            ]
        masks = sum(len(f.gts) + len(f.preds) for f in frames) - len(matched)
        association = 0.0
        for g, p in matched:
            both = matched.count((g, p))
            association += both / (len(tracks['gts', g]) + len(tracks['preds', p]) - both)
        total += np.sqrt(association / masks)
    return total / len(ALPHAS)


def slow_idf1(frames, num_gts, num_preds):
    best = 0
    for pairs in slow_pairings(num_gts, num_preds):
        matches = 0
        for frame in frames:
            for g, p in pairs:
                if g in frame.gts and p in frame.preds:
                    a, b = frame.gts.tolist().index(g), frame.preds.tolist().index(p)
                    matches += frame.ious[a, b] >= 0.5
        best = max(best, matches)
    return 2 * best / sum(len(f.gts) + len(f.preds) for f in frames)


def test_random_videos_score_as_the_papers_say():
    rng = np.random.default_rng(1)
    for _ in range(40):
        num_gts, num_preds = rng.integers(1, 4, 2).tolist()
        frames = random_frames(rng, num_gts, num_preds, 5)
        if not any(len(frame.gts) + len(frame.preds) for frame in frames):
            continue
        scores = score_tracking(frames, num_gts, num_preds)
        assert scores.hota == pytest.approx(slow_hota(frames, num_gts, num_preds), abs=1e-9)
        assert scores.idf1 == pytest.approx(slow_idf1(frames, num_gts, num_preds), abs=1e-9)


def followed_by(*tracks):
    """One object, matched by the given track in each frame; None where nothing is found."""
    frames = []
    for track in tracks:
        preds = np.array([] if track is None else [track], int)
        frames.append(FrameOverlaps(np.array([0]), preds, np.full((1, len(preds)), 0.9)))
    return frames


@pytest.mark.parametrize(
    ('tracks', 'switches', 'fragmentations'),
    [
        ((0, 0, 0), 0, 0),
        ((0, 1, 1, 0), 2, 0),
        ((0, None, None, 1), 1, 0),  # frames without any prediction end nothing (TrackEval)
        ((None, 0, 0), 0, 0),
        ((), 0, 0),
    ],
)
def test_switches_by_hand(tracks, switches, fragmentations):
    assert count_switches(followed_by(*tracks), 1) == (switches, fragmentations)


def test_a_frame_prefers_the_tracks_of_the_frame_before():
    frames = followed_by(0, 0, 0)
    frames[1] = FrameOverlaps(np.array([0]), np.array([0, 1]), np.array([[0.6, 0.9]]))
    assert count_switches(frames, 1) == (0, 0)
    assert count_switches([frames[1], *frames], 1) == (1, 0)  # at first the better one is taken


def test_a_gap_with_other_predictions_is_a_fragmentation():
    frames = followed_by(0, 0, 0)
    frames[1] = FrameOverlaps(np.array([0]), np.array([1]), np.array([[0.2]]))
    assert count_switches(frames, 1) == (0, 1)


def test_a_switch_halfway_halves_the_association():
    scores = score_tracking(followed_by(*[0] * 6, *[1] * 6), 1, 2)
    at_once = slice(0, 17)  # alphas up to .85, where IoU .9 matches
    assert np.allclose(scores.association[at_once] / 12, 0.5)
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.det_a == pytest.approx(18 / 19)
    assert scores.switches == 1


def test_nothing_at_all():
    empty = score_tracking([], 0, 0)
    assert empty.report()['HOTA'] == 0
    assert sum_scores([]).num_gts == 0
