# COCO 2017 as videos of one frame, for pretraining.
_base_ = './youtube_vis_2019.py'

dataset_type = 'CocoImageDataset'
data_root = 'data/coco/'
categories = 'coco'
scales = [(1333, short_side) for short_side in range(480, 801, 32)]
train_pipeline = dict(resize=dict(img_scale=scales, multiscale_mode='value'))
test_pipeline = dict(resize=dict(img_scale=(1333, 800)))
val = dict(
    type=dataset_type,
    ann_file=data_root + 'annotations/instances_val2017.json',
    img_prefix=data_root + 'val2017/',
    categories=categories,
    pipeline=test_pipeline,
)
data = dict(
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/instances_train2017.json',
        img_prefix=data_root + 'train2017/',
        categories=categories,
        clip_length=1,
        pipeline=train_pipeline,
    ),
    val=val,
    test=val,
)
del scales, val
