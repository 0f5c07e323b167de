_base_ = './queryinst_r50_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='PyramidVisionTransformerV2',
        embed_dims=64,
        num_layers=[2, 2, 2, 2],
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/pvt_v2_b1.pth'),
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
