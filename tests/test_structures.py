import numpy as np
import pytest
import torch
from PIL import Image

from tevit_vis.geometry import FrameGeometry
from tevit_vis.rle import encode_array
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.errors import InputError


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
    kept = make_instances().filter_by_score(0.5)
    assert kept.labels.tolist() == [0, 1]
    assert kept.scores.tolist() == pytest.approx([0.9, 0.5])
    assert kept.boxes[0, 0].tolist() == [8, 9, 10, 11]


def test_take_keeps_the_order_asked_for():
    assert make_instances().select(np.array([2, 0])).labels.tolist() == [1, 2]


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


def geometry(**changes):
    sizes = dict(original=(360, 640), resized=(90, 160), padded=(96, 160), scale=(0.25, 0.25))
    return FrameGeometry(**{**sizes, **changes})


def test_boxes_go_back_to_the_frame():
    boxes = torch.tensor([[40.0, 9.0, 160.0, 90.0]])
    assert geometry().boxes_to_frame(boxes).tolist() == [[160, 36, 640, 360]]
    uneven = geometry(resized=(90, 80), padded=(96, 96), scale=(0.125, 0.25))
    assert uneven.boxes_to_frame(boxes).tolist() == [[320, 36, 1280, 360]]
    shares = torch.tensor([[0.25, 0.1, 1.0, 1.0]])
    expected = torch.tensor([[160.0, 36, 640, 360]])
    torch.testing.assert_close(geometry().relative_boxes_to_frame(shares), expected)
    torch.testing.assert_close(uneven.relative_boxes_to_frame(shares), expected)


@pytest.mark.parametrize(
    ('padded', 'stride', 'cells', 'kept'),
    [
        ((96, 160), 8, (12, 20), (12, 20)),  # the last cell holds two rows of the image
        ((96, 160), 4, (24, 40), (23, 40)),
        ((128, 192), 8, (16, 24), (12, 20)),
        ((90, 160), 8, (11, 20), (11, 20)),  # nothing padded: whatever the network made of it
        ((90, 192), 32, (2, 6), (2, 5)),
    ],
)
def test_cells_of_padding_are_cut_off(padded, stride, cells, kept):
    maps = torch.arange(cells[0] * cells[1]).view(1, *cells)
    found = geometry(padded=padded).crop_to_image(maps, stride)
    assert torch.equal(found, maps[:, : kept[0], : kept[1]])


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(padded=(80, 160)), 'padded height must be at least the 90'),
        (dict(resized=(90, 100), padded=(96, 128)), 'the resized width must be the 640 .* crop'),
        (dict(scale=(0.25, 0.5)), 'the resized height must be'),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        geometry(**changes)


def test_frames_of_a_clip_share_a_geometry():
    meta = dict(
        ori_shape=(360, 640, 3),
        img_shape=(90, 160, 3),
        pad_shape=(96, 160, 3),
        scale_factor=np.full(4, 0.25, np.float32),
        flip=False,
    )
    assert FrameGeometry.of_clip([meta, meta]) == geometry()
    with pytest.raises(ValueError, match='must share a geometry'):
        FrameGeometry.of_clip([meta, dict(meta, pad_shape=(128, 160, 3))])
    with pytest.raises(ValueError, match='must not be flipped'):
        FrameGeometry.of_clip([dict(meta, flip=True)])


def test_instances_write_themselves(tmp_path):
    mask = encode_array(np.eye(4, 6, dtype=bool))
    instances = make_instances(segmentations=[[None, None], [mask, None], [None, mask]])
    assert [instances.masks(t).sum((1, 2)).tolist() for t in (0, 1)] == [[0, 4, 0], [0, 0, 4]]
    names = ['a', 'b', 'c']
    assert instances.to_json(names)['instances'][1]['category'] == 'a'
    images = [np.full((4, 6, 3), 7, np.uint8)] * 2
    instances.to_files(
        names, images, masks=str(tmp_path / 'masks'), tables={'csv': str(tmp_path / 'a.csv')},
        cvat=str(tmp_path / 'a.xml'), crops=str(tmp_path / 'crops'), score_thr=0.3,
    )  # fmt: skip
    assert np.array(Image.open(tmp_path / 'masks/00000.png')).max() == 2
    assert len((tmp_path / 'a.csv').read_text().splitlines()) == 3
    assert sorted(p.name for p in (tmp_path / 'crops').iterdir()) == ['001_a', '002_b']
    assert (tmp_path / 'a.xml').read_text().count('<track') == 2
    with pytest.raises(InputError, match='crops: need the images'):
        instances.to_files(names, crops=str(tmp_path / 'other'))
