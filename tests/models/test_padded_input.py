"""A padded test input gives the masks of the unpadded one: padding never reaches the frame."""

import numpy as np
import pytest
import torch

from tevit_vis.geometry import FrameGeometry
from tevit_vis.masks import ResizedMasks, encode_clip

SIZES = [(90, 160), (96, 160), (97, 131), (64, 33), (33, 64), (100, 100), (57, 203), (128, 96)]
STRIDES = dict(seqformer=4, ms_sts=4, ifc=8)
# Half planes a u + b v > c of the image, u and v from 0 to 1: one for each query.
PLANES = torch.tensor(
    [[1.0, 0, 0.5], [-1, 0, -0.4], [0, 1, 0.3], [1, 1, 1], [2, -1, 0.6], [-1, 2, 0.7], [1, -3, -1]]
)


def metas_of(resized, padded, num_frames):
    shape = (2 * resized[0], 2 * resized[1], 3)
    meta = dict(
        ori_shape=shape,
        img_shape=(*resized, 3),
        pad_shape=(*padded, 3),
        scale_factor=np.full(4, 0.5, np.float32),
    )
    return [meta] * num_frames


def plane_values(v, u):
    """The picture of each query [7, H, W] at places v [H] and u [W] of the image."""
    a, b, c = PLANES.T[:, :, None, None]
    return a * u + b * v[:, None] - c


def draw_picture(size, resized, padded, stride):
    """The picture on a map: bilinear resizing gives back a plane as it is."""
    v, u = (
        (torch.arange(cells) + 0.5) * (stride / whole if whole < full else 1 / cells)
        for cells, whole, full in zip(size, resized, padded)
    )
    return plane_values(v, u)


def predict_picture(system, model, monkeypatch, resized, padded):
    """The masks [N, H, W] of a frame when each query's logits are its plane, by query."""
    head, stride = model.bbox_head, STRIDES[system]
    if system == 'ifc':
        monkeypatch.setattr(
            head,
            'mask_logits',
            lambda features, queries: draw_picture(features.shape[3:], resized, padded, stride)[
                None, kept[-1], None
            ].expand(-1, -1, features.shape[1], -1, -1),
        )
        kept, find = [], torch.Tensor.nonzero

        def recorded(tensor):
            found = find(tensor)
            kept.append(found[:, 0])
            return found

        monkeypatch.setattr(torch.Tensor, 'nonzero', recorded)
    else:
        monkeypatch.setattr(
            head,
            '_mask_logits',
            lambda features, instances, references, img_shape: draw_picture(
                [2 * side for side in features.shape[2:]], resized, padded, stride
            )[queries[-1]][:, None].expand(-1, len(features), -1, -1),
        )
        queries, unique = [], torch.Tensor.unique

        def recorded(tensor, **options):
            found = unique(tensor, **options)
            queries.append(found[0])
            return found

        monkeypatch.setattr(torch.Tensor, 'unique', recorded)
    with torch.inference_mode():
        features = model.extract_feat(torch.zeros(1, 2, 3, *padded))
        found = model.predict_clip(features, metas_of(resized, padded, 2))
    monkeypatch.undo()
    masks = dict(zip(found.queries.tolist(), found.masks.frame(1)))
    assert encode_clip(found).size == (2 * resized[0], 2 * resized[1])
    return masks, dict(zip(found.queries.tolist(), found.boxes[:, 1]))


@pytest.mark.parametrize('system', list(STRIDES))
@pytest.mark.parametrize('resized', SIZES)
def test_a_known_picture_is_where_it_belongs(system, resized, request, monkeypatch):
    model = request.getfixturevalue(system)
    if system == 'ifc':
        with torch.inference_mode():
            model.bbox_head.class_branch[-1].bias[-1] = -1e3  # all queries see an object
    padded = [-(-side // 32) * 32 for side in resized]
    plain, _ = predict_picture(system, model, monkeypatch, resized, resized)
    ours, boxes = predict_picture(system, model, monkeypatch, resized, padded)
    height, width = 2 * resized[0], 2 * resized[1]
    truth = plane_values((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width)
    margin = 2 * STRIDES[system]  # half a cell of the map beyond whose centres nothing is known
    inside = slice(margin, height - margin), slice(margin, width - margin)
    common = set(plain) & set(ours)
    assert len(common) > 1
    for query in common:
        # A pixel on the plane itself may fall either way.
        sure = (truth[query].abs() > 1e-5)[inside]
        expected = (truth[query] > 0)[inside][sure]
        assert torch.equal(ours[query][inside][sure], expected)
        assert torch.equal(plain[query][inside][sure], expected)
    if system == 'ifc':  # whose boxes are those of its masks
        x1, y1, x2, y2 = boxes[0].tolist()  # u or v from a half on
        assert (x2, y2) == (width, height)
        assert abs(x1 - width / 2) <= 2 * margin
        assert y1 == 0


def test_a_whole_number_of_cells_gives_the_same_to_the_bit():
    maps = torch.randn(3, 2, 12, 20, generator=torch.Generator().manual_seed(0))
    geometry = FrameGeometry((160, 304), (80, 152), (96, 160), (0.5, 0.5))
    cells = geometry.cells(maps, 8)
    assert cells == (10.0, 19.0)
    ours = ResizedMasks(maps, (160, 304), 0.5, cells).frame(0)
    assert torch.equal(ours, ResizedMasks(maps[:, :, :10, :19], (160, 304), 0.5).frame(0))


def test_unpadded_maps_fill_the_frame_as_in_the_official_code():
    geometry = FrameGeometry((180, 320), (90, 160), (90, 160), (0.5, 0.5))
    assert geometry.cells(torch.zeros(1, 24, 40), 4) == (24.0, 40.0)
