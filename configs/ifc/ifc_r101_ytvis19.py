# ResNet-101 in Caffe's form: stride in the 1x1 convolution, BGR, no division by a deviation.
_base_ = './ifc_r50_ytvis19.py'

model = dict(
    backbone=dict(
        depth=101, style='caffe', init_cfg=dict(checkpoint='pretrained/resnet101_caffe.pth')
    ),
)
normalize = dict(
    type='Normalize', mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False
)
train_pipeline = [
    {{_base_.load_image}},
    {{_base_.load_annotations}},
    {{_base_.train_resize}},
    {{_base_.flip}},
    normalize,
    {{_base_.bundle}},
    {{_base_.collect_train}},
]
test_pipeline = [
    {{_base_.load_image}},
    {{_base_.test_resize}},
    dict(type='RandomFlip', flip_ratio=0.0),
    normalize,
    {{_base_.bundle}},
    {{_base_.collect_test}},
]
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
