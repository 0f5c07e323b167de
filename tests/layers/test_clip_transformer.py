"""Encoder and decoder: frames apart where they should be, padding without influence, room for
parts that mix time.
"""

import pytest
import torch
from mmcv.cnn.bricks.registry import ATTENTION
from torch import nn

from tevit_vis.layers.clip_decoder import ClipDecoder, refine_boxes
from tevit_vis.layers.clip_ops import ClipPadding
from tevit_vis.layers.deform_encoder import (
    DeformEncoder,
    LevelTokenizer,
    cell_references,
    valid_ratio,
)

CHANNELS, FRAMES = 8, 3
SIZES = [(8, 12), (4, 6)]  # of a network input of 64x96 at strides 8 and 16
ATTENTION_CFG = dict(type='DeformAttention', num_heads=2, num_levels=2, num_points=3)


@ATTENTION.register_module()
class FrameMean(nn.Module):
    """For tests: the mean over all frames, as a mixer of the encoder or of box queries."""

    def __init__(self, embed_dims):
        super().__init__()
        assert embed_dims == CHANNELS

    def forward(self, x, padding=None, shapes=None):
        assert padding is None or padding.shape == x.shape[:3]
        assert shapes is None or list(shapes) == SIZES
        return x.mean(1, keepdim=True).expand_as(x)


def build(encoder_mixer=None, box_mixer=None):
    torch.manual_seed(0)
    common = dict(
        embed_dims=CHANNELS, feedforward_channels=12, dropout=0.0, attention=ATTENTION_CFG
    )
    tokens = LevelTokenizer(CHANNELS, 2)
    encoder = DeformEncoder(num_layers=2, mixer=encoder_mixer, **common)
    decoder = ClipDecoder(num_layers=2, num_queries=5, num_heads=2, box_mixer=box_mixer, **common)
    for part in (tokens, encoder, decoder):
        part.init_weights()
        for parameter in part.parameters():
            nn.init.normal_(parameter, 0.0 if parameter.dim() > 1 else 0.1, 0.3)
    return tokens.eval(), encoder.eval(), decoder.eval()


def draw_levels(num_clips=2, num_frames=FRAMES):
    torch.manual_seed(1)
    return [torch.randn(num_clips, num_frames, CHANNELS, *size) for size in SIZES]


def no_padding(num_clips=2, num_frames=FRAMES):
    return described(torch.zeros(num_clips, num_frames, 64, 96, dtype=torch.bool))


def described(mask):
    return ClipPadding(mask, bool(mask.any()), bool((mask == mask[:, :1]).all()))


@torch.inference_mode()
def test_permuting_frames_permutes_features_and_boxes_and_leaves_instances():
    tokens, encoder, decoder = build()
    order = [2, 0, 1]
    levels = draw_levels()
    memory = encoder(tokens(levels, no_padding()), FRAMES)
    permuted = encoder(tokens([level[:, order] for level in levels], no_padding()), FRAMES)
    torch.testing.assert_close(permuted.features, memory.features[:, order])
    for ours, theirs in zip(decoder(permuted), decoder(memory)):
        torch.testing.assert_close(ours.boxes, theirs.boxes[:, order])
        torch.testing.assert_close(ours.instances, theirs.instances, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_encoding_some_frames_at_a_time_changes_nothing():
    tokens, encoder, _ = build()
    clip = tokens(draw_levels(), no_padding())
    whole = encoder(clip, FRAMES).features
    for frames_per_pass in (1, 2, 9):
        torch.testing.assert_close(encoder(clip, frames_per_pass).features, whole)


@torch.inference_mode()
def test_a_mixer_sees_all_frames_at_once():
    tokens, encoder, _ = build(encoder_mixer=dict(type='FrameMean'))
    levels = draw_levels()
    before = encoder(tokens(levels, no_padding()), frames_per_pass=1).features
    levels[0][:, 2] += 1
    after = encoder(tokens(levels, no_padding()), frames_per_pass=1).features
    assert not torch.allclose(before[:, 0], after[:, 0])


@torch.inference_mode()
def test_a_box_mixer_joins_the_boxes_of_frames():
    levels = draw_levels()
    for box_mixer, joined in ((None, False), (dict(type='FrameMean'), True)):
        tokens, encoder, decoder = build(box_mixer=box_mixer)
        memory = encoder(tokens(levels, no_padding()), FRAMES)
        before = decoder(memory)[-1].boxes
        memory.features[:, 2] += 1
        after = decoder(memory)[-1].boxes
        assert torch.allclose(before[:, 0], after[:, 0]) != joined
        assert not torch.allclose(before[:, 2], after[:, 2])


@torch.inference_mode()
@pytest.mark.parametrize('alike', [True, False])
def test_padded_pixels_have_no_influence(alike):
    tokens, encoder, decoder = build()
    padding = no_padding().mask
    padding[1, :, :, 64:] = True  # the second clip is narrower,
    if not alike:
        padding[1, 2, 32:] = True  # its last frame also lower
    results = []
    for value in (0.0, 50.0):
        levels = draw_levels()
        for level, stride in zip(levels, (8, 16)):
            mask = padding[:, :, ::stride, ::stride, None].permute(0, 1, 4, 2, 3)
            level.masked_fill_(mask, value)
        memory = encoder(tokens(levels, described(padding)), FRAMES)
        results.append((memory, decoder(memory)[-1]))
    (first, ours), (second, theirs) = results
    kept = ~first.padding
    assert not kept.all()
    torch.testing.assert_close(first.features[kept], second.features[kept])
    torch.testing.assert_close(ours.boxes, theirs.boxes)
    torch.testing.assert_close(ours.instances, theirs.instances)


def test_valid_ratios_are_those_of_the_first_frame():
    mask = torch.zeros(2, 3, 4, 6, dtype=torch.bool)
    mask[1, 0, 3:] = True
    mask[1, 1:, :, 3:] = True
    assert valid_ratio(mask).tolist() == [[1, 1], [1, 0.75]]


def test_references_are_cell_centres_of_the_image_in_every_level():
    # Half as wide an image in the first level, three quarters in the second.
    ratios = torch.tensor([[[0.5, 1.0], [0.75, 1.0]]])
    references = cell_references([(2, 4), (1, 2)], ratios)
    assert references.shape == (1, 10, 2, 4)
    assert (references[..., 2:] == 0).all()
    # The first cell's centre: 1/8 of the padded width is 1/4 of the image's.
    assert references[0, 0, :, 0].tolist() == pytest.approx([0.125, 0.25 * 0.75])
    assert references[0, 0, :, 1].tolist() == pytest.approx([0.25, 0.25])
    assert references[0, 9, 1, :2].tolist() == pytest.approx([0.75, 0.5])


def test_boxes_move_from_their_reference_and_sizes_begin_anywhere():
    change = torch.tensor([[0.0, 0.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    references = torch.tensor([[0.2, 0.7, 0.0, 0.0], [0.2, 0.7, 0.3, 0.4]])
    found = refine_boxes(change, references)
    assert found[0].tolist() == pytest.approx([0.2, 0.7, 0.731059, 0.268941], abs=1e-5)
    assert found[1].tolist() == pytest.approx([0.2, 0.7, 0.3, 0.4], abs=1e-5)


def test_one_frame_and_one_clip():
    tokens, encoder, decoder = build()
    memory = encoder(tokens(draw_levels(1, 1), no_padding(1, 1)), 4)
    left = decoder(memory)
    assert left[-1].instances.shape == (1, 5, CHANNELS)
    assert left[-1].boxes.shape == (1, 1, 5, 4)
    assert [level.shape for level in memory.maps(2)] == [(1, 1, CHANNELS, *size) for size in SIZES]
