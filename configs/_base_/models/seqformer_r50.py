# SeqFormer on ResNet-50: Deformable DETR on each frame, with one query per instance of the clip.
_base_ = '../backbones/resnet50.py'

channels = 256
attention = dict(type='DeformAttention', num_heads=8, num_levels=4, num_points=4)

model = dict(
    type='SeqFormer',
    backbone={{_base_.resnet50}},
    neck=dict(
        type='InputProjection', in_channels=[512, 1024, 2048], out_channels=channels, num_outs=4
    ),
    bbox_head=dict(
        type='SeqFormerHead',
        num_classes=42,  # labels are YouTube-VIS 2019's category ids 1 to 40; 0 and 41 stay unused
        embed_dims=channels,
        encoder=dict(
            num_layers=6,
            feedforward_channels=1024,
            dropout=0.1,
            attention=attention,
        ),
        decoder=dict(
            num_layers=6,
            num_queries=300,
            num_heads=8,
            feedforward_channels=1024,
            dropout=0.1,
            attention=attention,
        ),
        with_coordinates=True,
        losses=dict(
            ce=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
            bbox=dict(type='L1Loss', loss_weight=5.0),
            giou=dict(type='GIoULoss', eps=1e-12, loss_weight=2.0),
            mask=dict(type='MaskFocalLoss', gamma=2.0, alpha=0.25, loss_weight=2.0),
            dice=dict(type='DiceLoss', naive_dice=True, eps=1.0, loss_weight=5.0),
        ),
    ),
    train_cfg=dict(
        assigner=dict(
            type='TubeHungarianAssigner',
            costs=[
                dict(type='FocalLossCost', weight=2.0, eps=1e-8),
                dict(type='ClipBoxL2Cost', weight=5.0),
                dict(type='ClipGIoUCost', weight=2.0, eps=1e-12),
            ],
        ),
    ),
    test_cfg=dict(
        max_per_img=10,
        drop_empty=True,  # instances without a pixel in any frame
        min_mask_score=0.001,  # below it, instances are returned without masks
        # length=5 gives the clip matching of SeqFormer's detectron2 port, for long videos.
        windows=dict(length=None, stride=1),
        tracker=dict(type='SoftIoUStitcher', min_iou=0.01, min_score=0.05),
        frames_per_pass=None,  # None: as fits the device; results do not depend on it
    ),
)
del attention
