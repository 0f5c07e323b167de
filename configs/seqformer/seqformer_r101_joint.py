_base_ = './seqformer_r50_joint.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(checkpoint='pretrained/resnet101.pth')),
)
