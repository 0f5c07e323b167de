# IFC small enough for two CPU cores and frames of 160x96.
_base_ = ['./ifc_r50.py', '../backbones/pvtv2_tiny.py']

channels = 64
layer = dict(num_heads=4, feedforward_channels=256, dropout=0.0)
model = dict(
    backbone={{_base_.pvtv2_tiny}},
    neck=dict(in_channels=[32, 80, 128], out_channels=channels),
    bbox_head=dict(
        num_classes=5,
        embed_dims=channels,
        encoder=dict(num_layers=2, num_tokens=4, **layer),
        decoder=dict(num_layers=3, num_queries=15, **layer),
    ),
    test_cfg=dict(frames_per_pass=8),
)
del layer
