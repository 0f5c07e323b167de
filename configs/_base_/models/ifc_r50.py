# IFC on ResNet-50: frames exchange information by memory tokens; windows are joined to tracks.
_base_ = '../backbones/resnet50.py'

channels = 256
layer = dict(num_heads=8, feedforward_channels=2048, dropout=0.1)

model = dict(
    type='IFC',
    backbone={{_base_.resnet50}},
    neck=dict(
        type='InputProjection',
        in_channels=[512, 1024, 2048],
        out_channels=channels,
        num_outs=3,
        num_groups=None,
    ),
    bbox_head=dict(
        type='IFCHead',
        num_classes=40,
        embed_dims=channels,
        encoder=dict(num_layers=3, num_tokens=8, **layer),
        decoder=dict(num_layers=3, num_queries=100, **layer),
        losses=dict(
            ce=dict(type='CrossEntropyLoss', loss_weight=1.0),
            mask=dict(type='MaskFocalLoss', gamma=2.0, alpha=0.25, loss_weight=3.0),
            dice=dict(type='DiceLoss', naive_dice=True, eps=1.0, loss_weight=3.0),
        ),
        no_object_weight=0.1,
    ),
    train_cfg=dict(
        assigner=dict(
            type='TubeHungarianAssigner',
            costs=[
                dict(type='ClassificationCost', weight=1.0),
                dict(type='DiceCost', weight=3.0, pred_act=True, eps=1.0),
            ],
        ),
    ),
    test_cfg=dict(
        windows=dict(length=5, stride=1),
        tracker=dict(type='SoftIoUStitcher', min_iou=0.05, min_score=0.01),
        frames_per_pass=None,  # None: as fits the device; results do not depend on it
    ),
)
del layer
