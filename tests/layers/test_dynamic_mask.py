import pytest
import torch
import torch.nn.functional as F

from tevit_vis.layers.dynamic_mask import (
    DynamicConvs,
    MaskFeatures,
    aligned_bilinear,
    relative_coordinates,
)


@pytest.mark.parametrize('with_coordinates', [True, False])
def test_convolutions_are_those_of_each_instance(with_coordinates):
    torch.manual_seed(0)
    convs = DynamicConvs(features=5, with_coordinates=with_coordinates)
    inputs = 7 if with_coordinates else 5
    assert convs.num_parameters == inputs * 8 + 8 * 8 + 8 + 8 + 8 + 1
    features, parameters = torch.randn(2, 5, 3, 4), torch.randn(6, convs.num_parameters)
    centres = torch.rand(6, 2, 2) * 30
    found = convs(features, parameters, centres)
    assert found.shape == (6, 2, 3, 4)
    for n in range(6):
        weights = parameters[n].split([inputs * 8, 64, 8, 8, 8, 1])
        for t in range(2):
            x = features[t]
            if with_coordinates:
                x = torch.cat([relative_coordinates(centres, (3, 4))[n, t], x])
            x = F.conv2d(x[None], weights[0].view(8, inputs, 1, 1), weights[3]).relu()
            x = F.conv2d(x, weights[1].view(8, 8, 1, 1), weights[4]).relu()
            x = F.conv2d(x, weights[2].view(1, 8, 1, 1), weights[5])
            torch.testing.assert_close(found[n, t], x[0, 0], rtol=1e-4, atol=1e-4)


def test_coordinates_count_from_cell_to_centre_in_pixels():
    found = relative_coordinates(torch.tensor([[[10.0, 20.0]]]), (2, 3))[0, 0]
    assert found[0].tolist() == [[6, -2, -10]] * 2  # x: 10 - (4, 12, 20)
    assert found[1].tolist() == [[16] * 3, [8] * 3]


def test_upsampling_keeps_cells_and_halves_between_them():
    found = aligned_bilinear(torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]]))
    assert found[0, 0].tolist() == [
        [0, 0, 2, 4],
        [0, 0, 2, 4],
        [4, 4, 6, 8],
        [8, 8, 10, 12],
    ]


def test_no_instance_gives_no_mask_and_a_gradient_all_the_same():
    convs = DynamicConvs(features=5, with_coordinates=True)
    features = torch.randn(2, 5, 3, 4, requires_grad=True)
    found = convs(features, torch.zeros(0, convs.num_parameters), torch.zeros(0, 2, 2))
    assert aligned_bilinear(found).shape == (0, 2, 6, 8)
    found.sum().backward()
    assert (features.grad == 0).all()


def test_mask_features_take_maps_of_odd_sizes():
    maps = [torch.randn(2, 64, *size) for size in ((9, 7), (5, 4), (3, 2))]
    head = MaskFeatures(64)
    head.init_weights()
    found = head(maps)
    assert found.shape == (2, head.out_channels, 9, 7)
    assert head.out_channels == 2
    assert (found >= 0).all()
