"""Without attention along time TeViT is mmdet's QueryInst, which it is pretrained as."""

import copy
import os

import mmdet
import pytest
import torch
from builders import random_video
from mmcv import Config
from mmdet.core import bbox2roi
from mmdet.models import build_detector

from tevit_vis.apis import inference_video, init_model
from tevit_vis.apis.build import build_without_pretraining
from tevit_vis.utils.config import load_config
from tevit_vis.utils.weights import load_weights


@pytest.fixture
def pair(tiny_config):
    """Our model without time and mmdet's QueryInst, of the same weights."""
    config = tiny_config.model
    config.backbone = dict(type='PyramidVisionTransformerV2', embed_dims=8, num_layers=[1] * 4)
    config.train_cfg = None
    host = copy.deepcopy(config)
    config.roi_head.with_time = False
    host.type = 'QueryInst'
    host.roi_head.type = 'SparseRoIHead'
    for head in host.roi_head.bbox_head:
        head.type = 'DIIHead'
    for key in ('frames_per_pass', 'rois_per_pass'):
        host.test_cfg.pop(key)
    torch.manual_seed(0)
    ours, theirs = build_detector(config).eval(), build_detector(host).eval()
    ours.init_weights()
    boxes = ours.rpn_head.init_proposal_bboxes.weight
    with torch.no_grad():
        boxes[:, :2] = torch.rand(len(boxes), 2)
        boxes[:, 2:] = 0.2 + 0.5 * torch.rand(len(boxes), 2)
    theirs.load_state_dict(ours.state_dict())  # no key renamed
    return ours, theirs


@torch.no_grad()
def test_each_frame_gives_what_queryinst_gives(pair):
    ours, theirs = pair
    frames = torch.randn(3, 3, 64, 96)
    meta = dict(img_shape=(64, 96, 3), scale_factor=[1.0] * 4, ori_shape=(64, 96, 3))
    *_, last = ours.stages(ours.extract_feat(frames[None]), [meta] * 3)
    levels = theirs.extract_feat(frames)
    boxes, queries, sizes = theirs.rpn_head.simple_test_rpn(levels, [meta] * 3)
    head = theirs.roi_head
    for stage in range(head.num_stages):
        results = head._bbox_forward(stage, levels, bbox2roi(list(boxes)), queries, [meta] * 3)
        queries, boxes = results['object_feats'], torch.stack(results['detach_proposal_list'])
    assert torch.allclose(last.cls_score[0], results['cls_score'], atol=1e-4)
    assert torch.allclose(last.boxes[0], boxes, atol=1e-3)
    assert torch.allclose(last.attn_feats[0], results['attn_feats'], atol=1e-4)


@pytest.mark.parametrize('name', ['queryinst_r50_coco', 'queryinst_pvtv2-b1_coco'])
def test_pretraining_configs_give_tevit_its_weights(name):
    """Names and shapes of all but the classifiers are those of the TeViT that starts from them."""
    target = 'tevit_r50' if 'r50' in name else 'tevit_msgshift'
    states = []
    for config in (load_config(f'tevit/{name}'), load_config(f'tevit/{target}')):
        config.model.update(train_cfg=None)
        config.model.backbone.init_cfg = None
        one = {name: config.model.roi_head[name][:1] for name in ('bbox_head', 'mask_head')}
        config.model.roi_head.update(num_stages=1, stage_loss_weights=[1], **one)
        model = build_detector(config.model)
        states.append({key: value.shape for key, value in model.state_dict().items()})
    pretrained, wanted = states
    assert set(wanted) - set(pretrained) == ({'backbone.msg_tokens'} if 'pvt' in name else set())
    reshaped = {key.split('.')[-2] for key in pretrained if pretrained[key] != wanted[key]}
    assert reshaped == {'fc_cls', 'conv_logits'}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        ('r50', 'r50_fpn_mstrain_480-800'),
        ('r50_300', 'r50_fpn_300_proposals_crop_mstrain_480-800'),
        ('r101', 'r101_fpn_mstrain_480-800'),
        ('r101_300', 'r101_fpn_300_proposals_crop_mstrain_480-800'),
    ],
)
def test_checkpoints_of_the_zoo_fit(ours, theirs):
    folder = os.path.join(os.path.dirname(mmdet.__file__), '.mim', 'configs', 'queryinst')
    host = Config.fromfile(f'{folder}/queryinst_{theirs}_3x_coco.py').model
    host.backbone.init_cfg = None
    weights = build_detector(host).state_dict()
    model = build_without_pretraining(load_config(f'tevit/queryinst_{ours}_coco'))
    load_weights(model, {'state_dict': weights, 'meta': {}}, 'zoo.pth')
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, weights[name])


def test_frames_are_linked(tiny_config):
    tracking = load_config('tevit/queryinst_r50_coco').model.test_cfg
    tiny_config.model.roi_head.with_time = False
    for name in ('windows', 'tracker'):
        tiny_config.model.test_cfg[name] = tracking[name]
    tiny_config.model.test_cfg.tracker.min_score = 0.0
    torch.manual_seed(0)
    instances = inference_video(init_model(tiny_config, device='cpu'), random_video(4))
    assert instances.num_frames == 4
    assert len(instances)
