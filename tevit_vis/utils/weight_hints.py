"""What a checkpoint that does not fit a model seems to be, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import torch

CLASS_LAYER = re.compile(r'fc_cls|conv_logits|class_branch|cls_embed')
QUERIES = re.compile(r'init_proposal_|query_feat|query_embed|decoder\.queries|query_position')
PANOPTIC_ROWS = 134  # of COCO's panoptic class layer: 80 things, 53 kinds of stuff, no object
# Kinds of checkpoints, each with a pattern of weight names that no other kind has.
SIGNATURES = {
    'an official SeqFormer checkpoint: tevit-vis convert-checkpoint seqformer': re.compile(
        r'^detr\.(controller|mask_head|class_embed\.0\.)'
    ),
    'an official IFC checkpoint: tevit-vis convert-checkpoint ifc': re.compile(
        r'^detr\.(transformer\.encoder\.memory_bus|mask_head|class_embed\.layers)|memory_bus'
    ),
    'an official Mask2Former or MinVIS checkpoint: tevit-vis convert-checkpoint mask2former': (
        re.compile(r'^sem_seg_head\.')
    ),
    'a TeViT or QueryInst checkpoint (configs/tevit)': re.compile(r'^roi_head\.bbox_head\.0\.'),
    'an MS-STS checkpoint (configs/ms_sts)': re.compile(r'\.mixer\.'),
    'a SeqFormer checkpoint (configs/seqformer)': re.compile(r'^bbox_head\.controller\.'),
    'an IFC checkpoint (configs/ifc)': re.compile(r'^bbox_head\.encoder\.bus_layers\.'),
    'a Mask2Former checkpoint (configs/mask2former)': re.compile(r'^panoptic_head\.'),
    'a detectron2 checkpoint: tevit-vis convert-checkpoint reads those of SeqFormer, IFC and '
    'Mask2Former': re.compile(r'^(backbone\.bottom_up|proposal_generator|roi_heads)\.'),
    'weights of a backbone alone: name them with model.backbone.init_cfg or load_from': re.compile(
        r'^(conv1\.weight|patch_embed|layer1\.|stem\.)'
    ),
}
BLOCKS_OF_RESNETS = {6: 'ResNet-50 (r50)', 23: 'ResNet-101 (r101)', 36: 'ResNet-152 (r152)'}
# By the blocks of the third stage and the channels of the first.
SWINS = {
    (6, 96): 'Swin-T (swin-t)',
    (18, 96): 'Swin-S (swin-s)',
    (18, 128): 'Swin-B (swin-b)',
    (18, 192): 'Swin-L (swin-l)',
}


def fit_hint(weights: Mapping, model_weights: Mapping, faults: Mapping[str, Sequence[str]]) -> str:
    """Returns a hint at what a checkpoint that does not fit seems to be, else an empty text.

    Args:
        weights: weights of the checkpoint by name.
        model_weights: those of the model.
        faults: lists of keys by their kind of fault, see ``load_weights``.
    """
    reshaped = faults['of another shape']
    classes = [key for key in reshaped if CLASS_LAYER.search(key)]
    queries = [key for key in reshaped if QUERIES.search(key)]
    hints = []
    if any(f'[{PANOPTIC_ROWS}' in key for key in classes):
        hints.append(
            'it is a panoptic checkpoint, of 80 things and 53 kinds of stuff: take the instance '
            'checkpoint of the same backbone (tevit-vis download --list), or let '
            'model.panoptic_head.num_classes=133 find stuff as well'
        )
    kinds = [kind_of(each) for each in (weights, model_weights)]
    backbones = [backbone_of(each) for each in (weights, model_weights)]
    if kinds[0] == kinds[1] and all(backbones) and backbones[0] != backbones[1]:
        hints.append(
            f"its backbone is {backbones[0]}, the model's {backbones[1]}: take the config of that "
            'backbone'
        )
    elif not faults['missing'] and not faults['left over'] and {*classes, *queries} == {*reshaped}:
        if classes and not hints:
            hints.append('its class layers differ: it has another number of classes (num_classes)')
        if queries:
            hints.append('its queries differ: it has more or fewer (num_proposals, num_queries)')
    if not hints and kinds[0]:
        hints.append(f'it looks like {kinds[0]}')
    return ''.join(f'; {hint}' for hint in hints)


def kind_of(weights: Mapping) -> str:
    """Returns what kind of checkpoint weights are of, or an empty text if it is not known.

    Example:
        >>> kind_of({'layer1.0.conv1.weight': None})
        'weights of a backbone alone: name them with model.backbone.init_cfg or load_from'
    """
    for kind, sign in SIGNATURES.items():
        if any(sign.search(str(key)) for key in weights):
            return kind
    return ''


def backbone_of(weights: Mapping) -> str:
    """Returns the kind of the backbone in a model's weights, or an empty text if it is not known.

    Example:
        >>> backbone_of({f'backbone.layer3.{n}.conv1.weight': None for n in range(23)})
        'ResNet-101 (r101)'
    """
    resnet_blocks = _numbers(weights, r'backbone\.layer3\.(\d+)\.conv1\.weight')
    swin_blocks = _numbers(weights, r'backbone\.stages\.2\.blocks\.(\d+)\.norm1\.weight')
    if resnet_blocks:
        blocks = max(resnet_blocks) + 1
        return BLOCKS_OF_RESNETS.get(blocks, f'a ResNet with {blocks} blocks in its third stage')
    if swin_blocks:
        blocks = max(swin_blocks) + 1
        shape = shape_of(weights.get('backbone.stages.0.blocks.0.norm1.weight'))
        channels = shape[0] if isinstance(shape, list) and shape else 0
        return SWINS.get((blocks, channels), f'a Swin with {blocks} blocks in its third stage')
    if 'backbone.layers.0.0.weight' in weights:
        return 'a PVTv2'
    return ''


def _numbers(keys: Iterable, pattern: str) -> list[int]:
    """Returns the numbers that a pattern finds in keys."""
    return [int(match[1]) for key in keys if (match := re.fullmatch(pattern, str(key)))]


def shape_of(value: object) -> list[int] | str:
    """Returns the shape of a weight, or words for what cannot be one, such as a sparse tensor.

    Example:
        >>> shape_of(torch.zeros(2, 3)), shape_of('a text')
        ([2, 3], 'str')
    """
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    if value.layout != torch.strided:
        return 'a sparse tensor'
    if value.is_quantized:
        return 'a quantised tensor'
    if value.is_meta:
        return 'a tensor without values'
    return list(value.shape)
