"""A padded test input gives the masks of the unpadded one: padding never reaches the frame."""

import numpy as np
import pytest
import torch

from tevit_vis.masks import encode_clip

SIZES = [(90, 160), (96, 160), (97, 131), (64, 33), (33, 64), (100, 100), (57, 203), (128, 96)]


def metas_of(resized, padded, num_frames):
    shape = (2 * resized[0], 2 * resized[1], 3)
    meta = dict(
        ori_shape=shape,
        img_shape=(*resized, 3),
        pad_shape=(*padded, 3),
        scale_factor=np.full(4, 0.5, np.float32),
    )
    return [meta] * num_frames


def picture(num_frames, height, width, channels):
    """Features that depend on a cell's place alone: [1, T, C, H, W]."""
    y = torch.arange(height)[:, None] / 3
    x = torch.arange(width) / 4
    waves = [(y * (c + 1)).sin() + (x * (c + 2)).cos() for c in range(channels)]
    return torch.stack(waves).expand(1, num_frames, -1, -1, -1)


def masks_of_known_features(model, monkeypatch, resized, padded):
    """The RLE of a clip whose mask features and queries are known, for this padding."""
    head = model.bbox_head
    queries = torch.randn(1, 7, 32, generator=torch.Generator().manual_seed(0))
    cells = [-(-side // 8) for side in padded]
    forward = type(head).forward

    def known(levels, padding, *frames_per_pass):
        outputs = forward(head, levels, padding, *frames_per_pass)
        scores = torch.linspace(2, -2, outputs.cls_scores[-1].numel())
        outputs = outputs._replace(
            cls_scores=[scores.view_as(outputs.cls_scores[-1])],
        )
        if hasattr(outputs, 'features'):
            features = picture(2, *cells, outputs.features.shape[2])
            return outputs._replace(features=features, queries=[queries])
        centres = torch.full_like(outputs.layers[-1].references, 0.4)
        last = outputs.layers[-1]._replace(instances=queries, references=centres)
        return outputs._replace(layers=[last])

    monkeypatch.setattr(head, 'forward', known)
    if not hasattr(head, 'mask_weights'):
        monkeypatch.setattr(
            head,
            '_mask_feature_maps',
            lambda memory: picture(
                memory.features.shape[1], *cells, head.mask_features.out_channels
            ),
        )
    with torch.inference_mode():
        features = model.extract_feat(torch.zeros(1, 2, 3, *padded))
        found = encode_clip(model.predict_clip(features, metas_of(resized, padded, 2)))
    monkeypatch.undo()
    return found


@pytest.mark.parametrize('system', ['seqformer', 'ms_sts', 'ifc'])
@pytest.mark.parametrize('resized', SIZES)
def test_known_masks_are_the_same_to_the_pixel(system, resized, request, monkeypatch):
    model = request.getfixturevalue(system)
    padded = [-(-side // 32) * 32 for side in resized]
    plain = masks_of_known_features(model, monkeypatch, resized, resized)
    ours = masks_of_known_features(model, monkeypatch, resized, padded)
    assert len(plain) > 0
    assert ours.size == plain.size == (2 * resized[0], 2 * resized[1])
    assert ours.segmentations == plain.segmentations
    if system == 'ifc':  # whose boxes are those of its masks
        np.testing.assert_allclose(ours.boxes, plain.boxes)
