# Mask2Former small enough for two CPU cores and frames of 160x96.
_base_ = './mask2former_r50.py'

channels = 64
num_heads = 4
position = dict(num_feats=channels // 2)
model = dict(
    backbone=dict(
        _delete_=True, type='PyramidVisionTransformerV2', embed_dims=16, num_layers=[2, 2, 2, 2]
    ),
    panoptic_head=dict(
        num_classes=5,
        num_queries=15,
        in_channels=[16, 32, 80, 128],
        feat_channels=channels,
        out_channels=channels,
        pixel_decoder=dict(
            norm_cfg=dict(num_groups=8),
            encoder=dict(
                num_layers=2,
                transformerlayers=dict(
                    attn_cfgs=dict(embed_dims=channels, num_heads=num_heads),
                    ffn_cfgs=dict(embed_dims=channels, feedforward_channels=256),
                ),
            ),
            positional_encoding=position,
        ),
        positional_encoding=position,
        transformer_decoder=dict(
            num_layers=3,
            transformerlayers=dict(
                attn_cfgs=dict(embed_dims=channels, num_heads=num_heads),
                ffn_cfgs=dict(embed_dims=channels, feedforward_channels=256),
            ),
        ),
    ),
    train_cfg=dict(num_points=1024),
    test_cfg=dict(frames_per_pass=8, max_per_img=15),
)
del position
