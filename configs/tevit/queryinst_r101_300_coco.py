_base_ = './queryinst_r50_300_coco.py'

model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='pretrained/resnet101.pth')))
