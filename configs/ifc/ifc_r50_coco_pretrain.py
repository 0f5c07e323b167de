# Pretraining on COCO, clips of one frame: 32 images a step, 1,108,800 steps.
_base_ = './ifc_r50_ytvis19.py'

model = dict(bbox_head=dict(num_classes=80), test_cfg=dict(windows=dict(length=1)))
resize = dict(
    type='ResizeShortSide',
    short_sides=list(range(480, 801, 32)),
    max_long_side=1333,
    round_long_side=True,
)
crop = [
    dict(type='ResizeShortSide', short_sides=[400, 500, 600], round_long_side=True),
    dict(
        type='RandomCrop',
        crop_type='absolute_range',
        crop_size=(384, 600),
        allow_negative_crop=True,
    ),
    resize,
]
train_pipeline = dict(
    resize_short_side=None, augment=dict(type='AutoAugment', policies=[[resize], crop])
)
test_pipeline = dict(resize_short_side=dict(short_sides=[800]))
coco = dict(type='CocoImageDataset', categories=None)
val = dict(
    ann_file='data/coco/annotations/instances_val2017.json',
    img_prefix='data/coco/val2017/',
    pipeline=test_pipeline,
    **coco,
)
data = dict(
    train=dict(
        ann_file='data/coco/annotations/instances_train2017.json',
        img_prefix='data/coco/train2017/',
        annotated_only=True,
        clip_length=1,
        pipeline=train_pipeline,
        **coco,
    ),
    val=val,
    test=val,
)
lr_config = dict(step=[739200])
runner = dict(max_iters=1108800)
checkpoint_config = dict(interval=10000)
evaluation = dict(interval=50000)
auto_scale_lr = dict(base_batch_size=32)
del resize, crop, coco, val
