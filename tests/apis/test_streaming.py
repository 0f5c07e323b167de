"""Videos that are looked at while they run."""

import time
from itertools import count, islice

import numpy as np
import pytest
from builders import noise_frames

from tevit_vis.apis import inference, inference_video, stream_video
from tevit_vis.mask_filters import filter_masks
from tevit_vis.tracking import join_frames
from tevit_vis.utils.errors import InputError
from tevit_vis.video import FrameSource, TimedFrame
from tevit_vis.video.arrays import FrameArray

LENGTH, STRIDE = 4, 3


@pytest.fixture(params=['tevit', 'seqformer', 'ifc'])
def model(request):
    """One of the systems with windows of 4 frames that begin every 3."""
    fixture = 'tiny_model' if request.param == 'tevit' else request.param
    model = request.getfixturevalue(fixture)
    model.test_cfg.windows.update(length=LENGTH, stride=STRIDE)
    model.test_cfg.tracker.update(min_score=0.01)
    return model


class Endless(FrameSource):
    """Frames that never end; how many were read is counted."""

    fps = 10.0
    pause = 0.0

    def __init__(self, frames):
        self.frames = frames
        self.num_read = 0

    def timed_frames(self):
        for number in count():
            self.num_read += 1
            time.sleep(self.pause)
            yield TimedFrame(self.frames[number % len(self.frames)], number / self.fps)


def stream(model, source, monkeypatch):
    monkeypatch.setattr(inference, 'open_source', lambda video: video)
    monkeypatch.setattr(inference, 'FRAMES_AHEAD', 1)
    return stream_video(model, source)


def test_a_stream_finds_what_the_whole_video_does(model, monkeypatch):
    frames = noise_frames(9, 48, 80)
    found = list(stream(model, FrameArray(frames), monkeypatch))
    assert all((image == frame).all() for (image, _), frame in zip(found, frames))
    assert [instances.frame for _, instances in found] == list(range(9))
    assert sum(len(instances.tracks) for _, instances in found) > 9
    joined = join_frames([instances for _, instances in found], min_score=0.01)
    joined = filter_masks(
        joined,
        model.test_cfg.get('drop_empty', False),
        model.test_cfg.get('min_mask_score', 0.0),
    )
    whole = inference_video(model, FrameArray(frames))
    assert len(whole)
    assert joined.segmentations == whole.segmentations
    assert joined.labels.tolist() == whole.labels.tolist()
    np.testing.assert_array_equal(joined.scores, whole.scores)
    np.testing.assert_array_equal(joined.boxes, whole.boxes)


def test_a_frame_comes_out_with_a_known_delay(model, monkeypatch):
    source = Endless(noise_frames(5, 48, 80))
    delays = []
    for _, found in islice(stream(model, source, monkeypatch), 14):
        delays.append(source.num_read - 1 - found.frame)
    # A window begins at 3; until its last frame, 6, is read, nothing is known to be over.
    assert delays == [6, 5, 4] * 4 + [6, 5]
    assert max(delays) == LENGTH + STRIDE - 1


def test_one_window_says_what_the_whole_video_does(tiny_model):
    """TeViT: every query under every class; its masks become maps (tests/test_masks.py)."""
    frames = noise_frames(3, 48, 80)
    tiny_model.test_cfg.windows.update(length=3, stride=1)
    tiny_model.test_cfg.tracker.update(min_score=0.0)
    windowed = inference_video(tiny_model, frames)
    tiny_model.test_cfg.windows.length = None
    tiny_model.test_cfg.rcnn.max_per_img = 40 * 7
    whole = inference_video(tiny_model, frames)
    ours, theirs = (
        side.select(np.lexsort((side.scores, side.labels))) for side in (windowed, whole)
    )
    assert ours.labels.tolist() == theirs.labels.tolist()
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-5)
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-3)


def test_models_without_windows_cannot_stream(seqformer):
    with pytest.raises(InputError, match=r'windows.length: must be the frames of a window'):
        next(stream_video(seqformer, noise_frames(2, 48, 80)))
    source = Endless(noise_frames(2, 48, 80))
    source.is_live = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, 'open_source', lambda video: video)
        with pytest.raises(InputError, match=r'windows.length: must be the frames of a window'):
            inference_video(seqformer, source)


def test_frames_without_an_object_come_out_all_the_same(ifc):
    ifc.test_cfg.windows.update(length=2, stride=2)
    ifc.bbox_head.class_branch[-1].bias.data[-1] = 1e3
    found = [instances for _, instances in stream_video(ifc, noise_frames(11, 32, 48))]
    assert [instances.frame for instances in found] == list(range(11))
    assert not any(instances.tracks for instances in found)
    assert len(join_frames(found, 0.0)) == 0


def test_a_camera_that_is_too_fast_is_seen_now_and_then(ifc, monkeypatch):
    source = Endless(noise_frames(5, 48, 80))
    source.is_live, source.pause = True, 1e-3
    for _, found in islice(stream(ifc, source, monkeypatch), 5):
        assert found.frame < 5
    assert source.num_read > 5 + LENGTH
