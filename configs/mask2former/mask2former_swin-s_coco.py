_base_ = './mask2former_swin-t_coco.py'

model = dict(
    backbone=dict(
        depths=[2, 2, 18, 2],
        init_cfg=dict(checkpoint='pretrained/swin_small_patch4_window7_224.pth'),
    )
)
