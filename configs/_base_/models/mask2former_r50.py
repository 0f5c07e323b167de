# Mask2Former on ResNet-50, with the numbers and the weights' names of mmdet's instance model.
# Frames are linked by the embeddings of their queries.
channels = 256
num_heads = 8

model = dict(
    type='Mask2FormerVIS',
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/resnet50.pth'),
    ),
    panoptic_head=dict(
        type='Mask2FormerVISHead',
        num_classes=80,
        num_queries=100,
        in_channels=[256, 512, 1024, 2048],
        feat_channels=channels,
        out_channels=channels,
        num_transformer_feat_level=3,
        pixel_decoder=dict(
            type='FramePixelDecoder',
            num_outs=3,
            norm_cfg=dict(type='GN', num_groups=32),
            act_cfg=dict(type='ReLU'),
            encoder=dict(
                type='DetrTransformerEncoder',
                num_layers=6,
                transformerlayers=dict(
                    type='BaseTransformerLayer',
                    batch_first=True,
                    attn_cfgs=dict(
                        type='DeformSelfAttention',
                        embed_dims=channels,
                        num_heads=num_heads,
                        num_levels=3,
                        num_points=4,
                    ),
                    ffn_cfgs=dict(
                        type='FFN', embed_dims=channels, feedforward_channels=1024, ffn_drop=0.0
                    ),
                    operation_order=('self_attn', 'norm', 'ffn', 'norm'),
                ),
            ),
            positional_encoding=dict(
                type='SinePositionalEncoding', num_feats=channels // 2, normalize=True
            ),
        ),
        positional_encoding=dict(
            type='SinePositionalEncoding', num_feats=channels // 2, normalize=True
        ),
        transformer_decoder=dict(
            type='DetrTransformerDecoder',
            return_intermediate=True,
            num_layers=9,
            transformerlayers=dict(
                type='BaseTransformerLayer',
                batch_first=True,
                attn_cfgs=dict(type='MaskedAttention', embed_dims=channels, num_heads=num_heads),
                ffn_cfgs=dict(
                    type='FFN', embed_dims=channels, feedforward_channels=2048, ffn_drop=0.0
                ),
                operation_order=('cross_attn', 'norm', 'self_attn', 'norm', 'ffn', 'norm'),
            ),
        ),
        no_object_weight=0.1,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0),
        loss_mask=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=5.0),
        loss_dice=dict(
            type='DiceLoss',
            use_sigmoid=True,
            activate=True,
            naive_dice=True,
            eps=1.0,
            loss_weight=5.0,
        ),
    ),
    train_cfg=dict(
        num_points=12544,
        oversample_ratio=3.0,
        importance_sample_ratio=0.75,
        assigner=dict(
            type='MaskHungarianAssigner',
            cls_cost=dict(type='ClassificationCost', weight=2.0),
            mask_cost=dict(type='CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
            dice_cost=dict(type='DiceCost', weight=5.0, pred_act=True, eps=1.0),
        ),
        sampler=dict(type='MaskPseudoSampler'),
    ),
    test_cfg=dict(
        # CTVIS's rule, frame by frame; length=None links all frames of a video by MinVIS's rule.
        windows=dict(length=1, stride=1),
        tracker=dict(type='QueryLinker', min_score=0.05),
        max_per_img=100,
        frames_per_pass=None,  # None: as fits the device; results do not depend on it
    ),
)
