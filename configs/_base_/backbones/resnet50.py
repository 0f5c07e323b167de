# ResNet-50 with frozen batch norms, its maps of strides 8, 16 and 32, for the DETR family.
resnet50 = dict(
    type='ResNet',
    depth=50,
    num_stages=4,
    out_indices=(1, 2, 3),
    frozen_stages=1,
    norm_cfg=dict(type='BN', requires_grad=False),
    norm_eval=True,
    style='pytorch',
    init_cfg=dict(type='Pretrained', checkpoint='pretrained/resnet50.pth'),
)
