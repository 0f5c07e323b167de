# Videos of tools/data/make_synthetic.py, 160x96; their file names the categories.
data_root = 'data/synthetic/'
normalize = dict(
    type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    normalize,
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', img_scale=(160, 96), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.0),
    normalize,
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
test = dict(
    type='YouTubeVISDataset',
    ann_file=data_root + 'val/annotations.json',
    img_prefix=data_root + 'val/JPEGImages/',
    categories=None,
    pipeline=test_pipeline,
)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=1,
    train=dict(
        type='YouTubeVISDataset',
        ann_file=data_root + 'train/annotations.json',
        img_prefix=data_root + 'train/JPEGImages/',
        categories=None,
        clip_length=4,
        clip_sampler=dict(type='tevit'),
        pipeline=train_pipeline,
    ),
    val=test,
    test=test,
)
del test
