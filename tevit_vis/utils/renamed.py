"""The new names of config types and keys that were renamed, for error messages."""

from __future__ import annotations

COSTS = 'TubeHungarianAssigner, whose costs are a list'
# What to write now, by the old name of a type.
TYPES = {
    'TeViTHungarianAssigner': f"{COSTS}: [dict(type='PresentFramesCost', costs=[...])]",
    'SeqFormerAssigner': f"{COSTS}: [dict(type='FocalLossCost', ...), dict(type='ClipBoxL2Cost')]",
    'IFCAssigner': f"{COSTS}: [dict(type='ClassificationCost', ...), dict(type='DiceCost', ...)]",
}
TEVIT_COSTS = 'model.train_cfg.rcnn.*.assigner.costs.0.costs'
CLIP_COSTS = 'model.train_cfg.assigner.costs'
# The new key, by the old key; * stands for any index.
KEYS = {
    'model.test_cfg.windows.min_iou': 'model.test_cfg.tracker.min_iou',
    'model.test_cfg.windows.min_score': 'model.test_cfg.tracker.min_score',
    'model.train_cfg.rcnn.*.assigner.cls_cost': f'{TEVIT_COSTS}.0',
    'model.train_cfg.rcnn.*.assigner.reg_cost': f'{TEVIT_COSTS}.1',
    'model.train_cfg.rcnn.*.assigner.iou_cost': f'{TEVIT_COSTS}.2',
    'model.train_cfg.assigner.cls_cost': f'{CLIP_COSTS}.0',
    'model.train_cfg.assigner.box_weight': f'{CLIP_COSTS}.1.weight',
    'model.train_cfg.assigner.iou_weight': f'{CLIP_COSTS}.2.weight',
    'model.train_cfg.assigner.cls_weight': f'{CLIP_COSTS}.0.weight',
    'model.train_cfg.assigner.dice_weight': f'{CLIP_COSTS}.1.weight',
}


def new_name_of_type(name: str) -> str:
    """Returns '; it is ... now' for a type of a config that was renamed, else an empty text.

    Example:
        >>> new_name_of_type('IFCAssigner')[:33]
        '; it is TubeHungarianAssigner, wh'
    """
    return f'; it is {TYPES[name]} now' if name in TYPES else ''


def new_name_of_key(key: str) -> str:
    """Returns '; it is ... now' for a dotted key that was renamed, else an empty text.

    Example:
        >>> new_name_of_key('model.test_cfg.windows.min_iou')
        '; it is model.test_cfg.tracker.min_iou now'
        >>> new_name_of_key('model.train_cfg.rcnn.2.assigner.reg_cost')
        '; it is model.train_cfg.rcnn.2.assigner.costs.0.costs.1 now'
    """
    pattern = '.'.join('*' if part.isdigit() else part for part in key.split('.'))
    new_name = KEYS.get(pattern, '')
    for part in key.split('.'):
        if part.isdigit():
            new_name = new_name.replace('*', part, 1)
    return f'; it is {new_name} now' if new_name else ''
