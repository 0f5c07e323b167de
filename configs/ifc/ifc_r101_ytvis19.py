# ResNet-101 as in Caffe: stride in the 1x1 convolution, BGR, no division by standard deviations.
_base_ = './ifc_r50_ytvis19.py'

model = dict(
    backbone=dict(
        depth=101, style='caffe', init_cfg=dict(checkpoint='pretrained/resnet101_caffe.pth')
    ),
)
normalize = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False)
caffe = dict(pipeline=dict(normalize=normalize))
data = dict(train=caffe, val=caffe, test=caffe)
del caffe
