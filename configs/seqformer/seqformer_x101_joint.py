_base_ = './seqformer_r101_joint.py'

model = dict(
    backbone=dict(
        type='ResNeXt',
        groups=32,
        base_width=8,
        init_cfg=dict(checkpoint='pretrained/resnext101_32x8d.pth'),
    ),
)
