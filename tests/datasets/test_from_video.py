import json

import cv2
import pytest
from conftest import noise_frames

from tevit_vis.datasets.from_video import CutClip, cut_clips
from tevit_vis.utils.errors import InputError
from tevit_vis.video_io import VideoWriter


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'a.mp4'
    with VideoWriter(str(path), 5) as writer:
        for frame in noise_frames(9, 48, 80):
            writer.write(frame)
    return str(path)


def test_clips_are_cut_at_their_frames(video, tmp_path):
    clips = [CutClip('one', 0, 3, 2), CutClip('two', 4, 2, 4)]
    annotations, images = cut_clips(video, clips, width=40, folder=tmp_path / 'data')
    content = json.loads(annotations.read_text())
    assert [v['file_names'][-1] for v in content['videos']] == ['one/00002.jpg', 'two/00001.jpg']
    assert [(v['width'], v['height']) for v in content['videos']] == [(40, 24), (40, 24)]
    same = [cv2.imread(str(images / name)) for name in ('one/00002.jpg', 'two/00000.jpg')]
    assert same[0].shape == (24, 40, 3)
    assert (same[0] == same[1]).all()  # both are frame 4


def test_a_video_that_is_too_short_is_named(video, tmp_path):
    with pytest.raises(InputError, match='clips need frame 12, but it has only 9'):
        cut_clips(video, [CutClip('one', 8, 2, 4)], width=40, folder=tmp_path / 'data')
