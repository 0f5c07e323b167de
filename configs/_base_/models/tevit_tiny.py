# TeViT small enough for two CPU cores and frames of 160x96: MsgShifT of 16 channels, 3 stages.
num_stages = 3
channels = 64
num_classes = 5


def dynamic_conv(roi_size, with_proj):
    return dict(
        type='DynamicConv',
        in_channels=channels,
        feat_channels=32,
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
        finest_scale=14,  # an instance of 14 to 28 pixels is looked up at stride 4
    )


bbox_stage = dict(
    type='STQIHead',
    num_classes=num_classes,
    num_ffn_fcs=2,
    num_heads=4,
    num_cls_fcs=1,
    num_reg_fcs=2,
    feedforward_channels=256,
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
    num_convs=1,
    num_classes=num_classes,
    roi_feat_size=14,
    in_channels=channels,
    conv_kernel_size=3,
    conv_out_channels=32,
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
        type='MsgShifT',
        embed_dims=16,
        num_layers=[2, 2, 2, 2],
        num_msg_tokens=8,
        drop_path_rate=0.0,
    ),
    neck=dict(
        type='FPN',
        in_channels=[16, 32, 80, 128],
        out_channels=channels,
        start_level=0,
        add_extra_convs='on_input',
        num_outs=4,
    ),
    rpn_head=dict(type='EmbeddingRPNHead', num_proposals=15, proposal_feature_channel=channels),
    roi_head=dict(
        type='TeViTRoIHead',
        num_stages=num_stages,
        stage_loss_weights=[1] * num_stages,
        proposal_feature_channel=channels,
        bbox_roi_extractor=roi_extractor(7),
        mask_roi_extractor=roi_extractor(14),
        bbox_head=[bbox_stage] * num_stages,
        mask_head=[mask_stage] * num_stages,
    ),
    train_cfg=dict(rpn=None, rcnn=[train_stage] * num_stages),
    test_cfg=dict(
        rpn=None,
        rcnn=dict(max_per_img=10, mask_thr_binary=0.5),
        windows=dict(length=None, stride=7),
        tracker=dict(type='SoftIoUStitcher', min_iou=0.05, min_score=0.05),
        frames_per_pass=8,
        rois_per_pass=None,
    ),
)
del bbox_stage, mask_stage, train_stage, dynamic_conv, roi_extractor
