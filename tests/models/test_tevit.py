import numpy as np
import pytest
import torch
from builders import build_for_training, make_metas
from mmdet.core import BitmapMasks

from tevit_vis.masks import encode_clip
from tevit_vis.models.heads.tevit_roi_head import boxes_to_rois


def test_rois_count_frames_fastest():
    boxes = torch.arange(2 * 3 * 5 * 4, dtype=torch.float32).view(2, 3, 5, 4)
    rois = boxes_to_rois(boxes).view(2, 5, 3, 5)
    assert rois[0, 0, :, 0].tolist() == [0, 1, 2]
    assert rois[1, 4, :, 0].tolist() == [3, 4, 5]
    assert (rois[1, 4, 2, 1:] == boxes[1, 2, 4]).all()


@torch.inference_mode()
def test_passes_change_nothing(tiny_model):
    torch.manual_seed(0)
    img, metas = torch.randn(1, 3, 3, 64, 96), make_metas(3)
    reference = tiny_model.predict_clip(tiny_model.extract_feat(img), metas)
    for frames_per_pass, rois_per_pass in ((1, 1), (5, 7)):
        tiny_model.test_cfg.frames_per_pass = frames_per_pass
        tiny_model.test_cfg.rois_per_pass = rois_per_pass
        found = tiny_model.predict_clip(tiny_model.extract_feat(img), metas)
        assert torch.allclose(found.scores, reference.scores, atol=1e-5)
        assert torch.allclose(found.boxes, reference.boxes, atol=1e-3)
        assert torch.allclose(found.masks.logits, reference.masks.logits, atol=1e-4)


@torch.inference_mode()
def test_stages_treat_each_clip_alone(tiny_model):
    torch.manual_seed(0)
    img, metas = torch.randn(2, 3, 3, 64, 96), make_metas(6)
    *_, both = tiny_model.stages(tiny_model.extract_feat(img), metas)
    *_, second = tiny_model.stages(tiny_model.extract_feat(img[1:]), metas[3:])
    for together, alone in zip(both, second):
        assert together.shape[:3] == (2, 3, 7)
        assert torch.allclose(together[1:], alone, atol=2e-4)


@torch.inference_mode()
def test_queries_talk_across_frames(tiny_model):
    torch.manual_seed(0)
    features = tiny_model.extract_feat(torch.randn(1, 3, 3, 64, 96))
    changed = [level.clone() for level in features]
    for level in changed:
        level[:, 2] += 1.0
    *_, before = tiny_model.stages(features, make_metas(3))
    *_, after = tiny_model.stages(changed, make_metas(3))
    assert (before.cls_score[0, 0] - after.cls_score[0, 0]).abs().max() > 1e-5


@torch.inference_mode()
def test_prediction_is_the_best_pairs_in_original_pixels(tiny_model):
    torch.manual_seed(0)
    metas = make_metas(2, scale=0.5)
    features = tiny_model.extract_feat(torch.randn(1, 2, 3, 64, 96))
    *_, last = tiny_model.stages(features, metas)
    prediction = tiny_model.predict_clip(features, metas)
    scores = last.cls_score[0].sigmoid().mean(0)
    best = scores.flatten().sort(descending=True).values[:10]
    assert torch.allclose(prediction.scores, best)
    assert torch.allclose(scores[prediction.queries, prediction.labels], prediction.scores)
    boxes = last.boxes[0, 1, prediction.queries[3]]
    assert torch.allclose(prediction.boxes[3, 1], boxes / 0.5)
    assert prediction.masks.size == (128, 192)
    assert prediction.masks.logits.shape == (10, 2, 28, 28)


@pytest.mark.parametrize(('wanted', 'given'), [(10**6, 7 * 40), (0, 0)])
@torch.inference_mode()
def test_no_more_pairs_than_there_are_or_are_wanted(tiny_model, wanted, given):
    tiny_model.roi_head.test_cfg.max_per_img = wanted
    prediction = tiny_model.predict_clip(
        tiny_model.extract_feat(torch.randn(1, 2, 3, 64, 96)), make_metas(2)
    )
    assert prediction.masks.logits.shape == (given, 2, 28, 28)
    instances = encode_clip(prediction)
    assert (len(instances), instances.num_frames) == (given, 2)


@torch.inference_mode()
def test_boxes_end_at_the_border_where_the_coder_clips(tiny_model):
    torch.manual_seed(0)
    features, metas = tiny_model.extract_feat(torch.randn(1, 2, 3, 64, 96)), make_metas(2, 60, 90)
    *_, free = tiny_model.stages(features, metas)
    for head in tiny_model.roi_head.bbox_head:
        head.bbox_coder.clip_border = True
    *_, clipped = tiny_model.stages(features, metas)
    assert free.boxes.min() < 0
    assert clipped.boxes.min() >= 0
    assert clipped.boxes[..., 2].max() <= 90
    assert clipped.boxes[..., 3].max() <= 60


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@torch.inference_mode()
def test_the_gpu_gives_the_cpus_numbers(tiny_model):
    torch.manual_seed(0)
    img, metas = torch.randn(1, 3, 3, 64, 96), make_metas(3)
    expected = tiny_model.predict_clip(tiny_model.extract_feat(img), metas)
    model = tiny_model.cuda()
    found = model.predict_clip(model.extract_feat(img.cuda()), metas)
    assert torch.allclose(found.scores.cpu(), expected.scores, atol=1e-4)
    assert torch.allclose(found.masks.logits.cpu(), expected.masks.logits, atol=1e-2)


def make_truths(counts):
    """Lists of T frames with these numbers of instances: boxes, labels, masks, ids."""
    boxes = [torch.tensor([[8.0, 8, 40, 30]] * count).reshape(-1, 4) for count in counts]
    return dict(
        gt_bboxes=boxes,
        gt_labels=[torch.arange(count) for count in counts],
        gt_masks=[BitmapMasks(np.ones((n, 64, 96), np.uint8), 64, 96) for n in counts],
        gt_ids=[torch.arange(count) for count in counts],
    )


@pytest.fixture
def training_model(tiny_config):
    return build_for_training(tiny_config)


@pytest.mark.parametrize('counts', [(2, 1), (1, 0), (0, 0)])
def test_clips_with_any_number_of_instances_train(training_model, counts):
    torch.manual_seed(0)
    truths = {name: [value] for name, value in make_truths(counts).items()}
    losses = training_model(torch.randn(1, 2, 3, 64, 96), [make_metas(2)], **truths)
    total, values = training_model._parse_losses(losses)
    total.backward()
    assert np.isfinite(list(values.values())).all()
    # Without positives the class loss is a sum over queries, not that sum over an epsilon.
    assert values['stage1_loss_cls'] < 1e4
    assert (values['stage1_loss_mask'] > 0) == any(counts)
    gradients = [p.grad for p in training_model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
