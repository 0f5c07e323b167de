import numpy as np
import pytest
import torch

from tevit_vis.rle import encode_masks
from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.visualization.draw import draw_frame, track_color
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
