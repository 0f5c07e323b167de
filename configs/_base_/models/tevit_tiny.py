# TeViT small enough for two CPU cores and frames of 160x96: MsgShifT of 16 channels, 3 stages.
_base_ = './tevit_r50.py'

channels = 64
dynamic_conv = dict(in_channels=channels, feat_channels=32, out_channels=channels)
# Features of instances below 28 pixels are taken from stride 4, of larger ones from coarser levels.
roi_extractor = dict(out_channels=channels, finest_scale=14)
model = dict(
    backbone=dict(
        _delete_=True,
        type='MsgShifT',
        embed_dims=16,
        num_layers=[2, 2, 2, 2],
        num_msg_tokens=8,
        drop_path_rate=0.0,
    ),
    neck=dict(in_channels=[16, 32, 80, 128], out_channels=channels),
    rpn_head=dict(num_proposals=15, proposal_feature_channel=channels),
    roi_head=dict(
        num_stages=3,
        proposal_feature_channel=channels,
        bbox_roi_extractor=roi_extractor,
        mask_roi_extractor=roi_extractor,
        bbox_head=dict(
            num_classes=5,
            num_heads=4,
            num_reg_fcs=2,
            feedforward_channels=256,
            in_channels=channels,
            dynamic_conv_cfg=dynamic_conv,
        ),
        mask_head=dict(
            num_classes=5,
            num_convs=1,
            in_channels=channels,
            conv_out_channels=32,
            dynamic_conv_cfg=dynamic_conv,
        ),
    ),
    test_cfg=dict(frames_per_pass=8),
)
del dynamic_conv, roi_extractor
