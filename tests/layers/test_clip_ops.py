import pytest
import torch

from tevit_vis.layers.clip_ops import fold_frames, unfold_frames


def test_fold_then_unfold_gives_back_the_clips():
    clips = torch.arange(2 * 3 * 5).view(2, 3, 5)
    frames = fold_frames(clips)
    assert frames.shape == (6, 5)
    assert (frames[4] == clips[1, 1]).all()
    assert (unfold_frames(frames, 2) == clips).all()


def test_frames_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match='must divide the 6 folded frames, but got 4'):
        unfold_frames(torch.zeros(6, 1), 4)
