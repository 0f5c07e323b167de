import pytest
import torch

from tevit_vis.models.backbones import MsgShifT


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    backbone = MsgShifT(embed_dims=8, num_layers=[2, 1, 3, 2], num_msg_tokens=10)
    backbone.init_weights()
    torch.nn.init.normal_(backbone.msg_tokens)
    return backbone.eval()


def test_levels_have_the_strides_of_pvt(backbone):
    maps = backbone(torch.randn(3, 3, 64, 96), num_frames=3, frames_per_pass=3)
    assert [tuple(level.shape) for level in maps] == [
        (3, 8, 16, 24),
        (3, 16, 8, 12),
        (3, 40, 4, 6),
        (3, 64, 2, 3),
    ]


@torch.no_grad()
def test_frames_per_pass_changes_nothing(backbone):
    frames = torch.randn(5, 3, 64, 64)
    together = backbone(frames, num_frames=5, frames_per_pass=5)
    for frames_per_pass in (1, 2):
        for one, other in zip(together, backbone(frames, 5, frames_per_pass)):
            assert torch.allclose(one, other, atol=1e-5)


@torch.no_grad()
def test_clips_do_not_mix(backbone):
    frames = torch.randn(6, 3, 64, 64)
    together = backbone(frames, num_frames=3, frames_per_pass=6)
    alone = backbone(frames[3:], num_frames=3, frames_per_pass=6)
    for one, other in zip(together, alone):
        assert torch.allclose(one[3:], other, atol=1e-5)


@torch.no_grad()
def test_frames_of_a_clip_do_mix(backbone):
    frames = torch.randn(3, 3, 64, 64)
    changed = frames.clone()
    changed[2] += 1
    before = backbone(frames, num_frames=3, frames_per_pass=3)[3]
    after = backbone(changed, num_frames=3, frames_per_pass=3)[3]
    assert (before[0] - after[0]).abs().max() > 1e-4


def pvt_weights(backbone):
    """The backbone's weights under the names of the PVTv2 release, as far as its stage 1 goes."""
    state = backbone.state_dict()
    state.pop('msg_tokens')
    return state


def test_init_weights_loads_all_of_pvt_and_draws_messengers(backbone, tmp_path):
    weights = pvt_weights(backbone)
    torch.save(weights, tmp_path / 'pvt.pth')
    loaded = MsgShifT(
        embed_dims=8,
        num_layers=[2, 1, 3, 2],
        num_msg_tokens=10,
        convert_weights=False,
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'pvt.pth')),
    )
    loaded.init_weights()
    state = loaded.state_dict()
    assert all((state[key] == value).all() for key, value in weights.items())
    assert 0 < state['msg_tokens'].abs().max() < 0.1


@pytest.mark.parametrize('change', ['missing', 'left over', 'of another shape'])
def test_init_weights_refuses_weights_that_do_not_fit(backbone, tmp_path, change):
    weights = pvt_weights(backbone)
    if change == 'missing':
        del weights['layers.2.1.0.attn.sr.weight']
    elif change == 'left over':
        weights['layers.9.bias'] = torch.zeros(1)
    else:
        weights['layers.2.2.bias'] = torch.zeros(41)
    torch.save(weights, tmp_path / 'pvt.pth')
    backbone.convert_weights = False
    backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'pvt.pth'))
    with pytest.raises(
        ValueError, match=r'pvt.pth: weights must be those of this PVTv2.*layers\.[29]'
    ):
        backbone.init_weights()


def test_frozen_stages_are_not_trained():
    backbone = MsgShifT(
        embed_dims=8,
        num_layers=[1, 1, 1, 1],
        num_msg_tokens=10,
        frozen_stages=2,
        drop_path_rate=0.5,
    )
    backbone.train()
    stages = list(backbone.layers)
    assert [all(not p.requires_grad for p in stage.parameters()) for stage in stages] == [
        *(True, True, False, False)
    ]
    assert [stage.training for stage in stages] == [False, False, True, True]
    assert backbone.msg_tokens.requires_grad
    backbone(torch.randn(2, 3, 64, 64), 2, 2)[-1].sum().backward()
    assert backbone.msg_tokens.grad is not None
