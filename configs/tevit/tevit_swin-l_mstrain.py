_base_ = './tevit_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        embed_dims=192,
        depths=[2, 2, 18, 2],
        num_heads=[6, 12, 24, 48],
        window_size=7,
        mlp_ratio=4,
        qkv_bias=True,
        drop_path_rate=0.2,
        patch_norm=True,
        out_indices=(0, 1, 2, 3),
        with_cp=True,
        convert_weights=True,
        init_cfg=dict(
            type='Pretrained', checkpoint='pretrained/swin_large_patch4_window7_224_22kto1k.pth'
        ),
    ),
    neck=dict(in_channels=[192, 384, 768, 1536]),
    rpn_head=dict(num_proposals=300),
)

# These are added to the keys of the ResNet-50 config; the longest key that a name contains counts.
optimizer = dict(
    paramwise_cfg=dict(
        custom_keys={
            'absolute_pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    )
)

scales = [(1333, short_side) for short_side in range(320, 801, 32)]
train_pipeline = dict(resize=dict(img_scale=scales, multiscale_mode='value'))
test_pipeline = dict(resize=dict(img_scale=(1333, 480)))
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
del scales
