import pytest
import torch
from torch import nn

from tevit_vis.layers.messenger import (
    SHIFT_STRIDES,
    convolve_constant_images,
    multihead_attention,
    shift_messengers,
)


@pytest.mark.parametrize('groups', [1, 4, 8])
def test_conv_of_constant_equals_the_inside_of_a_convolved_constant_image(groups):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, 3, padding=1, groups=groups)
    tokens = torch.randn(2, 5, 8)
    images = tokens.flatten(0, 1)[:, :, None, None].expand(-1, -1, 5, 5)
    expected = conv(images)[:, :, 2, 2].view(2, 5, 16)
    assert torch.allclose(convolve_constant_images(conv, tokens), expected, atol=1e-6)


def test_shift_moves_four_groups_by_their_own_steps():
    frames, tokens = 5, 8
    messengers = torch.arange(frames).view(1, frames, 1, 1).expand(1, frames, tokens, 1)
    shifted = shift_messengers(messengers, SHIFT_STRIDES)[0, :, :, 0]
    assert shifted[:, 0].tolist() == [4, 0, 1, 2, 3]
    assert shifted[:, 2].tolist() == [1, 2, 3, 4, 0]
    assert shifted[:, 4].tolist() == [3, 4, 0, 1, 2]
    assert shifted[:, 6].tolist() == [2, 3, 4, 0, 1]
    once = shift_messengers(messengers, SHIFT_STRIDES)
    back = shift_messengers(once, [-stride for stride in SHIFT_STRIDES])
    assert (back == messengers).all()


def test_shift_splits_ten_messengers_as_three_three_three_one():
    messengers = torch.arange(3).view(1, 3, 1, 1).expand(1, 3, 10, 1)
    shifted = shift_messengers(messengers, SHIFT_STRIDES)[0, 0, :, 0]
    assert shifted.tolist() == [2, 2, 2, 1, 1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize('bias', [True, False])
def test_multihead_attention_equals_torch(bias):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(12, 3, bias=bias, batch_first=True).eval()
    queries, keys = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    expected = attention(queries, keys, keys)[0]
    assert torch.allclose(multihead_attention(attention, queries, keys), expected, atol=1e-6)
