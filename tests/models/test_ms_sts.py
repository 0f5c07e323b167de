"""MS-STS VIS: SeqFormer with layers that mix frames."""

import logging

import numpy as np
import pytest
import torch
from builders import batch, from_seqformer, predict_clip, random_video

from tevit_vis.apis import inference_video
from tevit_vis.apis.build import build_model, build_without_pretraining
from tevit_vis.apis.options import TrainOptions
from tevit_vis.layers.clip_ops import ClipPadding
from tevit_vis.utils.config import load_config

FIELDS = ('queries', 'labels', 'scores', 'class_scores', 'boxes')


@pytest.mark.parametrize('num_frames', [1, 5])
def test_a_seqformer_checkpoint_gives_its_outputs_bit_for_bit(
    seqformer, ms_sts_config, tmp_path, caplog, num_frames
):
    caplog.set_level('INFO', logger='test_ms_sts')
    model = from_seqformer(seqformer, ms_sts_config, tmp_path)
    assert '0 of the checkpoint not used' in caplog.text
    assert 'stay new (not in the checkpoint): bbox_head.encoder.layers.0.mixer.' in caplog.text
    torch.manual_seed(0)
    img = torch.randn(1, num_frames, 3, 64, 96)
    for frames_per_pass in (2, 8):
        for each in (seqformer, model):
            each.test_cfg.frames_per_pass = frames_per_pass
        ours, theirs = predict_clip(model, img), predict_clip(seqformer, img)
        for name in FIELDS:
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
        assert torch.equal(ours.masks.logits, theirs.masks.logits)


def test_permuted_frames_give_permuted_boxes_and_masks(ms_sts):
    torch.manual_seed(0)
    img, order = torch.randn(1, 4, 3, 64, 96), [2, 0, 3, 1]
    found, permuted = predict_clip(ms_sts, img), predict_clip(ms_sts, img[:, order])
    assert torch.equal(found.queries, permuted.queries)
    torch.testing.assert_close(permuted.scores, found.scores, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(permuted.boxes, found.boxes[:, order], rtol=1e-4, atol=1e-2)
    wanted = found.masks.logits[:, order]
    torch.testing.assert_close(permuted.masks.logits, wanted, rtol=1e-3, atol=1e-2)


def test_frames_hear_of_each_other(ms_sts, seqformer):
    torch.manual_seed(0)
    img = torch.randn(1, 3, 3, 64, 96)
    for model, together in ((seqformer, False), (ms_sts, True)):
        with torch.inference_mode():
            sizes = [[(64, 96)] * 3]
            padding = ClipPadding.of_sizes(sizes, (64, 96), 1, torch.device('cpu'))
            outputs = [
                model.bbox_head(model.extract_feat(clip), padding, 3).memory.features[:, 0]
                for clip in (img, torch.cat([img[:, :2], -img[:, 2:]], 1))
            ]
        assert torch.equal(*outputs) != together


@pytest.mark.parametrize('length', [1, 5, 12])
def test_the_same_weights_run_any_length_and_size(ms_sts, length):
    for height, width in ((48, 80), (70, 50)):
        frames = np.random.default_rng(0).integers(0, 256, (length, height, width, 3), np.uint8)
        found = inference_video(ms_sts, frames)
        assert found.num_frames == length
        assert found.size == (height, width)
        assert np.isfinite(found.boxes).all()


def test_windows_are_stitched(ms_sts):
    ms_sts.test_cfg.windows = dict(length=3, stride=1)
    assert inference_video(ms_sts, random_video()).num_frames == 6


@pytest.mark.parametrize('counts', [[[2, 2], [1, 1]], [[0, 0], [0, 0]], [[3], [1]]])
def test_training_reaches_the_new_layers(ms_sts_config, counts):
    """Two sizes in a batch, no instance at all, one frame a clip."""
    model = build_model(ms_sts_config, '12345', TrainOptions(''), logging.getLogger())
    losses = model.train()(return_loss=True, **batch(counts))
    assert all(torch.isfinite(value) for value in losses.values())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        if 'expansion' in name and any(map(any, counts)):
            assert parameter.grad.abs().sum() > 0, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.slow
def test_the_published_number_of_parameters():
    model = build_without_pretraining(load_config('ms_sts/ms_sts_r50_joint'))
    assert sum(p.numel() for p in model.parameters()) == 50_657_613
