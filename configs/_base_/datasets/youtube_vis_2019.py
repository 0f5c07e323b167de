# YouTube-VIS 2019, or any data in its layout: then set `categories` (None: those of the file).
dataset_type = 'YouTubeVISDataset'
data_root = 'data/youtubevis/'
categories = 'ytvis2019'

# Steps have names, so that a config which inherits these can change one of them alone, e.g.
# data = dict(train=dict(pipeline=dict(resize=dict(img_scale=(960, 540))))). None or an empty dict
# leaves a step out; the empty ones here are steps of other recipes, at the place where they run.
load_image = dict(type='LoadImageFromFile')
load_annotations = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
flip = dict(type='RandomFlip', flip_ratio=0.5)
normalize = dict(
    type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
pad = dict(type='Pad', size_divisor=32)
bundle = dict(type='DefaultFormatBundle')
collect_train = dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids'])
collect_test = dict(type='Collect', keys=['img'])

train_pipeline = dict(
    load_image=load_image,
    load_annotations=load_annotations,
    resize=dict(type='Resize', img_scale=[(640, 360), (960, 480)], keep_ratio=True),
    resize_short_side=dict(),
    flip=flip,
    augment=dict(),
    distort=dict(),
    filter=dict(),
    pad_pixels=dict(),
    normalize=normalize,
    pad=pad,
    bundle=bundle,
    collect=collect_train,
)
test_pipeline = dict(
    load_image=load_image,
    resize=dict(type='Resize', img_scale=(640, 360), keep_ratio=True),
    resize_short_side=dict(),
    flip=dict(type='RandomFlip', flip_ratio=0.0),
    pad_pixels=dict(),
    normalize=normalize,
    pad=pad,
    bundle=bundle,
    collect=collect_test,
)

data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/train.json',
        img_prefix=data_root + 'train/',
        categories=categories,
        clip_length=5,
        clip_sampler=dict(type='tevit'),
        pipeline=train_pipeline,
    ),
    val=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/valid.json',
        img_prefix=data_root + 'valid/',
        categories=categories,
        pipeline=test_pipeline,
    ),
    test=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/valid.json',
        img_prefix=data_root + 'valid/',
        categories=categories,
        pipeline=test_pipeline,
    ),
)
