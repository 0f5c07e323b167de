import numpy as np
import pytest
import torch

from tevit_vis.rle import encode_masks
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.visualization.draw import DrawStyle, FrameDrawer, draw_frame, track_color
from tevit_vis.visualization.labels import place_label
from tevit_vis.visualization.video import draw_stream


def make_instances(boxes, masks):
    """Instances of one frame from boxes [N, 4] and masks [N, H, W]."""
    return VideoInstances(
        labels=np.zeros(len(boxes), int),
        scores=np.full(len(boxes), 0.75, np.float32),
        boxes=np.asarray(boxes, np.float32)[:, None],
        segmentations=[[rle] for rle in encode_masks(torch.from_numpy(masks))],
        size=masks.shape[1:],
    )


def test_neighbouring_tracks_differ_in_colour():
    colors = np.array([track_color(index) for index in range(12)])
    assert (np.abs(np.diff(colors, axis=0)).max(1) > 60).all()
    assert len({tuple(color) for color in colors}) == 12


def test_a_mask_is_tinted_and_the_input_kept():
    image = np.full((60, 80, 3), 100, np.uint8)
    masks = np.zeros((1, 60, 80), bool)
    masks[0, 30:50, 20:60] = True
    drawn = draw_frame(image, make_instances([[20, 30, 60, 50]], masks), 0, ['cat'])
    expected = 100 * 0.55 + np.array(track_color(0)) * 0.45
    assert np.abs(drawn[40, 40].astype(float) - expected).max() <= 1
    assert (drawn[58, 5] == 100).all()
    assert (image == 100).all()


@pytest.mark.parametrize('box', [[-50, -40, 300, 200], [70, 55, 79, 59], [0, 0, 1, 1]])
def test_boxes_at_and_across_the_border_draw(box):
    masks = np.ones((1, 60, 80), bool)
    drawn = draw_frame(
        np.zeros((60, 80, 3), np.uint8), make_instances([box], masks), 0, ['giant_panda']
    )
    assert drawn.shape == (60, 80, 3)


def test_an_absent_or_empty_instance_is_not_drawn():
    image = np.full((60, 80, 3), 100, np.uint8)
    masks = np.zeros((1, 60, 80), bool)
    instances = make_instances([[20, 30, 60, 50]], masks)
    assert (draw_frame(image, instances, 0, ['cat']) == image).all()
    instances.segmentations[0][0] = None
    assert (draw_frame(image, instances, 0, ['cat']) == image).all()


def frame_instances(frame):
    masks = np.zeros((1, 48, 64), bool)
    masks[0, 10:30, 10:40] = True
    return FrameInstances(
        frame=frame,
        tracks=[5],
        class_scores=np.array([[0.2, 0.7]], np.float32),
        boxes=np.array([[10, 10, 40, 30]], np.float32),
        masks=encode_masks(torch.from_numpy(masks)),
        size=(48, 64),
    )


@pytest.mark.parametrize('ending', [None, KeyboardInterrupt, InputError])
def test_what_was_drawn_of_a_stream_stays(tmp_path, ending):
    image = np.full((48, 64, 3), 100, np.uint8)

    def frames():
        for number in range(6):
            yield image, frame_instances(number)
        if ending:
            raise ending('the end')

    path = tmp_path / 'a.mp4'
    writer = VideoWriter(str(path), 10, endless=True)
    if ending is InputError:
        with pytest.raises(InputError, match='the end'):
            draw_stream(frames(), ['cat', 'dog'], writer, score_thr=0.5)
    else:
        assert draw_stream(frames(), ['cat', 'dog'], writer, score_thr=0.5) == 6
    drawn = list(open_source(path))
    assert len(drawn) == 6
    wanted = 100 * 0.55 + np.array(track_color(5)) * 0.45  # of its number, not of its place
    assert np.abs(drawn[3][25, 25].astype(float) - wanted).max() < 25
    assert (np.abs(drawn[3][44, 60].astype(float) - 100) < 8).all()


def test_a_stream_that_never_began_leaves_no_file(tmp_path):
    def frames():
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        draw_stream(frames(), ['cat'], VideoWriter(str(tmp_path / 'a.mp4'), 10, endless=True))
    assert list(tmp_path.iterdir()) == []


def two_squares(shift=0):
    masks = np.zeros((2, 60, 160), bool)
    masks[0, 20:50, 20 + shift : 60 + shift] = True
    masks[1, 22:52, 24:64] = True
    boxes = [[20 + shift, 20, 60 + shift, 50], [24, 22, 64, 52]]
    return make_instances(boxes, masks)


@pytest.mark.parametrize('seed', range(20))
def test_labels_do_not_cover_each_other(seed):
    rng = np.random.default_rng(seed)
    taken = []
    for _ in range(6):
        x, y = rng.integers(0, 200, 2).tolist()
        place = place_label((x, y, x + 40, y + 40), (60, 14), (320, 240), taken)
        left, top, right, bottom = place
        assert 0 <= left < right <= 320
        assert 0 <= top < bottom <= 240
        for other in taken:
            apart = left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
            assert apart
        taken.append(place)


def test_labels_of_a_full_frame_sit_on_their_boxes():
    taken = [(0, 0, 100, 100)]
    assert place_label((10, 40, 50, 60), (30, 12), (100, 100), taken) == (10, 28, 40, 40)


def test_only_what_is_asked_for_is_drawn():
    image = np.full((60, 160, 3), 100, np.uint8)
    instances = two_squares()
    for parts in ([], ['boxes'], ['labels'], ['ids'], ['masks'], ['trails']):
        drawn = FrameDrawer(['cat'], DrawStyle(parts)).draw(image, instances, 0)
        changed = (drawn != image).any(2)
        assert changed.any() == bool(parts)
        assert changed[47, 30] == (parts == ['masks'])  # inside a square, near its lower edge
    half = FrameDrawer(['cat'], DrawStyle(['masks'], opacity=1.0)).draw(image, instances, 0)
    assert half[35, 30].tolist() == list(track_color(0))


def test_a_trail_shows_where_a_track_has_been():
    drawer = FrameDrawer(['cat'], DrawStyle(['trails']))
    image = np.zeros((60, 160, 3), np.uint8)
    for shift in range(0, 80, 10):
        drawn = drawer.draw(image, two_squares(shift), 0, tracks=[3, 9])
    on_the_way = drawn[35, 45:105].any(1)  # from the first centre to the last
    assert on_the_way.all()
    nothing = make_instances(np.zeros((0, 4)), np.zeros((0, 60, 160), bool))
    assert not drawer.draw(image, nothing, 0).any()
    assert drawer.trails == {}


def test_blur_hides_what_is_inside_the_masks():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 160, 3), np.uint8)
    style = DrawStyle([], blur=True, side_by_side=True)
    drawn = FrameDrawer(['cat'], style).draw(image, two_squares(), 0)
    assert drawn.shape == (60, 320, 3)
    original, blurred = drawn[:, :160], drawn[:, 160:]
    assert (original == image).all()
    assert (blurred[:, 100:] == image[:, 100:]).all()
    assert blurred[25:45, 25:55].std() < 0.6 * image[25:45, 25:55].std()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(parts=['mask']), "--draw: must be of masks, .*'mask'; did you mean 'masks'"),
        (dict(opacity=2), '--opacity: must be a number from 0 to 1'),
    ],
)
def test_styles_that_cannot_be(arguments, words):
    with pytest.raises(InputError, match=words):
        DrawStyle(**arguments)
