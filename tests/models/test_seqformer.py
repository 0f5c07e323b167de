import copy
import logging

import numpy as np
import pytest
import torch
from builders import batch, build_for_training, make_metas, predict_clip, random_video
from mmcv.runner import build_optimizer

from tevit_vis.apis import inference_video, init_model
from tevit_vis.apis.build import build_model
from tevit_vis.apis.options import TrainOptions
from tevit_vis.apis.runner import TrainingModel
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError


def test_prediction_is_the_best_pairs_in_original_pixels(seqformer):
    torch.manual_seed(0)
    img = torch.randn(1, 3, 3, 64, 96)
    found, halved = predict_clip(seqformer, img), predict_clip(seqformer, img, scale=0.5)
    assert len(found.scores) == 10
    assert (found.scores[:-1] >= found.scores[1:]).all()
    assert torch.equal(found.class_scores[torch.arange(10), found.labels], found.scores)
    assert found.class_scores.flatten().max() == found.scores[0]
    assert found.masks.frame(0).shape == (10, 64, 96)
    assert halved.masks.frame(0).shape == (10, 128, 192)
    torch.testing.assert_close(halved.boxes, found.boxes * 2)
    same = found.queries[:, None] == found.queries
    logits = found.masks.logits.flatten(1)
    assert same.sum() > 10  # a query stands under several classes,
    assert torch.equal((logits[:, None] == logits).all(-1), same)  # with one mask


def test_masks_are_computed_for_output_queries_only(seqformer, monkeypatch):
    torch.manual_seed(0)
    seen = []
    convs = seqformer.bbox_head.mask_convs

    def counted(features, parameters, centres):
        seen.append(len(parameters))
        return convs(features, parameters, centres)

    monkeypatch.setattr(seqformer.bbox_head, 'mask_convs', counted)
    seqformer.test_cfg.max_per_img = 3
    found = predict_clip(seqformer, torch.randn(1, 3, 3, 64, 96))
    assert sum(seen) == len(found.queries.unique())


def test_passes_change_nothing_and_any_length_runs(seqformer):
    torch.manual_seed(0)
    for num_frames in (1, 2, 7):
        img = torch.randn(1, num_frames, 3, 64, 96)
        seqformer.test_cfg.frames_per_pass = 8
        reference = predict_clip(seqformer, img)
        seqformer.test_cfg.frames_per_pass = 3
        found = predict_clip(seqformer, img)
        torch.testing.assert_close(found.scores, reference.scores)
        torch.testing.assert_close(found.masks.logits, reference.masks.logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(('wanted', 'given'), [(0, 0), (1, 1), (99, 35)])
def test_no_more_pairs_than_there_are_or_are_wanted(seqformer, wanted, given):
    seqformer.test_cfg.max_per_img = wanted
    found = predict_clip(seqformer, torch.randn(1, 2, 3, 64, 96))
    assert len(found.scores) == given
    assert found.masks.frame(1).shape == (given, 64, 96)


def test_instances_without_a_pixel_are_dropped_and_unlikely_ones_lose_their_masks(seqformer):
    with torch.inference_mode():
        seqformer.bbox_head.controller[-1].bias[-1] = 1e4
    found = inference_video(seqformer, random_video())
    assert len(found) == 10
    seqformer.test_cfg.min_mask_score = float(np.median(found.scores))
    masked = inference_video(seqformer, random_video())
    has_mask = [track[0] is not None for track in masked.segmentations]
    assert has_mask == (masked.scores >= np.median(found.scores)).tolist()
    with torch.inference_mode():
        seqformer.bbox_head.controller[-1].bias[-1] = -1e4
    assert len(inference_video(seqformer, random_video())) == 0
    seqformer.test_cfg.drop_empty = False
    assert len(inference_video(seqformer, random_video())) == 10


def test_one_window_over_the_video_finds_what_the_whole_video_does(seqformer):
    seqformer.test_cfg.update(max_per_img=7, drop_empty=False)
    seqformer.test_cfg.windows = dict(length=6, stride=1)
    seqformer.test_cfg.tracker.min_score = 0.0
    stitched = inference_video(seqformer, random_video())
    assert len(stitched) == 35  # every query under every class
    seqformer.test_cfg.update(windows=dict(length=None, stride=1), max_per_img=35, drop_empty=False)
    whole = inference_video(seqformer, random_video())

    def by_score(found):
        order = np.lexsort((found.labels, -found.scores.round(5)))
        return found.select(order)

    for ours, theirs in zip(by_score(stitched).segmentations, by_score(whole).segmentations):
        assert ours == theirs


def test_windows_give_tracks_over_the_whole_video(seqformer):
    seqformer.test_cfg.windows = dict(length=3, stride=1)
    found = inference_video(seqformer, random_video())
    assert found.num_frames == 6
    assert len(found)
    assert (found.scores > 0.05).all()
    with torch.inference_mode():
        seqformer.bbox_head.controller[-1].bias[-1] = -1e4
    assert len(inference_video(seqformer, random_video())) == 0  # what is empty is dropped here too


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('windows', dict(length=3, stride=4), 'windows.stride: must be at most the 3'),
        ('mask_thr_binary', 1.0, 'mask_thr_binary: must be above 0 and below 1, but got 1'),
        ('drop_empty', 'yes', "drop_empty: must be True or False, but got 'yes'"),
        ('max_per_img', 2.5, 'max_per_img: must be a whole number >= 0, but got 2.5'),
        ('min_mask_score', 3, 'min_mask_score: must be a number from 0 to 1, but got 3'),
        ('tracker.min_iou', 2, 'tracker.min_iou: must be a number from 0 to 1, but got 2'),
    ],
)
def test_settings_that_cannot_be_are_refused_when_the_model_is_built(key, value, words):
    options = {f'model.test_cfg.{key}': value}
    with pytest.raises(InputError, match=f'model.test_cfg.{words}'):
        init_model('synthetic/seqformer_tiny', device='cpu', cfg_options=options)


def test_settings_of_a_config_file_are_checked_before_training_too(seqformer_config):
    for changes, words in (
        (dict(max_per_image=3), "has no key 'max_per_image'; did you mean 'max_per_img'"),
        (dict(windows=dict(length=None, stride=1, min_iou=0.1)), 'it is model.test_cfg.tracker'),
    ):
        config = copy.deepcopy(seqformer_config)
        config.model.test_cfg.update(changes)
        with pytest.raises(InputError, match=words):
            build_model(config, '12345', TrainOptions(''), logging.getLogger('test'))


def test_without_a_number_of_instances_it_is_said(seqformer):
    seqformer.test_cfg.pop('max_per_img')
    with pytest.raises(InputError, match='max_per_img must be the number of instances to output'):
        inference_video(seqformer, random_video())


@torch.inference_mode()
def test_a_higher_mask_threshold_leaves_fewer_pixels(seqformer):
    img = torch.randn(1, 2, 3, 64, 96)
    areas = []
    for threshold in (0.4, 0.5, 0.6):
        seqformer.test_cfg.mask_thr_binary = threshold
        masks = predict_clip(seqformer, img).masks
        areas.append(int(masks.frame(0).sum()))
        logits = masks.logits[:, 0]
        assert torch.equal(masks.maps()[:, 0] > 0, logits.sigmoid() > threshold)
    assert areas[0] > areas[1] > areas[2] > 0


@pytest.fixture
def training_model(seqformer_config):
    return build_for_training(seqformer_config)


@pytest.mark.parametrize(
    'counts',
    [[[2, 2], [1, 1]], [[0, 0], [0, 0]], [[3, 0], [0, 0]], [[1], [2]], [[9, 1]]],
    ids=['some', 'none', 'in one frame', 'one frame', 'more than queries'],
)
def test_clips_with_any_number_of_instances_train(training_model, counts):
    losses = training_model(return_loss=True, **batch(counts))
    names = {f'loss_{part}' for part in ('ce', 'bbox', 'giou', 'mask', 'dice')}
    assert set(losses) == names | {f'{name}_0' for name in names}
    total, _ = training_model._parse_losses(losses)
    assert torch.isfinite(total)
    total.backward()
    without = [
        name for name, parameter in training_model.named_parameters() if parameter.grad is None
    ]
    assert without == []
    if not any(map(sum, counts)):
        assert all(value == 0 for name, value in losses.items() if '_ce' not in name)


def test_what_lies_on_padding_does_not_change_the_losses(training_model):
    losses = []
    clips = batch([[2, 2], [1, 1]])
    features = [level.detach() for level in training_model.extract_feat(clips['img'])]
    training_model.extract_feat = lambda _: features  # the backbone itself does see padding
    for value in (0.0, 40.0):
        for level, stride in zip(features, (8, 16, 32, 64)):
            level[1, ..., 64 // stride :] = value
        losses.append(training_model(return_loss=True, **clips))
    for name in losses[0]:
        if 'mask' in name or 'dice' in name:
            continue  # masks are also predicted on padding, as in the official code
        torch.testing.assert_close(losses[0][name], losses[1][name])


def test_bf16_is_close_to_full_precision(training_model):
    clips = batch([[2, 2], [1, 1]])
    losses = {}
    for amp in (None, 'bf16'):
        trained = TrainingModel(training_model, torch.device('cpu'), amp, distributed=False)
        losses[amp] = trained.train_step(clips)['log_vars']
    for name, value in losses[None].items():
        assert losses['bf16'][name] == pytest.approx(value, rel=0.05), name


def test_weights_are_drawn_as_deformable_detr_does(training_model):
    head = training_model.bbox_head
    for attention in (head.encoder.layers[0].attention, head.decoder.layers[1].cross_attn):
        # Points lie on rays about the reference, each a cell further out.
        assert (attention.sampling_offsets.weight == 0).all()
        offsets = attention.sampling_offsets.bias.view(4, 4, 4, 2)  # heads, levels, points
        assert torch.allclose(offsets[:, :, 3].abs().amax(-1), torch.tensor(4.0))
        assert (attention.attention_weights.weight == 0).all()
        assert (attention.output_proj.bias == 0).all()
    for branch in head.class_branches:
        assert branch.bias.sigmoid().tolist() == pytest.approx([0.01] * 5, rel=1e-4)
    sizes = [branch[-1].bias.tolist() for branch in head.decoder.box_branches]
    assert sizes == [[0, 0, -2, -2], [0, 0, 0, 0]]
    assert all((branch[-1].weight == 0).all() for branch in head.decoder.box_branches)


@pytest.mark.parametrize(
    ('name', 'share'),
    [
        ('backbone.layers.0.1.0.norm1.weight', 0.1),
        ('bbox_head.encoder.layers.1.attention.sampling_offsets.weight', 0.1),
        ('bbox_head.decoder.layers.0.cross_attn.sampling_offsets.bias', 0.1),
        ('bbox_head.decoder.reference_points.weight', 0.1),
        ('bbox_head.decoder.layers.0.cross_attn.value_proj.weight', 1.0),
        ('bbox_head.decoder.queries.weight', 1.0),
        ('neck.levels.0.0.weight', 1.0),
    ],
)
def test_the_recipe_slows_what_the_paper_slows(training_model, name, share):
    config = load_config('seqformer/seqformer_r50_joint')
    optimizer = build_optimizer(training_model, config.optimizer)
    parameter = dict(training_model.named_parameters())[name]
    group = next(g for g in optimizer.param_groups if any(p is parameter for p in g['params']))
    assert group['lr'] == pytest.approx(2e-4 * share)
    assert group['weight_decay'] == 1e-4


@pytest.mark.parametrize(
    ('name', 'drops'),
    [('seqformer_r50_ytvis19', [2, 10]), ('seqformer_x101_joint', [4, 10])],
)
def test_the_recipe_of_the_data(name, drops):
    config = load_config(f'seqformer/{name}')
    assert config.epochs == dict(total=12, lr_drops=drops)
    assert config.optimizer_config.grad_clip.max_norm == 0.1
    parts = config.data.train.get('datasets', [config.data.train])
    for part in parts:
        resize, crop = part.pipeline[3].policies
        assert resize[0].short_sides == [288, 320, 352, 392, 416, 448, 480, 512]
        assert resize[0].max_long_side == 768
        assert [step.type for step in crop] == ['ResizeShortSide', 'RandomCrop', 'ResizeShortSide']
        assert part.clip_length == 5
    distorted = [any(s.type == 'PhotoMetricDistortion' for s in p.pipeline) for p in parts]
    assert distorted == [True, False][: len(parts)]


def test_losses_are_shared_among_instances_of_all_processes(training_model, monkeypatch):
    clips = batch([[2, 2], [1, 1]])
    alone = training_model(return_loss=True, **clips)
    seen = []

    def four_times_as_many(count):
        seen.append(count.item())
        return count * 4

    module = 'tevit_vis.models.heads.gather_gt.reduce_mean'
    monkeypatch.setattr(module, four_times_as_many)
    among_many = training_model(return_loss=True, **clips)
    assert seen == [3]
    for name, value in alone.items():
        assert among_many[name].item() == pytest.approx(value.item() / 4, rel=1e-4), name


def test_without_instances_losses_are_divided_by_one(training_model):
    outputs = []
    forward = training_model.bbox_head.forward
    training_model.bbox_head.forward = (
        lambda *a, **k: outputs.append(forward(*a, **k)) or outputs[0]
    )
    losses = training_model(return_loss=True, **batch([[0, 0]]))
    p = outputs[0].cls_scores[-1].sigmoid()
    by_hand = 2 * 0.75 * (-(p**2) * (1 - p).log()).sum()
    assert losses['loss_ce'].item() == pytest.approx(by_hand.item(), rel=1e-4)


@torch.inference_mode()
def test_a_padded_frame_is_predicted_like_the_image_in_it(seqformer):
    torch.manual_seed(0)
    features = seqformer.extract_feat(torch.randn(1, 2, 3, 64, 128))
    metas = [
        dict(meta, img_shape=(64, 64, 3), ori_shape=(64, 64, 3)) for meta in make_metas(2, 64, 128)
    ]
    found = seqformer.predict_clip(features, metas)
    for level, stride in zip(features, (8, 16, 32, 64)):
        level[..., 64 // stride :] = 30.0
    again = seqformer.predict_clip(features, metas)
    torch.testing.assert_close(again.scores, found.scores)
    torch.testing.assert_close(again.boxes, found.boxes)
