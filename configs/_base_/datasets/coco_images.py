# COCO 2017 as videos of one frame, for pretraining.
_base_ = './youtube_vis_2019.py'

dataset_type = 'CocoImageDataset'
data_root = 'data/coco/'
train_pipeline = [
    {{_base_.load_image}},
    {{_base_.load_annotations}},
    dict(
        type='Resize',
        img_scale=[(1333, short_side) for short_side in range(480, 801, 32)],
        multiscale_mode='value',
        keep_ratio=True,
    ),
    {{_base_.flip}},
    {{_base_.normalize}},
    {{_base_.pad}},
    {{_base_.bundle}},
    {{_base_.collect_train}},
]
test_pipeline = [
    {{_base_.load_image}},
    dict(type='Resize', img_scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.0),
    {{_base_.normalize}},
    {{_base_.pad}},
    {{_base_.bundle}},
    {{_base_.collect_test}},
]
val = dict(
    type=dataset_type,
    ann_file=data_root + 'annotations/instances_val2017.json',
    img_prefix=data_root + 'val2017/',
    categories=None,
    pipeline=test_pipeline,
)
data = dict(
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/instances_train2017.json',
        img_prefix=data_root + 'train2017/',
        categories=None,
        clip_length=1,
        pipeline=train_pipeline,
    ),
    val=val,
    test=val,
)
del val
