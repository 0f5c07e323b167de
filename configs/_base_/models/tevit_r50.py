# TeViT on ResNet-50: six QueryInst stages whose attention also runs along time. All stages have the
# same parts, so each part is written once.
channels = 256
num_classes = 40


def dynamic_conv(roi_size, with_proj):
    return dict(
        type='DynamicConv',
        in_channels=channels,
        feat_channels=64,
        out_channels=channels,
        input_feat_shape=roi_size,
        with_proj=with_proj,
        act_cfg=dict(type='ReLU', inplace=True),
        norm_cfg=dict(type='LN'),
    )


def roi_extractor(roi_size):
    return dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=roi_size, sampling_ratio=2),
        out_channels=channels,
        featmap_strides=[4, 8, 16, 32],
    )


bbox_stage = dict(
    type='STQIHead',
    num_classes=num_classes,
    num_ffn_fcs=2,
    num_heads=8,
    num_cls_fcs=1,
    num_reg_fcs=3,
    feedforward_channels=2048,
    in_channels=channels,
    dropout=0.0,
    ffn_act_cfg=dict(type='ReLU', inplace=True),
    dynamic_conv_cfg=dynamic_conv(7, with_proj=True),
    loss_bbox=dict(type='L1Loss', loss_weight=5.0),
    loss_iou=dict(type='GIoULoss', loss_weight=2.0),
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
    bbox_coder=dict(
        type='DeltaXYWHBBoxCoder',
        clip_border=False,
        target_means=[0.0, 0.0, 0.0, 0.0],
        target_stds=[0.5, 0.5, 1.0, 1.0],
    ),
)
mask_stage = dict(
    type='DynamicMaskHead',
    num_convs=4,
    num_classes=num_classes,
    roi_feat_size=14,
    in_channels=channels,
    conv_kernel_size=3,
    conv_out_channels=channels,
    class_agnostic=False,
    norm_cfg=dict(type='BN'),
    upsample_cfg=dict(type='deconv', scale_factor=2),
    dynamic_conv_cfg=dynamic_conv(14, with_proj=False),
    loss_mask=dict(type='DiceLoss', loss_weight=8.0, use_sigmoid=True, activate=False, eps=1e-5),
)
train_stage = dict(
    assigner=dict(
        type='TubeHungarianAssigner',
        costs=[
            dict(
                type='PresentFramesCost',
                costs=[
                    dict(type='FocalLossCost', weight=2.0),
                    dict(type='BBoxL1Cost', weight=5.0),
                    dict(type='IoUCost', iou_mode='giou', weight=2.0),
                ],
            ),
        ],
    ),
    sampler=dict(type='PseudoSampler'),
    pos_weight=1,
    mask_size=28,
)

model = dict(
    type='TeViT',
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/resnet50.pth'),
    ),
    neck=dict(
        type='FPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=channels,
        start_level=0,
        add_extra_convs='on_input',
        num_outs=4,
    ),
    rpn_head=dict(type='EmbeddingRPNHead', num_proposals=100, proposal_feature_channel=channels),
    roi_head=dict(
        type='TeViTRoIHead',
        num_stages=6,
        stage_loss_weights=1,
        proposal_feature_channel=channels,
        bbox_roi_extractor=roi_extractor(7),
        mask_roi_extractor=roi_extractor(14),
        bbox_head=bbox_stage,
        mask_head=mask_stage,
    ),
    train_cfg=dict(rpn=None, rcnn=train_stage),
    test_cfg=dict(
        rpn=None,
        rcnn=dict(max_per_img=10, mask_thr_binary=0.5),
        # length=10 suits streams and videos without end. A backbone that mixes frames runs again
        # for each window, so windows overlap by a few frames only.
        windows=dict(length=None, stride=7),
        tracker=dict(type='SoftIoUStitcher', min_iou=0.05, min_score=0.05),
        frames_per_pass=None,  # None: as fits the device; results depend on neither
        rois_per_pass=None,
    ),
)
del bbox_stage, mask_stage, train_stage, dynamic_conv, roi_extractor
