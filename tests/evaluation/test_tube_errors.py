"""Errors of tubes: injected faults get their names, and repairing them what it is worth."""

import numpy as np
import pytest
from builders import annotation
from tube_cases import CAT, LENGTH, SIZE, entry, random_case, square, truth

from tevit_vis.evaluation.find_errors import find_errors
from tevit_vis.evaluation.results import parse_results
from tevit_vis.evaluation.tube_errors import ERRORS, average_precision, confusion_matrix
from tevit_vis.evaluation.ytvis_eval import evaluate
from tevit_vis.rle import decode_rle


def errors_of(ground_truth, entries):
    return find_errors(ground_truth, parse_results(entries, ground_truth.lengths, 'r.json'))


FAULTS = {
    'Right': (1, square(8)),
    'Spat': (1, square(15)),  # IoU (16 - 7) / (16 + 7)
    'Temp': (1, square(8, frames=range(3))),  # IoU 3/8, exact where it is
    'Cls': (2, square(8)),
    'Bkg': (1, square(80)),
    'Both': (2, square(15)),
}


@pytest.mark.parametrize('kind', FAULTS)
def test_a_fault_has_its_name(kind):
    category, masks = FAULTS[kind]
    errors = errors_of(truth(CAT), [entry(1, category, masks, 0.9)])
    assert [pred.kind for pred in errors.predictions] == [kind]
    near = kind in ('Right', 'Spat', 'Temp', 'Cls')
    assert errors.ground_truths[0].kind == (kind if near else 'Miss')
    assert errors.predictions[0].gt_entry == (-1 if kind == 'Bkg' else 0)
    assert errors.ground_truths[0].pred_entry == (0 if near else -1)
    gains = errors.delta_ap()
    if kind in ('Spat', 'Temp', 'Cls'):  # repaired, it finds the object
        assert errors.ap == 0
        assert gains[kind] == 1
        assert all(gains[other] == 0 for other in ERRORS if other != kind)
    elif kind == 'Right':
        assert errors.ap == 1
        assert set(gains.values()) == {0}
    else:  # taken away, it leaves an object that nothing found
        assert gains[kind] == 0
        assert gains['FalseNeg'] == (1 if category == 2 else 0)


def test_a_piece_of_a_track_is_an_error_in_time():
    """An object whose track ends after six frames, and goes on as a better one."""
    entries = [
        entry(1, 1, square(8, frames=range(6)), 0.8),
        entry(1, 1, square(8, frames=[6, 7]), 0.9),
    ]
    errors = errors_of(truth(CAT), entries)
    assert [pred.kind for pred in errors.predictions] == ['Temp', 'Right']
    assert [pred.gt_entry for pred in errors.predictions] == [0, 0]
    assert errors.ground_truths[0].kind == 'Right'
    # Repaired, it is gone: the object has been found.
    assert errors.delta_ap()['Temp'] == pytest.approx(1 - errors.ap)


def test_a_repaired_piece_does_not_find_its_object_twice():
    entries = [
        entry(1, 1, square(8), 0.5),
        entry(1, 1, square(8, frames=range(2)), 0.9),  # a piece of the cat that is found
    ]
    errors = errors_of(truth(CAT, (1, 1, square(80))), entries)
    assert [pred.kind for pred in errors.predictions] == ['Temp', 'Right']
    repaired = average_precision([(0.5, True)], num_gts=2)
    assert errors.ap + errors.delta_ap()['Temp'] == pytest.approx(repaired)


def test_doubles_cost_what_stands_above():
    entries = [
        entry(1, 1, square(8), 0.9),
        entry(1, 1, square(9), 0.8),
        entry(1, 1, square(50), 0.7),
    ]
    errors = errors_of(truth(CAT, (1, 1, square(50))), entries)
    assert [pred.kind for pred in errors.predictions] == ['Right', 'Dup', 'Right']
    gains = errors.delta_ap()
    expected = average_precision([(0.9, True), (0.8, False), (0.7, True)], 2)
    assert errors.ap == pytest.approx(expected)
    assert gains['Dup'] == gains['FalsePos'] == pytest.approx(1 - expected)


def test_swapped_identities_are_errors_in_time():
    """Two objects whose tracks change places halfway."""
    left, right = square(8), square(60)
    half = LENGTH // 2
    swapped = (
        np.concatenate([left[:half], right[half:]]),
        np.concatenate([right[:half], left[half:]]),
    )
    entries = [entry(1, 1, masks, score) for masks, score in zip(swapped, (0.9, 0.8))]
    errors = errors_of(truth((1, 1, left), (1, 1, right)), entries)
    assert [pred.kind for pred in errors.predictions] == ['Temp', 'Temp']
    assert errors.delta_ap()['Temp'] == 1
    assert errors.counts() == dict(dict.fromkeys(ERRORS, 0), Temp=2)


def test_shifted_masks_dropped_classes_and_doubled_predictions():
    objects = [(v, 1 + v % 2, square(8 + 10 * v)) for v in range(1, 7)]
    ground_truth = truth(*objects, num_videos=6)
    perfect = [entry(video, category, masks, 0.9) for video, category, masks in objects]
    assert errors_of(ground_truth, perfect).ap == 1
    shifted = [entry(v, c, np.roll(m, 7, axis=2), 0.9) for v, c, m in objects]
    dropped = [each for each in perfect if each['category_id'] == 1]
    doubled = perfect + [dict(each, score=0.95) for each in perfect]
    for entries, kind, gain in (
        (shifted, 'Spat', 1.0),
        (dropped, 'Miss', 0.5),
        (doubled, 'Dup', 0),
    ):
        errors = errors_of(ground_truth, entries)
        gains = errors.delta_ap()
        assert max(errors.counts(), key=errors.counts().get) == kind
        assert gains[kind] == pytest.approx(gain)


def test_of_two_wrong_predictions_one_repair_counts():
    entries = [entry(1, 1, square(15), 0.9), entry(1, 1, square(2), 0.8)]
    errors = errors_of(truth(CAT), entries)
    assert [pred.kind for pred in errors.predictions] == ['Spat', 'Spat']
    assert errors.delta_ap()['Spat'] == 1


def test_crowds_are_no_errors():
    crowd = annotation(1, 1, 1, square(8), iscrowd=1)
    ground_truth = truth((1, 1, square(60)))
    ground_truth.tubes[1, 1][0].crowd = True
    assert crowd['iscrowd']
    errors = errors_of(ground_truth, [entry(1, 1, square(60), 0.9), entry(1, 1, square(60), 0.8)])
    assert [pred.kind for pred in errors.predictions] == ['Ignored', 'Ignored']
    assert errors.ground_truths == []
    assert errors.ap == -1


def decoded(tube):
    return [np.zeros(SIZE, bool) if m is None else decode_rle(m).astype(bool) for m in tube.masks]


def slow_iou(p, g):
    both = sum((a & b).sum() for a, b in zip(decoded(p), decoded(g)))
    either = sum((a | b).sum() for a, b in zip(decoded(p), decoded(g)))
    return both / either if either else 0


def slow_shared_iou(p, g):
    pairs = [(a, b) for a, b in zip(decoded(p), decoded(g)) if a.any() and b.any()]
    return np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]) if pairs else 0


def slow_kind(pred, category, gts, taken, near):
    """The kind of a prediction that found nothing, and the number of the object it is about."""
    for left_out in (taken | near, taken):
        own = [n for n, (c, _) in enumerate(gts) if c == category and n not in left_out]
        own = [n for n in own if slow_iou(pred, gts[n][1]) >= 0.1]
        if own:
            n = max(own, key=lambda n: slow_iou(pred, gts[n][1]))
            return ('Temp' if slow_shared_iou(pred, gts[n][1]) >= 0.5 else 'Spat'), n
    for left_out in (taken | near, taken):
        others = [n for n, (c, _) in enumerate(gts) if c != category and n not in left_out]
        others = [n for n in others if slow_iou(pred, gts[n][1]) >= 0.5]
        if others:
            return 'Cls', max(others, key=lambda n: slow_iou(pred, gts[n][1]))
    if any(slow_iou(pred, gts[n][1]) >= 0.5 for n in taken if gts[n][0] == category):
        return 'Dup', None
    own = [n for n in taken if gts[n][0] == category and slow_iou(pred, gts[n][1]) >= 0.1]
    if own:
        n = max(own, key=lambda n: slow_iou(pred, gts[n][1]))
        return ('Temp' if slow_shared_iou(pred, gts[n][1]) >= 0.5 else 'Spat'), None
    is_near = any(slow_iou(pred, gt) >= 0.1 for _, gt in gts)
    return ('Both' if is_near else 'Bkg'), None


def slow_errors(ground_truth, entries):
    """The definitions in plain loops: {entry of a prediction: kind}."""
    tubes = parse_results(entries, ground_truth.lengths, 'r.json')
    kinds = {}
    for video in ground_truth.lengths:
        # In the metric's order: by category, then by score; matching depends on scores alone.
        preds = [(c, t) for c in (1, 2) for t in sorted(tubes.get((video, c), []), key=by_score)]
        gts = [(c, t) for c in (1, 2) for t in ground_truth.tubes.get((video, c), [])]
        taken = set()
        for category, pred in preds:
            best, found = 0.5, None
            for n, (c, gt) in enumerate(gts):
                if c == category and n not in taken and slow_iou(pred, gt) >= best:
                    best, found = slow_iou(pred, gt), n
            if found is not None:
                taken.add(found)
                kinds[pred.entry] = 'Right'
        near = set()
        for category, pred in sorted(preds, key=lambda each: by_score(each[1])):
            if pred.entry not in kinds:
                kinds[pred.entry], n = slow_kind(pred, category, gts, taken, near)
                near |= set() if n is None else {n}
    return kinds


def by_score(tube):
    return -tube.score


@pytest.mark.parametrize('seed', range(12))
def test_random_submissions(seed):
    ground_truth, entries = random_case(seed)
    errors = errors_of(ground_truth, entries)
    stats = evaluate(ground_truth, entries).stats
    assert errors.ap == pytest.approx(stats['AP50'], abs=1e-12)
    kinds = {pred.entry: pred.kind for pred in errors.predictions}
    assert kinds == slow_errors(ground_truth, entries)
    gains = errors.delta_ap()
    # Repairs help, but where the last ground truth of a class that has wrong predictions goes.
    assert all(gains[kind] >= -1e-12 for kind in (*ERRORS, 'FalsePos') if kind != 'Miss')


def test_the_confusion_matrix_counts_every_object_and_prediction():
    entries = [
        entry(1, 1, square(8), 0.9),
        entry(1, 1, square(50), 0.8),  # the dog, as a cat
        entry(1, 2, square(90), 0.7),  # nothing
        entry(1, 2, square(8), 0.1),
    ]
    errors = errors_of(truth(CAT, (1, 2, square(50)), (1, 2, square(30, y=24))), entries)
    assert confusion_matrix(errors) == {(1, 1): 1, (2, 1): 1, (-1, 2): 1, (2, -1): 1}
