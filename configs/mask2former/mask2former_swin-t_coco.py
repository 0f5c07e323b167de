_base_ = './mask2former_r50_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        embed_dims=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        drop_path_rate=0.3,
        out_indices=(0, 1, 2, 3),
        convert_weights=True,
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/swin_tiny_patch4_window7_224.pth'),
    ),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)

# Norms and positions of the backbone have no weight decay. They are named one by one, since the
# longest key that a name contains counts.
slow_without_decay = dict(lr_mult=0.1, decay_mult=0.0)
optimizer = dict(
    paramwise_cfg=dict(
        custom_keys={
            **{
                f'backbone.stages.{stage}.blocks.{block}.norm': slow_without_decay
                for stage in range(4)
                for block in range(18)
            },
            **{
                f'backbone.stages.{stage}.downsample.norm': slow_without_decay for stage in range(3)
            },
            'backbone.patch_embed.norm': slow_without_decay,
            'backbone.norm': slow_without_decay,
            'relative_position_bias_table': slow_without_decay,
        }
    )
)
del slow_without_decay
