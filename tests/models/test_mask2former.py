"""Mask2Former on clips: frame by frame it is mmdet's, with mmdet's weights and losses."""

import copy
import os
from itertools import chain
from types import SimpleNamespace

import mmdet
import numpy as np
import pytest
import torch
from builders import batch, make_metas, predict_clip, random_video
from mmcv import Config, ConfigDict
from mmcv.cnn.bricks.transformer import MultiheadAttention
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models import build_detector
from scipy.optimize import linear_sum_assignment

from tevit_vis.apis import inference_video, init_model
from tevit_vis.apis.build import build_without_pretraining
from tevit_vis.layers.attention import MaskedAttention
from tevit_vis.layers.deform_encoder import cell_references
from tevit_vis.layers.pixel_decoder import DeformSelfAttention
from tevit_vis.models.heads.mask2former_clip_head import time_position
from tevit_vis.models.heads.mask2former_head import Mask2FormerVISHead
from tevit_vis.tracking import align_queries
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.weights import load_weights

ZOO_CONFIGS = os.path.join(os.path.dirname(mmdet.__file__), '.mim', 'configs', 'mask2former')
ZOO_NAMES = {
    'r50': 'r50_lsj_8x2_50e_coco',
    'r101': 'r101_lsj_8x2_50e_coco',
    'swin-t': 'swin-t-p4-w7-224_lsj_8x2_50e_coco',
    'swin-s': 'swin-s-p4-w7-224_lsj_8x2_50e_coco',
}


def zoo_config(backbone: str) -> Config:
    """mmdet's own config of a backbone, without pretraining."""
    config = Config.fromfile(f'{ZOO_CONFIGS}/mask2former_{ZOO_NAMES[backbone]}.py')
    config.model.backbone.init_cfg = None
    return config


def small_host_config(ours: Config) -> Config:
    """mmdet's config with the numbers of our small one."""
    config = zoo_config('r50').model
    head, small = config.panoptic_head, ours.model.panoptic_head
    channels, classes = small.feat_channels, small.num_classes
    config.backbone = copy.deepcopy(ours.model.backbone)
    head.update(
        in_channels=small.in_channels,
        feat_channels=channels,
        out_channels=channels,
        num_things_classes=classes,
        num_queries=small.num_queries,
    )
    head.loss_cls.class_weight = [1.0] * classes + [small.no_object_weight]
    config.panoptic_fusion_head.num_things_classes = classes
    config.train_cfg.num_points = ours.model.train_cfg.num_points
    head.positional_encoding.num_feats = head.pixel_decoder.positional_encoding.num_feats = (
        channels // 2
    )
    head.pixel_decoder.norm_cfg.num_groups = small.pixel_decoder.norm_cfg.num_groups
    for part, name in (
        (head.pixel_decoder.encoder, 'encoder'),
        (head.transformer_decoder, 'decoder'),
    ):
        own = small.pixel_decoder.encoder if name == 'encoder' else small.transformer_decoder
        part.num_layers = own.num_layers
        layer = part.transformerlayers
        layer.attn_cfgs.embed_dims = layer.ffn_cfgs.embed_dims = channels
        layer.attn_cfgs.num_heads = own.transformerlayers.attn_cfgs.num_heads
        layer.ffn_cfgs.feedforward_channels = own.transformerlayers.ffn_cfgs.feedforward_channels
    head.transformer_decoder.transformerlayers.feedforward_channels = 256
    return config


def make_pair(backbone: str = '') -> SimpleNamespace:
    """Our model and mmdet's, of the same weights; without a backbone, the small ones."""
    torch.manual_seed(0)
    if backbone:
        config = load_config(f'mask2former/mask2former_{backbone}_coco')
        host = zoo_config(backbone).model
    else:
        config = load_config('synthetic/mask2former_tiny')
        host = small_host_config(config)
    theirs = build_detector(host)
    theirs.init_weights()
    with torch.no_grad():  # biases and norms that start as constants would hide mistakes
        for parameter in theirs.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    ours = build_without_pretraining(config)
    ours.load_state_dict(theirs.state_dict())
    return SimpleNamespace(ours=ours, theirs=theirs)


@pytest.fixture(scope='module')
def small():
    return make_pair()


def in_fp64(pair: SimpleNamespace) -> SimpleNamespace:
    """The pair in fp64: in fp32 rounding decides now and then whether a query attends to a cell."""
    models = {name: copy.deepcopy(model).double().eval() for name, model in vars(pair).items()}
    return SimpleNamespace(**models)


def draw(num_frames: int, size: tuple, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, num_frames, 3, *size, dtype=torch.double, generator=generator)


def largest_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize('size', [(64, 96), (75, 110), (96, 160)])
@pytest.mark.parametrize(
    'backbone',
    ['', *(pytest.param(name, marks=pytest.mark.slow) for name in ('r50', 'swin-t'))],
)
@torch.no_grad()
def test_each_frame_gives_what_mmdet_gives(small, backbone, size):
    pair = in_fp64(make_pair(backbone) if backbone else small)
    ours, theirs = pair.ours, pair.theirs
    img = draw(2, size, seed=5)
    mask_features, *levels = (level[0, :, None] for level in ours.extract_feat(img))
    outputs = ours.panoptic_head(mask_features, levels)
    metas = [dict(batch_input_shape=size)] * 2
    expected_classes, expected_masks = theirs.panoptic_head(theirs.extract_feat(img[0]), metas)
    assert len(outputs) == len(expected_classes)
    for queries, classes, masks in zip(outputs, expected_classes, expected_masks):
        assert largest_difference(ours.panoptic_head.class_logits(queries), classes) < 1e-9
        logits = ours.panoptic_head.mask_logits(queries, mask_features)
        assert largest_difference(logits[:, :, 0], masks) < 1e-9


@torch.no_grad()
def test_a_padded_frame_gives_what_mmdet_gives(small):
    """The frame is 50x90 pixels, padded to 64x96; its masks are cut and resized to the frame."""
    pair = in_fp64(small)
    ours, theirs = pair.ours, pair.theirs
    img = draw(1, (64, 96), seed=6)
    meta = make_metas(1, 50, 90, scale=0.5)[0]
    meta.update(pad_shape=(64, 96, 3), batch_input_shape=(64, 96))
    prediction = ours.predict_clip(ours.extract_feat(img), [meta])
    classes, masks = theirs.panoptic_head.simple_test(theirs.extract_feat(img[0]), [meta])
    probabilities = classes[0].softmax(-1)[:, :-1]
    expected = probabilities.max(1).values.sort(descending=True)
    torch.testing.assert_close(prediction.scores, expected.values)
    torch.testing.assert_close(prediction.class_scores, probabilities[prediction.queries])
    cut = masks[0, prediction.queries][:, :50, :90]
    full = torch.nn.functional.interpolate(cut[None], (100, 180), mode='bilinear')[0] > 0
    differs = (prediction.masks.frame(0) != full).float().mean()
    assert differs < 0.02  # mmdet resizes twice, and these masks are noise
    _, all_masks = theirs.panoptic_head(theirs.extract_feat(img[0]), [meta])
    covered = all_masks[-1][0, prediction.queries, :13, :23]
    assert largest_difference(prediction.masks.logits[:, 0], covered) < 1e-9


@pytest.fixture
def fp64_everywhere(monkeypatch):
    """Lets mmdet's losses compute in fp64: in fp32 rounding decides which points are compared."""
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize('counts', [[[2], [1]], [[2], [0]], [[0], [0]], [[1, 2], [0, 3]]])
def test_losses_are_those_of_mmdet(small, counts, fp64_everywhere):
    pair = in_fp64(small)
    clips = batch(counts)
    clips['img'] = clips['img'].double()
    frames = {key: list(chain(*value)) for key, value in clips.items() if key != 'img'}
    metas = [dict(meta, pad_shape=clips['img'].shape[3:]) for meta in frames['img_metas']]
    annotations = [frames[f'gt_{name}'] for name in ('bboxes', 'labels', 'masks')]
    torch.manual_seed(7)
    ours = pair.ours.train().forward_train(**clips)
    torch.manual_seed(7)
    theirs = pair.theirs.train().forward_train(clips['img'].flatten(0, 1), metas, *annotations)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('counts', [[[2], [1]], [[0], [0]]])
def test_every_weight_has_a_gradient(small, counts):
    model = small.ours.train()
    model.zero_grad()
    sum(model.forward_train(**batch(counts)).values()).backward()
    without = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert without == []


@pytest.mark.slow
@pytest.mark.parametrize('backbone', ZOO_NAMES)
def test_checkpoints_of_the_zoo_fit(backbone, tmp_path):
    theirs = build_detector(zoo_config(backbone).model).state_dict()
    ours = build_without_pretraining(load_config(f'mask2former/mask2former_{backbone}_coco'))
    load_weights(ours, {'state_dict': theirs, 'meta': {}}, 'zoo.pth')
    for name, weight in ours.state_dict().items():
        assert torch.equal(weight, theirs[name])


@torch.no_grad()
def test_masks_are_made_for_kept_queries_only(small, monkeypatch):
    model = small.ours.eval()
    model.test_cfg.max_per_img = 4
    shapes = []
    compute = model.panoptic_head.mask_logits

    def record(queries, features):
        shapes.append((queries.shape[1], features.shape[3:]))
        return compute(queries, features)

    monkeypatch.setattr(model.panoptic_head, 'mask_logits', record)
    prediction = predict_clip(model, torch.randn(1, 1, 3, 64, 96))
    model.test_cfg.max_per_img = 15
    assert prediction.masks.num_instances == 4
    full_size = [count for count, size in shapes if tuple(size) == (16, 24)]
    assert full_size == [4]


@torch.no_grad()
def test_a_clip_is_linked_by_the_rule_of_minvis(small):
    """A slow reference, written from the paper: each frame against the aligned frame before."""
    model = in_fp64(small).ours
    model.test_cfg.windows = None
    img = draw(4, (64, 96), seed=2)
    clip = predict_clip(model, img)
    mask_features, *levels = (level[0, :, None] for level in model.extract_feat(img))
    queries = model.panoptic_head(mask_features, levels)[-1]
    tracks = [[0, q] for q in range(queries.shape[1])]
    aligned = [queries[0]]
    for frame in queries[1:]:
        cost = np.zeros((len(tracks), len(tracks)))
        for i, before in enumerate(aligned[-1]):
            for j, after in enumerate(frame):
                cost[i, j] = 1 - before @ after / (before.norm() * after.norm())
        _, order = linear_sum_assignment(cost)
        aligned.append(frame[order])
    aligned = torch.stack(aligned)
    logits = model.panoptic_head.cls_embed(aligned).mean(0)
    probabilities = logits.softmax(-1)[:, :-1]
    scores, pairs = probabilities.flatten().topk(15)
    torch.testing.assert_close(clip.scores, scores)
    assert clip.queries.tolist() == (pairs // 5).tolist()
    assert clip.labels.tolist() == (pairs % 5).tolist()
    torch.testing.assert_close(clip.embeddings, aligned[:, clip.queries].transpose(0, 1))


def test_permuted_queries_are_found_again():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(30, 16, generator=generator)
    orders = [torch.randperm(30, generator=generator) for _ in range(3)]
    noise = 0.01 * torch.randn(3, 30, 16, generator=generator)
    queries = torch.stack([first, *(first[order] for order in orders)])
    queries[1:] += noise
    aligned = align_queries(queries)
    assert aligned[0].tolist() == list(range(30))
    for order, places in zip(orders, aligned[1:]):
        assert order[places].tolist() == list(range(30))
    queries[2, 3, 4] = float('nan')
    with pytest.raises(InputError, match='queries must be finite'):
        align_queries(queries)


def test_frames_per_pass_changes_nothing_but_rounding(small):
    model = small.ours.eval()
    img = torch.randn(1, 5, 3, 64, 96)
    predictions = []
    for frames_per_pass in (2, 5):
        model.test_cfg.frames_per_pass = frames_per_pass
        predictions.append(predict_clip(model, img))
    torch.testing.assert_close(predictions[0].masks.logits, predictions[1].masks.logits)
    torch.testing.assert_close(predictions[0].scores, predictions[1].scores)


@pytest.mark.parametrize('length', [None, 1])
def test_half_precision_finds_nearly_the_same(length):
    torch.manual_seed(0)
    model = init_model('synthetic/mask2former_tiny', device='cpu')
    model.test_cfg.windows.length = length
    model.test_cfg.tracker.min_score = 0.0
    full = inference_video(model, random_video(3))
    model.amp_dtype = torch.bfloat16
    half = inference_video(model, random_video(3))
    assert np.allclose(np.sort(full.scores)[-5:], np.sort(half.scores)[-5:], atol=0.02)


def test_a_video_is_tracked_frame_by_frame():
    torch.manual_seed(0)
    model = init_model('synthetic/mask2former_tiny', device='cpu')
    model.test_cfg.tracker.min_score = 0.0
    instances = inference_video(model, random_video(4))
    assert instances.num_frames == 4
    assert instances.size == (48, 80)


@torch.no_grad()
def test_a_query_with_an_empty_mask_attends_to_all_cells(small):
    head = small.ours.panoptic_head
    features = torch.randn(1, 2, 64, 3, 4)
    queries = torch.randn(1, 5, 64)
    logits = head.mask_logits(queries, features)
    is_background = head.background(queries, features)
    assert torch.equal(is_background, logits.flatten(2) < 0)
    features[:] = -10 * torch.sign(head.mask_embed(queries)[0, 0])[:, None, None]
    is_empty = head.mask_logits(queries, features).flatten(2).amax(-1) < 0
    assert is_empty[0, 0]  # and the same value in all cells, so a mask is all or nothing
    assert not head.background(queries, features).any()


@torch.no_grad()
def test_masked_attention_is_that_of_mmcv():
    torch.manual_seed(0)
    ours = MaskedAttention(16, 4)
    theirs = MultiheadAttention(16, 4)
    theirs.load_state_dict(ours.state_dict())
    query, key, value = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 16)
    query_pos, key_pos = torch.randn(2, 5, 16), torch.randn(1, 7, 16)
    mask = torch.rand(2, 5, 7) < 0.5
    mask[..., 0] = False
    result = ours(query, key, value, query_pos=query_pos, key_pos=key_pos, attn_mask=mask)
    flipped = (tensor.transpose(0, 1) for tensor in (query, key, value))
    expected = theirs(
        *flipped,
        query_pos=query_pos.transpose(0, 1),
        key_pos=key_pos.transpose(0, 1).expand(-1, 2, -1),
        attn_mask=mask.repeat_interleave(4, 0),
    )
    torch.testing.assert_close(result, expected.transpose(0, 1))
    for layer in (MaskedAttention, DeformSelfAttention):
        with pytest.raises(ValueError, match='batch_first must be True'):
            layer(16, 4, *((3, 2) if layer is DeformSelfAttention else ()), batch_first=False)


@torch.no_grad()
def test_deformable_self_attention_is_that_of_mmcv():
    torch.manual_seed(0)
    shapes = [(2, 3), (4, 5), (8, 9)]
    num_cells = sum(height * width for height, width in shapes)
    ours = DeformSelfAttention(16, 4, 3, 2)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs = MultiScaleDeformableAttention(16, 4, 3, 2, dropout=0.0, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    cells, position = torch.randn(2, num_cells, 16), torch.randn(1, num_cells, 16)
    references = cell_references(shapes, torch.ones(2, 3, 2))
    result = ours(cells, cells, cells, query_pos=position, references=references, shapes=shapes)
    sizes = torch.tensor(shapes)
    areas = sizes.prod(1)
    expected = theirs(
        cells,
        query_pos=position,
        reference_points=references[..., :2],
        spatial_shapes=sizes,
        level_start_index=areas.cumsum(0) - areas,
    )
    torch.testing.assert_close(result, expected)


@pytest.fixture
def clip_model():
    """The small model with queries of clips."""
    torch.manual_seed(1)
    options = {'model.panoptic_head.type': 'Mask2FormerClipHead', 'model.test_cfg.windows': None}
    return init_model('synthetic/mask2former_tiny', device='cpu', cfg_options=options)


@torch.no_grad()
def test_queries_of_a_clip_see_all_frames_and_their_order(clip_model, monkeypatch):
    head = clip_model.panoptic_head
    mask_features, *levels = clip_model.extract_feat(torch.randn(1, 3, 3, 64, 96))
    queries = head(mask_features, levels)[-1]
    changed = mask_features.clone(), *(level.clone() for level in levels)
    for maps in changed:
        maps[:, 2] += torch.randn_like(maps[:, 2])
    assert not torch.allclose(head(changed[0], changed[1:])[-1], queries, atol=1e-3)
    order = [2, 0, 1]
    permuted = mask_features[:, order], [level[:, order] for level in levels]
    assert not torch.allclose(head(*permuted)[-1], queries, atol=1e-3)
    zero = torch.zeros(1)
    monkeypatch.setattr(f'{type(head).__module__}.time_position', lambda *_: zero)
    torch.testing.assert_close(
        head(*permuted)[-1], head(mask_features, levels)[-1], atol=1e-4, rtol=1e-4
    )
    # Of one frame, it is the head of frames.
    frame = mask_features[:, :1], [level[:, :1] for level in levels]
    torch.testing.assert_close(head(*frame)[-1], Mask2FormerVISHead.forward(head, *frame)[-1])


def test_the_position_of_a_frame_is_that_of_the_paper():
    num_frames, channels = 3, 6
    expected = np.zeros((num_frames, channels))
    for t in range(num_frames):
        place = (t + 1) / num_frames * 2 * np.pi
        for c in range(channels):
            angle = place / 10_000 ** (2 * (c // 2) / channels)
            expected[t, c] = np.sin(angle) if c % 2 == 0 else np.cos(angle)
    position = time_position(num_frames, channels, torch.device('cpu'))[0, :, :, 0, 0]
    assert np.allclose(position, expected, atol=1e-5)


@pytest.mark.parametrize('windows', [None, dict(length=3, stride=2)])
def test_clips_and_windows_of_a_video(clip_model, windows):
    clip_model.test_cfg.windows = ConfigDict(windows) if windows else None
    clip_model.test_cfg.tracker = ConfigDict(type='SoftIoUStitcher', min_iou=0.1, min_score=0.0)
    instances = inference_video(clip_model, random_video(5))
    assert instances.num_frames == 5
    assert len(instances)


@pytest.mark.parametrize('counts', [[[2, 1], [1, 0]], [[0, 0], [0, 0]]])
def test_a_clip_is_trained_as_a_whole(counts):
    config = load_config('synthetic/mask2former_tiny')
    config.model.panoptic_head.type = 'Mask2FormerClipHead'
    torch.manual_seed(0)
    model = build_without_pretraining(config).train()
    seen = []
    target = model.panoptic_head.loss

    def record(classes, masks, labels, gt_masks, metas):
        seen.append(([len(each) for each in labels], [tuple(m.shape) for m in gt_masks]))
        return target(classes, masks, labels, gt_masks, metas)

    model.panoptic_head.loss = record
    losses = model.forward_train(**batch(counts))
    sum(losses.values()).backward()
    numbers = [max(frames) for frames in counts]
    assert seen == [(numbers, [(n, 2 * 64, 128) for n in numbers])]
    assert all(weight.grad is not None for weight in model.parameters())
