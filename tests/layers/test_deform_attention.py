from contextlib import contextmanager

import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

from tevit_vis.layers import deform_attention
from tevit_vis.layers.deform_attention import (
    DeformAttention,
    sample_by_rows,
    sampling_locations,
)

SHAPES = [(5, 7), (3, 4), (1, 2)]
CELLS = sum(height * width for height, width in SHAPES)


def draw(dtype=torch.float64):
    torch.manual_seed(0)
    value = torch.randn(2, CELLS, 4, 6, dtype=dtype)
    locations = torch.rand(2, 9, 4, 3, 5, 2, dtype=dtype) * 1.6 - 0.3  # also beyond the map
    weights = torch.rand(2, 9, 4, 3, 5, dtype=dtype)
    return value, locations, weights


def reference(value, locations, weights):
    return multi_scale_deformable_attn_pytorch(value, torch.tensor(SHAPES), locations, weights)


def test_samples_and_gradients_are_those_of_mmcv():
    results = []
    for sample in (lambda v, x, w: sample_by_rows(v, SHAPES, x, w), reference):
        inputs = [tensor.requires_grad_() for tensor in draw()]
        sampled = sample(*inputs)
        sampled.pow(2).sum().backward()
        results.append([sampled, *(tensor.grad for tensor in inputs)])
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs)


def test_points_far_out_or_undefined_sample_nothing_of_the_map():
    value, locations, weights = draw()
    locations[0, 0] = 1e30
    locations[0, 1] = -1e30
    locations[1, 0] = float('nan')
    sampled = sample_by_rows(value, SHAPES, locations, weights)
    assert (sampled[0, :2] == 0).all()
    assert (sampled[0, 2:] != 0).any()


def test_offsets_are_cells_about_points_and_shares_of_boxes():
    offsets = torch.zeros(1, 2, 1, 3, 5, 2)
    offsets[..., 0] = 2.0
    references = torch.tensor([[0.5, 0.25, 0.0, 0.0], [0.5, 0.25, 0.4, 0.2]])
    references = references[None, :, None].expand(1, 2, 3, 4)
    x, y = sampling_locations(references, offsets, SHAPES).unbind(-1)
    assert (y == 0.25).all()
    for level, (_, width) in enumerate(SHAPES):
        assert x[0, 0, 0, level, 0] == pytest.approx(0.5 + 2 / width)
        assert x[0, 1, 0, level, 0] == pytest.approx(0.5 + 2 * 0.4 / (2 * 5))


def test_padded_cells_give_nothing():
    torch.manual_seed(0)
    attention = DeformAttention(embed_dims=8, num_heads=2, num_levels=3, num_points=5).double()
    query, memory = torch.randn(2, 9, 8).double(), torch.randn(2, CELLS, 8).double()
    references = torch.rand(2, 9, 3, 4).double()
    padding = torch.rand(2, CELLS) < 0.4
    sampled = attention(query, memory, references, SHAPES, padding)
    memory[padding] = 100.0
    assert torch.equal(attention(query, memory, references, SHAPES, padding), sampled)
    memory[~padding] += 1.0
    assert not torch.allclose(attention(query, memory, references, SHAPES, padding), sampled)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_the_kernel_gives_the_cpus_numbers():
    from tevit_vis.layers.deform_attention import sample_by_kernel

    value, locations, weights = draw(torch.float32)
    value, locations, weights = (
        t.repeat(33, *[1] * (t.dim() - 1)) for t in (value, locations, weights)
    )
    sampled = sample_by_kernel(value.cuda(), SHAPES, locations.cuda(), weights.cuda())
    torch.testing.assert_close(sampled.cpu(), sample_by_rows(value, SHAPES, locations, weights))


def test_the_kernel_runs_on_the_gpu_of_its_tensors(monkeypatch):
    """mmcv's kernel takes the current GPU, so that is set to the tensors' around it."""
    value, locations, weights = draw(torch.float32)
    guarded, calls = [], []

    @contextmanager
    def device_of(tensor):
        guarded.append(tensor)
        yield
        guarded.pop()

    class Kernel:
        @staticmethod
        def apply(values, sizes, starts, places, shares, im2col_step):
            calls.append((guarded[-1] is value, len(values), im2col_step))
            return sample_by_rows(values, SHAPES, places, shares)

    monkeypatch.setattr(torch.cuda, 'device_of', device_of)
    monkeypatch.setattr(deform_attention, 'MultiScaleDeformableAttnFunction', Kernel)
    monkeypatch.setattr(deform_attention, 'FRAMES_PER_KERNEL', 1)
    found = deform_attention.sample_by_kernel(value, SHAPES, locations, weights)
    torch.testing.assert_close(found, sample_by_rows(value, SHAPES, locations, weights))
    assert calls == [(True, 1, 1)] * len(value)
