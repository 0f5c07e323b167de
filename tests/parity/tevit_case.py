"""Check a golden case of TeViT: our config, checkpoint, tensors and results against the official.

Letters: T frames, Q queries, K classes, N output instances.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from compare import compare_results, largest_difference, record, relative
from golden import GoldenCase
from manifest import override
from mmcv import Config
from mmdet.core import BitmapMasks
from mmdet.models import build_detector
from report import Report
from running import case_dataset, gradients_of, report_gradients, run_test, stored_videos

from tevit_vis.models.detectors import TeViT
from tevit_vis.models.heads.gather_gt import number_instances
from tevit_vis.models.heads.positives import Positives
from tevit_vis.rle import decode_rle, encode_masks
from tevit_vis.structures import ClipPrediction
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.weights import load_weights

FEATURES, BOXES, SCORES = 1e-4, 1e-3, 1e-4  # absolute; boxes in pixels
LOSSES, GRADIENTS = 1e-5, 1e-3  # relative
PIXELS = 8  # 'a handful', per clip
PREDICTED = (
    'topk_indices',
    'query_indices',
    'det_bboxes',
    'det_labels',
    'mask_rois',
    'mask_logits',
    'masks_bits',
    'masks_shape',
)
NO_BOUND = float('inf')  # shown, not judged: one pixel is much of the IoU of a tiny mask


def config_from_manifest(manifest: dict) -> Config:
    """Our config for the official config and overrides of a manifest."""
    official = Path(manifest['config']['official'])
    config = load_config(f'{official.parent.name}/{official.stem}')
    for key, value in manifest['config']['overrides'].items():
        try:
            override(config._cfg_dict, key.split('.'), value)
        except (KeyError, IndexError, TypeError, ValueError):
            raise InputError(f'manifest.json: overrides: the config has no {key}') from None
    return config


def check(case: GoldenCase) -> Report:
    """Run the whole pipeline on a case and compare all that is stored."""
    report = Report()
    config = config_from_manifest(case.manifest)
    dataset = case_dataset(config, case)
    # PARITY(TeViT): the official code writes label + 1 as the category, whatever the data set.
    num_classes = config.model.roi_head.bbox_head[-1].num_classes
    dataset.categories = {label + 1: str(label) for label in range(num_classes)}
    compare_training(report, config, case)
    model, ours = run_test(config, case.checkpoint(), dataset)
    compare_results(report, ours, case.results, SCORES, PIXELS, NO_BOUND)
    for name, frames, expected in stored_videos(dataset, case):
        compare_tensors(report, model, frames, expected, prefix=f'{name} ')
    return report


def compare_training(report: Report, config: Config, case: GoldenCase) -> None:
    """Number of parameters; losses, assignments and gradients of the fixed training batch."""
    model = build_detector(dict(config.model, backbone=dict(config.model.backbone)))
    load_weights(model, case.checkpoint(), 'official checkpoint')
    count = sum(parameter.numel() for parameter in model.parameters())
    report.add('parameters', abs(count - case.manifest['num_params']), 0)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    report.add('trained', abs(trained - case.manifest['num_params_requires_grad']), 0)
    if case.training is None:
        return
    described, arrays = case.training
    batch = training_batch(described, arrays)
    model.train()
    matched = record(model.roi_head, 'match_stages')
    losses = model(return_loss=True, **batch)
    for name, theirs in described['losses'].items():
        report.add(f'train {name} (relative)', relative(losses[name].item(), theirs), LOSSES)
    total, _ = model._parse_losses(losses)
    report.add('train total loss', relative(total.item(), described['total_loss']), LOSSES)
    ours = assigned_annotations(matched[0], batch, arrays['assign_gt_inds'].shape)
    report.add('train assignments', (ours != arrays['assign_gt_inds']).sum(), 0)
    total.backward()
    compare_gradients(report, model, described)
    state = model.state_dict()
    for name in arrays:
        if name.startswith('after_forward.'):
            buffer = state[name[len('after_forward.') :]].numpy()
            report.add(f'train {name}', largest_difference(buffer, arrays[name]), FEATURES)


def compare_gradients(report: Report, model: TeViT, described: dict) -> None:
    """Norms of the gradients, one by one and of all together."""
    ours, theirs = gradients_of(model), described['grad_norms']
    in_one = sum((norm is None) != (name not in ours) for name, norm in theirs.items())
    both = {name: norm for name, norm in theirs.items() if norm is not None and name in ours}
    report_gradients(report, ours, both, GRADIENTS, in_one)
    total = sum(float(ours[name].norm()) ** 2 for name in both) ** 0.5
    report.add('train gradient, all', relative(total, described['grad_norm_total']), GRADIENTS)


def training_batch(described: dict, arrays: dict[str, np.ndarray]) -> dict:
    """The fixed batch as the detector's contract wants it."""
    clips = described['batch']['clips']
    frames = range(described['batch']['T'])

    def per_frame(build: Callable[[str], object]) -> list[list]:
        return [[build(f'{b}_{t}') for t in frames] for b in range(len(clips))]

    def masks(place: str) -> BitmapMasks:
        shape = arrays[f'gt_masks_shape_{place}']
        bits = np.unpackbits(arrays[f'gt_masks_bits_{place}'])[: np.prod(shape)]
        return BitmapMasks(bits.reshape(shape), *shape[1:].tolist())

    metas = [
        [dict(meta, img_shape=tuple(meta['img_shape'])) for meta in c['img_metas']] for c in clips
    ]
    return dict(
        img=torch.from_numpy(arrays['img']),
        img_metas=metas,
        gt_bboxes=per_frame(lambda place: torch.from_numpy(arrays[f'gt_bboxes_{place}'])),
        gt_labels=per_frame(lambda place: torch.from_numpy(arrays[f'gt_labels_{place}'])),
        gt_ids=per_frame(lambda place: torch.from_numpy(arrays[f'gt_ids_{place}'])),
        gt_masks=per_frame(masks),
    )


def assigned_annotations(
    stages: list[Positives], batch: dict, shape: tuple[int, ...]
) -> np.ndarray:
    """Of each stage, frame and query its annotation in the frame, from 1; 0 for none."""
    number_of_place = []  # of every instance in every frame
    for clip in batch['gt_ids']:
        count, instances = number_instances(clip)
        first = 0
        for ids in clip:
            numbers = np.zeros(count, np.int64)
            numbers[instances[first : first + len(ids)]] = np.arange(1, len(ids) + 1)
            number_of_place.append(numbers)
            first += len(ids)
    places = np.concatenate(number_of_place)
    assigned = np.zeros(shape, np.int64)
    for numbers, stage in zip(assigned.reshape(len(stages), -1), stages):
        numbers[stage.rows_on_host] = places[stage.instances_on_host]
    return assigned


@torch.inference_mode()
def compare_tensors(
    report: Report, model: TeViT, frames: list, expected: dict[str, np.ndarray], prefix: str
) -> None:
    """Every stored tensor of one video."""
    metas = [frame.meta for frame in frames]
    img = torch.stack([frame.img for frame in frames])
    backbone_maps = run_backbone(model, img)
    features = model.extract_feat(img[None])
    stages = list(model.stages(features, metas))
    found = {'img': img}
    found.update({f'backbone{i}': level for i, level in enumerate(backbone_maps)})
    found.update({f'neck{i}': level[0] for i, level in enumerate(features)})
    boxes, _, _ = model.rpn_head.simple_test_rpn([level[0] for level in features], metas)
    found['init_boxes'] = boxes
    for index, stage in enumerate(stages):
        found.update({f'stage{index}_{name}': value[0] for name, value in stage._asdict().items()})
    found.update(
        {
            name: np.array([meta[name] for meta in metas])
            for name in ('img_shape', 'pad_shape', 'ori_shape', 'scale_factor')
        }
    )
    compared = {'slice_rule'}
    for name, ours in found.items():
        compared |= compare_stored(report, prefix, name, np.asarray(ours), expected)
    prediction = model.predict_clip(features, metas)
    compared |= compare_prediction(report, prefix, prediction, expected)
    for name in sorted(set(expected) - compared):
        report.add(f'{prefix}{name}: stored, but not compared', NO_BOUND, 0)


def run_backbone(model: TeViT, img: torch.Tensor) -> list[torch.Tensor]:
    """The backbone's maps, which ``extract_feat`` does not show."""
    if model.frames_are_independent:
        return model.backbone(img)
    return model.backbone(img, len(img), len(img))


def compare_stored(
    report: Report, prefix: str, name: str, ours: np.ndarray, expected: dict[str, np.ndarray]
) -> set[str]:
    """One tensor with its stored whole, with every n-th value, or with statistics and slice.

    Returns:
        Names of the stored arrays that were looked at.
    """
    bound = BOXES if name.endswith('boxes') else FEATURES
    if name in expected:
        report.add(prefix + name, largest_difference(ours, expected[name]), bound)
    if f'{name}.strided' in expected:
        steps = tuple(slice(None, None, int(step)) for step in expected[f'{name}.strides'])
        difference = largest_difference(ours[steps], expected[f'{name}.strided'])
        report.add(f'{prefix}{name}.strided', difference, bound)
    if f'{name}_stats' in expected:
        values = ours.astype(np.float64)
        stats = np.array([values.mean(), values.std(), np.abs(values).sum()])
        theirs = expected[f'{name}_stats']
        scale = np.array([1, 1, values.size])  # the third is a sum: compare means
        report.add(f'{prefix}{name}_stats', np.abs((stats - theirs) / scale).max(), bound)
        part = ours[:, :, ::12, ::12]
        if name != 'img':
            part = ours[:, :: max(1, ours.shape[1] // 16), ::4, ::5]
        report.add(
            f'{prefix}{name}_slice', largest_difference(part, expected[f'{name}_slice']), bound
        )
    endings = ('', '.strided', '.strides', '_stats', '_slice')
    return {name + ending for ending in endings} & set(expected)


def compare_prediction(
    report: Report, prefix: str, prediction: ClipPrediction, expected: dict[str, np.ndarray]
) -> set[str]:
    """Chosen (query, class) pairs, and for those in both: boxes, scores, logits, masks.

    Returns:
        Names of the stored arrays that were looked at.
    """
    num_classes = prediction.class_scores.shape[1]
    ours = (prediction.queries * num_classes + prediction.labels).tolist()
    theirs = expected['topk_indices'].tolist()
    report.add(f'{prefix}(query, class) pairs in one only', len(set(ours) ^ set(theirs)), 0)
    both = sorted(set(ours) & set(theirs))
    here, there = [ours.index(i) for i in both], [theirs.index(i) for i in both]

    report.add(
        prefix + 'query_indices',
        largest_difference(prediction.queries[here].numpy(), expected['query_indices'][there]),
        0,
    )
    detections = expected['det_bboxes'][:, there]  # [T, N, 5]
    boxes = prediction.boxes[here].transpose(0, 1).numpy()
    report.add(prefix + 'det_bboxes', largest_difference(boxes, detections[..., :4]), BOXES)
    scores = prediction.scores[here].numpy()
    report.add(prefix + 'scores', largest_difference(scores, detections[..., 4].mean(0)), SCORES)
    labels = prediction.labels[here].numpy()
    report.add(
        prefix + 'det_labels', largest_difference(labels, expected['det_labels'][0, there]), 0
    )
    rois = boxes * expected['scale_factor'][:, None]
    report.add(
        prefix + 'mask_rois', largest_difference(rois, expected['mask_rois'][:, there, 1:]), BOXES
    )
    logits = prediction.masks.logits[here].transpose(0, 1).numpy()
    report.add(
        prefix + 'mask_logits',
        largest_difference(logits, expected['mask_logits'][:, there]),
        FEATURES,
    )
    shape = expected['masks_shape']
    bits = np.unpackbits(expected['masks_bits'])[: np.prod(shape)].reshape(shape)
    differing = 0
    for index in range(prediction.masks.num_frames):
        masks = prediction.masks.frame(index)[here]
        tracks = [decode_rle(rle) for rle in encode_masks(masks)]
        differing += int((np.array(tracks) != bits[index, there].astype(bool)).sum())
    report.add(prefix + 'mask pixels that differ', differing, PIXELS)
    return set(PREDICTED)
