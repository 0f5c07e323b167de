"""How frames pass through a model: together, ahead, compiled."""

import shutil

import numpy as np
import pytest
import torch
from builders import noise_frames

from tevit_vis.apis import inference, inference_video, init_model
from tevit_vis.apis.inference import frames_ahead
from tevit_vis.utils.errors import InputError


def record(model, monkeypatch):
    """The numbers of frames that extract_feat is called with."""
    counts, extract = [], model.extract_feat

    def recorded(img):
        counts.append(img.shape[1])
        return extract(img)

    monkeypatch.setattr(model, 'extract_feat', recorded)
    return counts


@pytest.mark.parametrize('system', ['seqformer', 'ifc'])
def test_the_new_frames_of_a_window_pass_together_and_once(system, request, monkeypatch):
    model = request.getfixturevalue(system)
    model.test_cfg.windows.update(length=4, stride=3)
    model.test_cfg.tracker.update(min_score=0.0)
    counts = record(model, monkeypatch)
    inference_video(model, noise_frames(9, 48, 80))
    assert counts == [4, 3, 2]  # windows 0-3, 3-6 and, moved back, 5-8


def test_a_backbone_that_mixes_frames_sees_whole_windows(tiny_model, monkeypatch):
    tiny_model.test_cfg.windows.update(length=4, stride=3)
    tiny_model.test_cfg.tracker.update(min_score=0.0)
    counts = record(tiny_model, monkeypatch)
    inference_video(tiny_model, noise_frames(9, 48, 80))
    assert counts == [4, 4, 4]


def test_frames_ahead_follow_the_free_memory(monkeypatch):
    monkeypatch.setattr(inference, 'how_many_fit', lambda *args, **kwargs: kwargs['most'])
    assert frames_ahead() == inference.FRAMES_AHEAD
    monkeypatch.undo()
    monkeypatch.setattr('tevit_vis.utils.devices.free_memory', lambda _: 1 << 30)
    assert frames_ahead() == 5


def test_parts_are_filled_to_one_size_for_compiled_kernels(seqformer, monkeypatch):
    frames = noise_frames(5, 48, 80)
    seqformer.test_cfg.frames_per_pass = 2
    expected = inference_video(seqformer, frames)
    counts, forward = [], seqformer.backbone.forward
    monkeypatch.setattr(
        seqformer.backbone, 'forward', lambda img: counts.append(len(img)) or forward(img)
    )
    seqformer.with_compiled_parts = True
    found = inference_video(seqformer, frames)
    assert counts == [2, 2, 2]
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert found.segmentations == expected.segmentations


@pytest.mark.slow
@pytest.mark.parametrize('system', ['tevit', 'seqformer'])
def test_compiled_models_find_what_others_do(system, tiny_config, seqformer_config):
    config = tiny_config if system == 'tevit' else seqformer_config
    frames = noise_frames(5, 48, 80)
    found = []
    for compiled in (False, True):
        torch.manual_seed(3)
        model = init_model(config, device='cpu', compile=compiled)
        found.append(inference_video(model, frames))
    for side in found:
        assert len(side) > 0
    np.testing.assert_allclose(found[1].scores, found[0].scores, rtol=1e-3)


def test_compile_without_a_compiler_is_refused(tiny_config, monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    with pytest.raises(InputError, match='compile: needs a C\\+\\+ compiler'):
        init_model(tiny_config, device='cpu', compile=True)


@pytest.mark.parametrize(('amp', 'words'), [('fp16', 'fp16 needs a GPU'), ('x', 'amp: must be')])
def test_a_precision_that_cannot_be_is_refused(tiny_config, amp, words):
    with pytest.raises(InputError, match=words):
        init_model(tiny_config, device='cpu', amp=amp)


def test_mmdets_entry_for_images_says_where_clips_go(tiny_model):
    from mmdet.apis import inference_detector

    with pytest.raises(NotImplementedError, match='tevit_vis.apis.inference_video'):
        inference_detector(tiny_model, noise_frames(1, 48, 80)[0])
