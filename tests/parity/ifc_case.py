"""Check a golden case of IFC: our config, checkpoint, windows, tracks and results against theirs.

Letters: T frames of a window, Q queries, K classes, N instances of a window, M tracks.
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
)

from tevit_vis.converters import TABLES, convert_checkpoint
from tevit_vis.models.heads.gather_gt import batch_padding
from tevit_vis.models.heads.ifc_head import ENCODER_STRIDE
from tevit_vis.tracking import SoftIoUStitcher, join_frames
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

TENSORS, HALF = 3e-4, 2e-3  # relative to an array's largest value; official rounding: 1e-4
LOSSES, GRADIENTS = 3e-5, 1e-3  # relative
OVERLAPS, SCORES, BITS = 1e-3, 1e-4, 1e-4
# What the official keys below MODEL.IFC are here.
SETTINGS = {
    'HIDDEN_DIM': ('model.neck.out_channels', 'model.bbox_head.embed_dims'),
    'NHEADS': ('model.bbox_head.encoder.num_heads', 'model.bbox_head.decoder.num_heads'),
    'DIM_FEEDFORWARD': (
        'model.bbox_head.encoder.feedforward_channels',
        'model.bbox_head.decoder.feedforward_channels',
    ),
    'DROPOUT': ('model.bbox_head.encoder.dropout', 'model.bbox_head.decoder.dropout'),
    'ENC_LAYERS': ('model.bbox_head.encoder.num_layers',),
    'DEC_LAYERS': ('model.bbox_head.decoder.num_layers',),
    'NUM_MEMORY_BUS': ('model.bbox_head.encoder.num_tokens',),
    'NUM_OBJECT_QUERIES': ('model.bbox_head.decoder.num_queries',),
    'NUM_CLASSES': ('model.bbox_head.num_classes',),
    'NO_OBJECT_WEIGHT': ('model.bbox_head.no_object_weight',),
    'MASK_WEIGHT': ('model.bbox_head.losses.mask.loss_weight',),
    'DICE_WEIGHT': (
        'model.bbox_head.losses.dice.loss_weight',
        'model.train_cfg.assigner.costs.1.weight',
    ),
    'CLIP_STRIDE': ('model.test_cfg.windows.stride',),
    'APPLY_CLS_THRES': ('model.test_cfg.tracker.min_score',),
}
FIXED = {'DEEP_SUPERVISION': True, 'MASK_STRIDE': 4, 'MATCH_STRIDE': 4, 'PRE_NORM': False,
         'MULTI_CLS_ON': True}  # fmt: skip


def config_from_manifest(manifest: dict) -> Config:
    """Our config for the official keys of a manifest.

    Raises:
        InputError: a key that ours has no counterpart of.
    """
    official = manifest['config']
    model, inputs = official['MODEL'], official['INPUT']
    depth, caffe = model['RESNETS']['DEPTH'], model['RESNETS']['STRIDE_IN_1X1']
    if (depth, caffe) not in ((50, False), (101, True)):
        raise InputError(f'manifest.json: RESNETS: depth {depth} with STRIDE_IN_1X1 {caffe}')
    for name, value in FIXED.items():
        if model['IFC'].get(name, value) != value:
            raise InputError(f'manifest.json: {name} must be {value}')
    data = 'coco_pretrain' if 'coco' in official['DATASETS']['TRAIN'][0] else 'ytvis19'
    config = load_config(f'ifc/ifc_r{depth}_{data}')
    changes = {
        key: model['IFC'][name]
        for name, keys in SETTINGS.items()
        for key in (keys if name in model['IFC'] else ())
    }
    changes['model.test_cfg.windows.length'] = inputs['SAMPLING_FRAME_NUM']
    config.merge_from_dict(changes)
    resize = config.data.test.pipeline[1]
    resize.short_sides = [inputs['MIN_SIZE_TEST']]
    resize.max_long_side = inputs['MAX_SIZE_TEST']
    return config


def check(case: GoldenCase) -> Report:
    """Run the whole pipeline on a case and compare all that is stored."""
    report = Report()
    config = config_from_manifest(case.manifest)
    converted = convert_checkpoint(
        dict(case.state_dict()), TABLES['ifc'], str(case.folder / 'manifest.json')
    )
    report.add('converter: missing', len(converted.missing), 0)
    weights = dict(state_dict=converted.weights)
    model = build_for_training(config, weights)
    count = sum(p.numel() for p in model.parameters()) - num_frozen(model)
    report.add('parameters', abs(count - case.manifest['num_params']), 0)
    if case.training is not None:
        compare_training(report, model, case)
    if not case.annotations.is_file():
        for _, stored in case.expected():
            compare_images(report, model, case, dict(stored))
        return report
    dataset = case_dataset(config, case)
    model, ours = run_test(config, weights, dataset)
    pixels = sum(v.height * v.width * v.num_frames for v in dataset.videos)
    compare_results(
        report, ours, case.results, SCORES, pixels=BITS * pixels * len(ours), lost_iou=0.02
    )
    expected = dict(next(case.expected())[1])
    for number, video in enumerate(dataset.videos, start=1):
        stored = {
            name[len(f'v{number}.') :]: value
            for name, value in expected.items()
            if name.startswith(f'v{number}.')
        }
        if stored:
            frames = [dataset.load_frame(video, index) for index in range(video.num_frames)]
            compare_video(report, model, frames, stored, prefix=f'{video.name} ')
    return report


def compare_stored(report: Report, prefix: str, name: str, ours: np.ndarray, stored: dict) -> None:
    """One tensor with its stored whole, or with statistics and every n-th value."""
    if name in stored:
        report.add(prefix + name, relative_to_largest(ours, stored[name]), TENSORS)
        return
    if f'{name}.strided' not in stored:
        return
    report.add(f'{prefix}{name}.shape', float(ours.shape != tuple(stored[f'{name}.shape'])), 0)
    steps = tuple(slice(None, None, int(step)) for step in stored[f'{name}.strides'])
    difference = relative_to_largest(ours[steps], stored[f'{name}.strided'])
    report.add(f'{prefix}{name}.strided', difference, TENSORS)
    values = ours.astype(np.float64)
    stats = np.array([values.mean(), values.std(), np.abs(values).mean()])
    theirs = stored[f'{name}.mean_std_abssum'] / [1, 1, values.size]  # the third is a sum
    report.add(f'{prefix}{name} statistics', relative_to_largest(stats, theirs), TENSORS)


@torch.inference_mode()
def compare_video(
    report: Report, model: torch.nn.Module, frames: list, stored: dict, prefix: str
) -> None:
    """Maps of the frames, then window after window, then the tracks."""
    metas = [frame.meta for frame in frames]
    img = torch.stack([frame.img for frame in frames])
    compare_stored(report, prefix, 'normalized', img.numpy(), stored)
    for name, level in zip(('res3', 'res4', 'res5'), model.backbone(img)):
        compare_stored(report, prefix, f'backbone_{name}', level.numpy(), stored)
    features = model.extract_feat(img[None])
    stitcher = model.inference_config.build_tracker()
    closed = []
    for clip in range(int(stored['num_clips'])):
        closed += stitcher.close(before=int(stored[f'clip{clip}.frame_idx'][0]))
        compare_window(report, model, features, metas, stitcher, stored, clip, prefix)
    found = join_frames(closed + stitcher.close(), stitcher.min_score)
    wrong = float(found.labels.tolist() != stored['pred_labels'].tolist())
    report.add(prefix + 'labels that differ', wrong, 0)
    if not wrong:
        report.add(
            prefix + 'scores', np.abs(found.scores - stored['pred_scores']).max(initial=0), SCORES
        )


def compare_window(
    report: Report,
    model: torch.nn.Module,
    features: tuple,
    metas: list[dict],
    stitcher: SoftIoUStitcher,
    stored: dict,
    clip: int,
    prefix: str,
) -> None:
    """The network on one window, and where its instances go."""
    part = f'clip{clip}.'
    frames = range(int(stored[part + 'frame_idx'][0]), int(stored[part + 'frame_idx'][-1]) + 1)
    levels = [level[:, frames.start : frames.stop] for level in features]
    some_metas = metas[frames.start : frames.stop]
    head = model.bbox_head
    padding = batch_padding([some_metas], levels[-1].shape[3:], ENCODER_STRIDE, levels[-1].device)
    outputs = head(levels, padding)
    logits = head.mask_logits(outputs.features, outputs.queries[-1])[0]
    tensors = {
        'hs': outputs.queries[-1].transpose(0, 1),  # [Q, 1, C]
        'pred_logits': outputs.cls_scores[-1][0],
        'pred_masks': logits,
    }
    for name, tensor in tensors.items():
        compare_stored(report, prefix, part + name, tensor.numpy(), stored)
    for query in (0, 5, 11):
        name = f'{part}pred_masks.query{query}'
        if name in stored:
            theirs = stored[name].astype(np.float32)
            kept = logits[stored[part + 'kept'][query]].numpy()
            best = min(
                relative_to_largest(kept, theirs),
                relative_to_largest(logits[query].numpy(), theirs),
            )
            report.add(prefix + name, best, HALF)
    prediction = model.predict_clip(levels, some_metas)
    wrong = float(prediction.queries.tolist() != stored[part + 'kept'].tolist())
    report.add(f'{prefix}{part}kept', wrong, 0)
    overlaps = np.zeros_like(stored[part + 'siou'])  # of tracks that ended, too
    overlaps[list(stitcher.store.open)] = stitcher.overlaps(
        frames, prediction.masks.logits.sigmoid()
    )
    report.add(
        f'{prefix}{part}siou',
        np.abs(overlaps - stored[part + 'siou']).max(initial=0.0),
        OVERLAPS,
    )
    numbers = stitcher.add(frames, prediction)
    report.add(f'{prefix}{part}tracks', float(numbers != stored[part + 'saved_idx'].tolist()), 0)
    report.add(
        f'{prefix}{part}number of tracks',
        abs(stitcher.store.num_tracks - int(stored[part + 'num_inst'])),
        0,
    )


@torch.inference_mode()
def compare_images(
    report: Report, model: torch.nn.Module, case: GoldenCase, stored: dict[str, np.ndarray]
) -> None:
    """The network on a batch of images of two sizes, and the queries that are output of each."""
    model.eval()
    batch = training_batch(*case.training, case.manifest)
    levels = model.extract_feat(batch['img'])
    padding = batch_padding(
        batch['img_metas'], levels[-1].shape[3:], ENCODER_STRIDE, levels[-1].device
    )
    outputs = model.bbox_head(levels, padding)
    logits = outputs.cls_scores[-1]
    masks = model.bbox_head.mask_logits(outputs.features, outputs.queries[-1])
    compare_stored(report, 'images ', 'pred_logits', logits.numpy(), stored)
    compare_stored(report, 'images ', 'pred_masks', masks.numpy(), stored)
    for image, scores in enumerate(logits.softmax(-1)):
        kept = scores.argmax(-1) < model.num_classes
        # The official code drops a query whose mask is empty.
        kept &= (masks[image] > 0).flatten(1).any(1)
        best, labels = scores[kept].max(-1)
        wrong = labels.tolist() != stored[f'image{image}.labels'].tolist()
        report.add(f'image{image} labels that differ', float(wrong), 0)
        if not wrong:
            difference = np.abs(best.numpy() - stored[f'image{image}.scores']).max(initial=0.0)
            report.add(f'image{image} scores', difference, SCORES)


def compare_training(report: Report, model: torch.nn.Module, case: GoldenCase) -> None:
    """Losses, assignments, predictions and gradients of the fixed training batch."""
    described, arrays = case.training
    model.train()
    batch = training_batch(described, arrays, case.manifest)
    compare_stored(report, 'train ', 'normalized', batch['img'].flatten(0, 1).numpy(), arrays)
    matched = record(model.bbox_head, 'match_layers')
    losses = model(return_loss=True, **batch)
    for name, value in losses.items():
        theirs = described['loss_after_weights'][name]
        report.add(f'train {name} (relative)', relative(value.item(), theirs), LOSSES)
    total, _ = model._parse_losses(losses)
    report.add('train total loss', relative(total.item(), described['total_for_backward']), LOSSES)
    layers = sorted(name for name in described['matcher'] if name != 'last') + ['last']
    pairs = [pair for layer in layers for pair in described['matcher'][layer]]
    found = [
        [queries.tolist(), instances.tolist()]
        for layer in matched[0]
        for queries, instances in layer
    ]
    report.add('train assignments', float(found != [as_sorted(pair) for pair in pairs]), 0)
    total.backward()
    ours = convert_checkpoint(gradients_of(model), TABLES['ifc'], 'gradients', reverse=True).weights
    noise = described['grad_is_rounding_noise']
    theirs = {
        name: norm
        for name, norm in described['grad_norm'].items()
        if name not in noise and norm is not None
    }
    report_gradients(report, ours, theirs, GRADIENTS)


def as_sorted(pair: list) -> list:
    """Queries and their instances, by number of the query."""
    order = np.argsort(pair[0])
    return [[pair[0][i] for i in order], [pair[1][i] for i in order]]


def training_batch(described: dict, arrays: dict[str, np.ndarray], manifest: dict) -> dict:
    """The fixed batch as the detector's contract wants it."""
    num_frames = described['num_frames']
    sizes = [(video['h'], video['w']) for video in described['videos']]
    img = torch.zeros(len(sizes), num_frames, 3, *described['padded_size'])
    model = manifest['config']['MODEL']
    mean, std = (torch.tensor(model[key])[:, None, None] for key in ('PIXEL_MEAN', 'PIXEL_STD'))
    batch = {key: [] for key in ('img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')}
    for clip, (height, width) in enumerate(sizes):
        frames = torch.from_numpy(arrays[f'v{clip}.frames_rgb_uint8']).float().permute(0, 3, 1, 2)
        img[clip, :, :, :height, :width] = (frames - mean) / std
        shape = arrays[f'v{clip}.gt_masks.shape']
        bits = np.unpackbits(arrays[f'v{clip}.gt_masks.bits'])[: np.prod(shape)].reshape(shape)
        ids, classes = arrays[f'v{clip}.gt_ids'], arrays[f'v{clip}.gt_classes']  # [N, T]
        known = (ids >= 0).any(1)
        # Without a class in a frame an instance is absent there; its place is its number here.
        seen = (classes < manifest['config']['MODEL']['IFC']['NUM_CLASSES']) & known[:, None]
        times = range(num_frames)
        batch['img_metas'].append([dict(img_shape=(height, width, 3)) for _ in times])
        batch['gt_bboxes'].append([torch.zeros(int(seen[:, t].sum()), 4) for t in times])
        batch['gt_labels'].append([torch.from_numpy(classes[seen[:, t], t]) for t in times])
        batch['gt_masks'].append([BitmapMasks(bits[seen[:, t], t], *bits.shape[2:]) for t in times])
        batch['gt_ids'].append([torch.from_numpy(np.flatnonzero(seen[:, t])) for t in times])
    return dict(img=img, **batch)
