"""Attention across frames: what mixes, what does not, and what a new layer leaves as it was."""

import pytest
import torch
import torch.nn.functional as F
from test_clip_transformer import (
    CHANNELS,
    FRAMES,
    SIZES,
    build,
    described,
    draw_levels,
    no_padding,
)
from torch import nn

from tevit_vis.layers.split_attention import (
    BoxTemporalAttention,
    SplitAttention,
    TemporalAttention,
    attend_by_parts,
    upsample_coarser_levels,
    upsample_coarser_levels_masked,
)

MIXER = dict(type='SplitAttention', num_heads=2, head_dims=3, feedforward_channels=10, dropout=0.0)
BOX_MIXER = dict(type='BoxTemporalAttention', num_heads=2, head_dims=5, dropout=0.0)
CELLS = sum(height * width for height, width in SIZES)


def drawn(module):
    """With weights that leave nothing at zero."""
    torch.manual_seed(4)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0.0 if parameter.dim() > 1 else 0.1, 0.3)
    return module.eval()


def split_attention():
    return drawn(SplitAttention(CHANNELS, 2, 3, 10, dropout=0.0))


def queries(frames=FRAMES, clips=2):
    torch.manual_seed(5)
    return torch.randn(clips, frames, CELLS, CHANNELS)


def nowhere(frames=FRAMES, clips=2):
    return torch.zeros(clips, frames, CELLS, dtype=torch.bool)


@torch.inference_mode()
@pytest.mark.parametrize('frames_per_pass', [1, 2, 9])
def test_new_layers_change_no_bit(frames_per_pass):
    torch.manual_seed(0)
    tokens, encoder, decoder = build()
    _, mixed, box_mixed = build(encoder_mixer=MIXER, box_mixer=BOX_MIXER)
    for layer, box_layer in zip(mixed.layers, box_mixed.layers):
        layer.mixer.init_weights()
        box_layer.box_mixer.init_weights()
    mixed.load_state_dict(encoder.state_dict(), strict=False)
    box_mixed.load_state_dict(decoder.state_dict(), strict=False)
    clip = tokens(draw_levels(), no_padding())
    memory = encoder(clip, frames_per_pass)
    assert torch.equal(mixed(clip, frames_per_pass).features, memory.features)
    for ours, theirs in zip(box_mixed(memory), decoder(memory)):
        assert torch.equal(ours.boxes, theirs.boxes)
        assert torch.equal(ours.instances, theirs.instances)


@torch.inference_mode()
@pytest.mark.parametrize('frames', [1, 2, 5])
def test_permuted_frames_give_permuted_features_at_any_length(frames):
    order = torch.randperm(frames, generator=torch.Generator().manual_seed(1))
    module, x, padding = split_attention(), queries(frames), nowhere(frames)
    padding[0, 0, 3:9] = True
    found = module(x, padding, SIZES)
    torch.testing.assert_close(module(x[:, order], padding[:, order], SIZES), found[:, order])
    boxes = drawn(BoxTemporalAttention(CHANNELS, 2, 5, dropout=0.0))
    torch.testing.assert_close(boxes(x[:, order]), boxes(x)[:, order])


@torch.inference_mode()
def test_cells_see_themselves_and_the_coarser_scale_in_other_frames_alone():
    module, x = split_attention(), queries()
    before = module(x, nowhere(), SIZES)
    finest = SIZES[0][0] * SIZES[0][1]
    # A cell of the finest level speaks to itself in all frames of its clip, and to no other cell.
    x[0, 1, 7] += 1
    after = module(x, nowhere(), SIZES)
    changed = (after != before).any(-1)
    assert changed[0, :, 7].all()
    assert changed.sum() == FRAMES
    # A cell of the coarsest one also to the finer cells about it: 4 x 4 are within reach.
    before = after
    x[1, 2, finest + 8] += 1  # row 1, column 2 of 4 x 6
    changed = (module(x, nowhere(), SIZES) != before).any(-1)
    assert not changed[0].any()
    assert changed[1, :, finest + 8].all()
    near = changed[1, :, :finest].view(FRAMES, *SIZES[0])
    assert near[:, 1:5, 3:7].all()
    assert near.sum() == FRAMES * 16


@torch.inference_mode()
@pytest.mark.parametrize('alike', [True, False])
def test_padding_does_not_leak_through_time_or_scales(alike):
    module, padding = split_attention(), no_padding().mask
    padding[0, :, :, 40:] = True
    if not alike:
        padding[0, 2, 24:] = True
        padding[1, 1] = True  # a whole frame
    tokens = build()[0](draw_levels(), described(padding))
    results = []
    for value in (0.0, 1e4):
        x = queries().masked_fill(tokens.padding[..., None], value)
        results.append(module(x, tokens.padding, SIZES)[~tokens.padding])
    assert torch.isfinite(results[0]).all()
    assert torch.equal(*results)


@torch.inference_mode()
def test_hidden_keys_are_as_if_absent():
    attention = drawn(TemporalAttention(CHANNELS, 2, 3))
    x = queries()
    visible = ~nowhere()
    visible[:, 1] = False
    torch.testing.assert_close(attention(x, x, visible), attention(x, x[:, [0, 2]], None))
    assert torch.isfinite(attention(x, x, torch.zeros_like(visible))).all()


@torch.inference_mode()
def test_attention_is_that_of_torch():
    ours = drawn(TemporalAttention(CHANNELS, 2, CHANNELS // 2))
    theirs = nn.MultiheadAttention(CHANNELS, 2, batch_first=True)
    theirs.in_proj_weight.copy_(torch.cat([ours.query_proj.weight, ours.key_value_proj.weight]))
    theirs.in_proj_bias.copy_(torch.cat([ours.query_proj.bias, ours.key_value_proj.bias]))
    theirs.out_proj.load_state_dict(ours.output_proj.state_dict())
    x, keys = queries(), queries(5)
    for cell in (0, 17):
        wanted = theirs(x[:, :, cell], keys[:, :, cell], keys[:, :, cell])[0]
        torch.testing.assert_close(ours(x, keys, None)[:, :, cell], wanted)


@torch.inference_mode()
def test_a_cell_is_worked_on_as_the_definition_says():
    """configs/ms_sts/README.md, step by step, for one cell of each level."""
    module, x = split_attention(), queries(clips=1)
    found = module(x, nowhere(clips=1), SIZES)

    def attended(attention, mine, others):
        """One query [D] and what it attends to [R, D]."""
        return attention(mine.view(1, 1, 1, -1), others.view(1, -1, 1, 6), None).flatten()

    def ffn(block, y):
        return y + block.layers[1](torch.relu(block.layers[0][0](y)))

    def within(cell):
        """[T, D]"""
        frames = module.reduction(x[0, :, cell])
        seen = torch.stack([attended(module.intra_attn, frame, frames) for frame in frames])
        return ffn(module.intra_ffn, module.intra_norm(frames + seen))

    def between(own, coarser):
        own, coarser = (module.pair_norm(module.pair_proj(side)) for side in (own, coarser))
        pair = torch.cat([own, coarser])
        seen = torch.stack([attended(module.inter_attn, frame, pair) for frame in own])
        return module.expansion(ffn(module.inter_ffn, module.inter_norm(own + seen)))

    finest = SIZES[0][0] * SIZES[0][1]
    coarsest_cell = finest + 8
    its_own = within(coarsest_cell)
    torch.testing.assert_close(found[0, :, coarsest_cell], between(its_own, its_own))
    # The first cell of the finest level lies in the corner: nearest to one coarser cell alone.
    torch.testing.assert_close(found[0, :, 0], between(within(0), within(finest)))


def test_a_coarser_level_is_resized_between_cells_of_the_image():
    """Levels of 1x4 and 1x2 cells, 10 and 30 in the coarser one."""
    shapes = [(1, 4), (1, 2)]
    tokens = torch.tensor([10.0, 30.0]).view(1, 1, 2, 1)
    resized = [10, 15, 25, 30, 10, 30]
    assert upsample_coarser_levels(tokens, shapes).flatten().tolist() == resized
    visible = torch.tensor([True, False]).view(1, 1, 2)
    found, near = upsample_coarser_levels_masked(tokens, visible, shapes)
    assert found.flatten().tolist() == [10, 10, 10, 0, 10, 0]
    assert near.flatten().tolist() == [True, True, True, False, True, False]
    everywhere = torch.ones_like(visible)
    assert (
        upsample_coarser_levels_masked(tokens, everywhere, shapes)[0].flatten().tolist() == resized
    )
    assert upsample_coarser_levels(tokens, [(1, 2)]).flatten().tolist() == [10, 30]


def test_gradients_in_float64():
    for module, inputs in (
        (split_attention(), (nowhere(2, 1)[..., :15], [(3, 4), (1, 3)])),
        (drawn(BoxTemporalAttention(CHANNELS, 2, 5, dropout=0.0)), ()),
    ):
        x = queries(2, 1)[:, :, :15].double().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: module.double()(x, *inputs), x)  # noqa: B023
        if inputs:  # and with padding
            inputs[0][0, 1, 2:5] = True
            assert torch.autograd.gradcheck(lambda x: module.double()(x, *inputs), x)  # noqa: B023


@pytest.mark.parametrize('masked', [False, True])
def test_no_kernel_gets_more_places_than_it_can_count(masked, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    sides = [torch.randn(70_000, 1, frames, 2, generator=generator) for frames in (2, 3, 3)]
    mask = torch.rand(70_000, 1, 1, 3, generator=generator) > 0.3 if masked else None
    if masked:
        mask[..., 0] = True
    attend, counts = F.scaled_dot_product_attention, []

    def counted(*args, **kwargs):
        counts.append(len(args[0]))
        return attend(*args, **kwargs)

    expected = attend(*sides, attn_mask=mask)
    monkeypatch.setattr(F, 'scaled_dot_product_attention', counted)
    found = attend_by_parts(sides, mask)
    torch.testing.assert_close(found, expected)
    assert counts == [65_535, 4_465]
    counts.clear()
    attention = TemporalAttention(embed_dims=2, num_heads=1, head_dims=2)
    attention(torch.randn(1, 2, 70_000, 2), torch.randn(1, 3, 70_000, 2), None)
    assert max(counts) <= 65_535
