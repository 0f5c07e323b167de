"""Check a golden case of SeqFormer: our config, checkpoint, tensors and results against theirs.

Letters: B clips, T frames, Q queries, K classes, N output instances.
"""

from __future__ import annotations

import numpy as np
import torch
from compare import compare_results, record, relative, relative_to_largest
from golden import GoldenCase
from mmcv import Config
from mmdet.core import BitmapMasks
from report import Report
from running import (
    build_for_training,
    case_dataset,
    gradients_of,
    num_frozen,
    report_gradients,
    run_test,
    stored_videos,
)

from tevit_vis.converters import TABLES, ConversionResult, convert_checkpoint
from tevit_vis.models.heads.gather_gt import batch_padding
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

LOSSES, GRADIENTS = 1e-4, 5e-3  # relative
SMALL_MODEL, FULL_MODEL, HALF = 1e-4, 5e-4, 1e-3  # relative to an array's largest value
SCORES, IOU = 1e-4, 0.98
NO_GRADIENT = 1e-6  # norms below it are rounding
BACKBONES = {
    'resnet50': 'r50',
    'resnet101': 'r101',
    'resnext101_32x8d': 'x101',
    'swin_l_p4w12': 'swin-l',
}
# What the arguments of the official command line are here; what is in neither list has no part in
# the network, its losses or its results.
SETTINGS = {
    'hidden_dim': (
        'model.neck.out_channels',
        'model.bbox_head.embed_dims',
    ),
    'nheads': (
        'model.bbox_head.encoder.attention.num_heads',
        'model.bbox_head.decoder.attention.num_heads',
        'model.bbox_head.decoder.num_heads',
    ),
    'dim_feedforward': (
        'model.bbox_head.encoder.feedforward_channels',
        'model.bbox_head.decoder.feedforward_channels',
    ),
    'dropout': ('model.bbox_head.encoder.dropout', 'model.bbox_head.decoder.dropout'),
    'enc_layers': ('model.bbox_head.encoder.num_layers',),
    'dec_layers': ('model.bbox_head.decoder.num_layers',),
    'enc_n_points': ('model.bbox_head.encoder.attention.num_points',),
    'dec_n_points': ('model.bbox_head.decoder.attention.num_points',),
    'num_queries': ('model.bbox_head.decoder.num_queries',),
    'rel_coord': ('model.bbox_head.with_coordinates',),
    'focal_alpha': ('model.bbox_head.losses.ce.alpha', 'model.train_cfg.assigner.costs.0.alpha'),
    'cls_loss_coef': ('model.bbox_head.losses.ce.loss_weight',),
    'bbox_loss_coef': ('model.bbox_head.losses.bbox.loss_weight',),
    'giou_loss_coef': ('model.bbox_head.losses.giou.loss_weight',),
    'mask_loss_coef': ('model.bbox_head.losses.mask.loss_weight',),
    'dice_loss_coef': ('model.bbox_head.losses.dice.loss_weight',),
    'set_cost_class': ('model.train_cfg.assigner.costs.0.weight',),
    'set_cost_bbox': ('model.train_cfg.assigner.costs.1.weight',),
    'set_cost_giou': ('model.train_cfg.assigner.costs.2.weight',),
}
# Arguments that the official code knows in one form only, or that ours cannot be without.
FIXED = {
    'aux_loss': True,
    'dilation': False,
    'mask_out_stride': 4,
    'masks': True,
    'num_feature_levels': 4,
    'position_embedding': 'sine',
    'with_box_refine': True,
}


def config_from_manifest(manifest: dict) -> Config:
    """Our config for the official arguments of a manifest.

    Raises:
        InputError: an argument that ours has no counterpart of.
    """
    official = manifest['config']
    if official['backbone'] not in BACKBONES:
        raise InputError(
            f'manifest.json: backbone must be one of {", ".join(BACKBONES)}, '
            f'but got {official["backbone"]}'
        )
    for name, value in FIXED.items():
        if official.get(name, value) != value:
            raise InputError(f'manifest.json: {name} must be {value}, but got {official[name]}')
    config = load_config(f'seqformer/seqformer_{BACKBONES[official["backbone"]]}_joint')
    for name, keys in SETTINGS.items():
        for key in keys if name in official else ():
            config.merge_from_dict({key: official[name]})
    return config


def check(case: GoldenCase) -> Report:
    """Run the whole pipeline on a case and compare all that is stored."""
    report = Report()
    config = config_from_manifest(case.manifest)
    converted = convert_checkpoint(
        dict(case.state_dict()), TABLES['seqformer'], str(case.folder / 'manifest.json')
    )
    report.add('converter: missing', len(converted.missing), 0)
    weights = dict(state_dict=converted.weights)
    compare_parameters(report, config, case, converted)
    if case.training is not None:
        compare_training(report, case, weights)
    if not case.annotations.is_file():
        return report
    dataset = case_dataset(config, case)
    model, ours = run_test(config, weights, dataset)
    compare_results(
        report, ours, case.results, scores=SCORES, pixels=float('inf'), lost_iou=1 - IOU
    )
    for name, frames, expected in stored_videos(dataset, case):
        compare_tensors(report, model, frames, expected, prefix=f'{name} ')
    return report


def compare_parameters(
    report: Report, config: Config, case: GoldenCase, converted: ConversionResult
) -> None:
    """The official count has no frozen batch norms, and an unused layer of each encoder layer."""
    model = build_for_training(config, dict(state_dict=converted.weights))
    official = dict(case.state_dict())
    unused = sum(
        official[key].numel()
        for key, reason in converted.dropped
        if 'second name' not in reason and official[key].is_floating_point()
    )
    ours = sum(parameter.numel() for parameter in model.parameters()) - num_frozen(model) + unused
    report.add('parameters', abs(ours - case.manifest['num_params']), 0)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) + unused
    report.add('trained', abs(trained - case.manifest['num_params_trainable']), 0)


def compare_training(report: Report, case: GoldenCase, weights: dict) -> None:
    """Losses, assignments, predictions and gradients of the fixed training batch."""
    described, arrays = case.training
    config = config_from_manifest(described)
    model = build_for_training(config, weights)
    model.train()
    batch = training_batch(described, arrays)
    matched = record(model.bbox_head, 'match_layers')
    outputs = record(model.bbox_head, 'forward')
    masks = record(model.bbox_head, '_mask_logits')
    losses = model(return_loss=True, **batch)
    ours = {name: value.item() for name, value in losses.items()}
    for name, theirs in described['weighted'].items():
        report.add(f'train {name} (relative)', relative(ours[name], theirs), LOSSES)
    report.add('train losses in one only', len(set(ours) ^ set(described['weighted'])), 0)
    total, _ = model._parse_losses(losses)
    report.add('train total loss', relative(total.item(), described['total']), LOSSES)
    assigned = [pair for layer in matched[0] for pair in layer]
    pairs = [pair for layer in described['matcher_indices'] for pair in layer]
    wrong = sum(
        (queries.tolist(), instances.tolist()) != (pair['pred'], pair['gt'])
        for (queries, instances), pair in zip(assigned, pairs)
    )
    report.add('train assignments', wrong + abs(len(assigned) - len(pairs)), 0)
    found = {
        'pred_logits': torch.stack(outputs[0].cls_scores),
        'pred_boxes': torch.stack([layer.boxes for layer in outputs[0].layers]),
    }
    num_clips = len(batch['img'])
    for clip, logits in enumerate(masks[-num_clips:]):
        found[f'clip{clip}_pred_masks_last'] = logits[None]
    for name, tensor in found.items():
        difference = relative_to_largest(tensor.detach().numpy(), arrays[name])
        report.add(f'train {name}', difference, SMALL_MODEL)
    total.backward()
    compare_gradients(report, model, described)


def compare_gradients(report: Report, model: torch.nn.Module, described: dict) -> None:
    """Norms of the gradients by official name.

    Those that are rounding in float64, too, are left out, and those of a layer of the encoder that
    the official code has, but does not use.
    """
    ours = convert_checkpoint(
        gradients_of(model), TABLES['seqformer'], 'gradients', reverse=True
    ).weights
    exact = described['float64']['grad_l2_norm']
    theirs, num_lost = {}, 0
    for name, norm in described['grad_l2_norm'].items():
        if norm is None or ('encoder' in name and 'output_proj_box' in name):
            num_lost += norm is not None and norm > NO_GRADIENT
        elif exact[name] > NO_GRADIENT:
            theirs[name] = norm
    report_gradients(report, ours, theirs, GRADIENTS, num_lost)


def training_batch(described: dict, arrays: dict[str, np.ndarray]) -> dict:
    """The fixed batch as the detector's contract wants it."""
    num_clips, num_frames = (described['batch'][key] for key in ('num_clips', 'num_frames'))
    padded = tuple(described['batch']['padded_hw'])
    img = torch.zeros(num_clips, num_frames, 3, *padded)
    batch = {key: [] for key in ('img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')}
    for clip in range(num_clips):
        stored = {
            name[len(f'clip{clip}_') :]: value
            for name, value in arrays.items()
            if name.startswith(f'clip{clip}_')
        }
        height, width = stored['size'].tolist()
        img[clip, :, :, :height, :width] = normalised(stored['u8'])
        shape = stored['masks_shape']
        bits = np.unpackbits(stored['masks_packed'])[: np.prod(shape)].reshape(shape)
        count = len(stored['labels'])
        # Instance after instance, each in all frames; an instance out of sight is left out here.
        bits = bits.reshape(count, num_frames, *shape[1:])
        boxes = stored['boxes'].reshape(count, num_frames, 4)
        seen = stored['valid'].reshape(count, num_frames).astype(bool)
        scale = np.array([width, height, width, height], np.float32)
        corners = np.concatenate(
            [boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1
        )
        frames = range(num_frames)
        batch['img_metas'].append([dict(img_shape=(height, width, 3)) for _ in frames])
        batch['gt_bboxes'].append(
            [torch.from_numpy(corners[seen[:, t], t] * scale).float() for t in frames]
        )
        batch['gt_labels'].append([torch.from_numpy(stored['labels'][seen[:, t]]) for t in frames])
        batch['gt_masks'].append(
            [BitmapMasks(bits[seen[:, t], t], *bits.shape[2:]) for t in frames]
        )
        batch['gt_ids'].append([torch.from_numpy(np.flatnonzero(seen[:, t])) for t in frames])
    return dict(img=img, **batch)


def normalised(images: np.ndarray) -> torch.Tensor:
    """[T, 3, H, W] of images [T, H, W, 3] (uint8, RGB)."""
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    values = (images.astype(np.float32) / np.float32(255) - mean) / std
    return torch.from_numpy(values).permute(0, 3, 1, 2)


@torch.inference_mode()
def compare_tensors(
    report: Report, model: torch.nn.Module, frames: list, expected: dict, prefix: str
) -> None:
    """Every stored tensor of one video; the network runs on the stored input."""
    metas = [frame.meta for frame in frames]
    ours = torch.stack([frame.img for frame in frames])
    theirs = normalised(np.cumsum(expected['img_u8_dx'], axis=2, dtype=np.uint8))
    report.add(prefix + 'input', relative_to_largest(ours.numpy(), theirs.numpy()), SMALL_MODEL)
    size = tuple(metas[0]['ori_shape'][1::-1])
    report.add(prefix + 'original size', float(size != tuple(expected['original_wh'])), 0)

    features = model.extract_feat(theirs[None])
    head = model.bbox_head
    padding = batch_padding([metas], theirs.shape[2:], 1, theirs.device)
    outputs = head(features, padding, model.frames_per_pass(theirs.shape[2:]))
    memory = outputs.memory
    bound = SMALL_MODEL if head.decoder.queries.num_embeddings < 100 else FULL_MODEL

    def compare(name: str, found: torch.Tensor, stored: str, limit: float = bound) -> None:
        difference = relative_to_largest(found.float().numpy(), expected[stored].astype(np.float32))
        report.add(prefix + name, difference, limit)

    compare('valid ratios', memory.valid_ratios, 'valid_ratios')
    if 'memory_f16' in expected:
        step = int(expected.get('memory_channel_step', 1))  # channels are stored every so many
        compare('memory (half)', memory.features[0, ..., ::step], 'memory_f16', HALF)
    values = memory.features.double().numpy()
    stats = np.array([values.mean(), values.std(), np.abs(values).mean()])
    stored = expected['memory_stats'] / [1, 1, values.size]  # the third is a sum
    report.add(prefix + 'memory statistics', float(np.abs(stats - stored).max()), bound)
    compare('memory', memory.features[:, :, ::97, ::7], 'memory_slice')
    compare('logits', torch.cat(outputs.cls_scores), 'pred_logits')
    compare('boxes', torch.cat([layer.boxes for layer in outputs.layers]), 'pred_boxes')

    probabilities = outputs.cls_scores[-1][0].sigmoid()
    scores, best = probabilities.flatten().topk(len(expected['topk_scores']))
    compare('best scores', scores, 'topk_scores')
    pairs = (best.numpy() != expected['topk_indices']).sum()
    report.add(prefix + '(query, class) pairs that differ', float(pairs), 0)
    prediction = model.predict_clip(features, metas)
    queries = torch.from_numpy(expected['mask_queries'])
    places = [int((prediction.queries == query).nonzero()[0]) for query in queries]
    masks = prediction.masks.logits[places]
    compare('masks (half)', masks, 'pred_masks_f16', HALF)
    compare('masks', masks[:, :, ::9, ::9], 'pred_masks_slice')
