# SeqFormer small enough for two CPU cores and frames of 160x96.
_base_ = ['./seqformer_r50.py', '../backbones/pvtv2_tiny.py']

channels = 64
attention = dict(num_heads=4, num_points=4)
model = dict(
    backbone={{_base_.pvtv2_tiny}},
    neck=dict(in_channels=[32, 80, 128], out_channels=channels),
    bbox_head=dict(
        num_classes=5,
        embed_dims=channels,
        encoder=dict(num_layers=2, feedforward_channels=256, dropout=0.0, attention=attention),
        decoder=dict(
            num_layers=3,
            num_queries=15,
            num_heads=4,
            feedforward_channels=256,
            dropout=0.0,
            attention=attention,
        ),
    ),
    test_cfg=dict(frames_per_pass=8),
)
del attention
