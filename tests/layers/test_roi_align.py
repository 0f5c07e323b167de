import pytest
import torch
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

from tevit_vis.layers import roi_align as roi_align_module
from tevit_vis.layers.roi_align import crop_masks, extract_roi_feats, roi_align_rows


def random_rois(count, num_frames, width, height):
    corner = torch.rand(count, 2) * torch.tensor([width, height]) * 1.2 - 0.1 * width
    extent = torch.rand(count, 2) ** 2 * torch.tensor([width, height]) + 1
    frames = torch.randint(num_frames, (count, 1)).float()
    return torch.cat([frames, corner, corner + extent], dim=1)


@pytest.mark.parametrize(('size', 'sampling_ratio'), [(7, 2), (5, 3), (1, 1)])
def test_rows_equal_mmcv_inside_across_and_outside_the_border(size, sampling_ratio):
    torch.manual_seed(0)
    level = torch.randn(3, 6, 13, 17)
    rois = random_rois(60, 3, width=17 * 4, height=13 * 4)
    rois = torch.cat([rois, torch.tensor([[1, -90.0, -80, -60, -70], [0, 500, 500, 520, 520]])])
    expected = RoIAlign(size, 1 / 4, sampling_ratio)(level, rois)
    found = roi_align_rows(level, rois, 1 / 4, size, (sampling_ratio,) * 2).permute(0, 3, 1, 2)
    assert torch.allclose(found, expected, atol=2e-6)


def test_masks_are_cropped_alike_with_and_without_compiled_ops(monkeypatch):
    torch.manual_seed(0)
    masks = (torch.rand(3, 1, 40, 56) > 0.5).float()
    rois = random_rois(40, 3, width=56, height=40)
    rois[:, 1:] = rois[:, 1:].clamp(min=0)
    rois = torch.cat([rois, torch.tensor([[1.0, 5, 5, 5, 5], [2, 0, 0, 56, 40]])])
    expected = crop_masks(masks, rois, (7, 7))
    monkeypatch.setattr(roi_align_module, 'has_compiled_ops', lambda: False)
    found = crop_masks(masks, rois, (7, 7))
    assert (expected[-1] > 0).any()
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_rows_have_mmcvs_gradient():
    torch.manual_seed(0)
    level = torch.randn(2, 4, 9, 11, requires_grad=True)
    rois = random_rois(10, 2, width=44, height=36)
    weights = torch.randn(10, 4, 3, 3)
    (expected,) = torch.autograd.grad((RoIAlign(3, 1 / 4, 2)(level, rois) * weights).sum(), level)
    found = roi_align_rows(level, rois, 1 / 4, 3, (2, 2)).permute(0, 3, 1, 2)
    (gradient,) = torch.autograd.grad((found * weights).sum(), level)
    assert torch.allclose(gradient, expected, atol=1e-5)


def test_boxes_get_no_gradient():
    rois = random_rois(4, 2, width=44, height=36).requires_grad_()
    pooled = roi_align_rows(torch.randn(2, 4, 9, 11, requires_grad=True), rois, 1 / 4, 3, (2, 2))
    pooled.sum().backward()
    assert rois.grad is None


def make_extractor(sampling_ratio):
    return SingleRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=sampling_ratio),
        out_channels=5,
        featmap_strides=[4, 8, 16],
        finest_scale=20,
    )


@pytest.mark.parametrize('sampling_ratio', [2, 0])
def test_extract_roi_feats_equals_mmdets_extractor(sampling_ratio):
    torch.manual_seed(0)
    extractor = make_extractor(sampling_ratio)
    levels = [torch.randn(2, 5, 64 // stride, 96 // stride) for stride in (4, 8, 16)]
    levels = [level.contiguous(memory_format=torch.channels_last) for level in levels]
    rois = random_rois(40, 2, width=96, height=64)
    rois = torch.cat([rois, torch.tensor([[0, -20.0, -20, 120, 100], [1, -90, -90, 180, 150]])])
    assert len(extractor.map_roi_levels(rois, 3).unique()) == 3
    expected = extractor([level.contiguous() for level in levels], rois)
    more = [*levels, torch.randn(2, 5, 2, 3)]  # a level beyond the extractor's strides
    for given in (levels, more):
        assert torch.allclose(extract_roi_feats(extractor, given, rois), expected, atol=2e-6)


def test_no_roi_gives_no_features():
    levels = [torch.randn(2, 5, 16, 24), torch.randn(2, 5, 8, 12), torch.randn(2, 5, 4, 6)]
    assert extract_roi_feats(make_extractor(2), levels, torch.zeros(0, 5)).shape == (0, 5, 7, 7)
