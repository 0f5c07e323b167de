import numpy as np
import pytest

from tevit_vis.structures import VideoInstances


def make_instances(**changes) -> VideoInstances:
    fields = dict(
        labels=np.array([2, 0, 1]),
        scores=np.array([0.2, 0.9, 0.5], np.float32),
        boxes=np.arange(24, dtype=np.float32).reshape(3, 2, 4),
        segmentations=[[None, None], [None, None], [None, None]],
        size=(4, 6),
    )
    return VideoInstances(**{**fields, **changes})


def test_above_keeps_good_ones_best_first():
    kept = make_instances().above(0.5)
    assert kept.labels.tolist() == [0, 1]
    assert kept.scores.tolist() == pytest.approx([0.9, 0.5])
    assert kept.boxes[0, 0].tolist() == [8, 9, 10, 11]


def test_take_keeps_the_order_asked_for():
    assert make_instances().take(np.array([2, 0])).labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('labels', np.zeros(2, int), r'labels must have shape \[3\], but got \[2\]'),
        ('boxes', np.zeros((3, 2, 5)), r'boxes must have shape \[3, 2, 4\], but got \[3, 2, 5\]'),
        ('segmentations', [[None], [None, None], [None, None]], r'2 masks, but got \[1, 2\]'),
    ],
)
def test_fields_that_do_not_fit_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        make_instances(**{field: value})
