# Videos of tools/data/make_synthetic.py, 160x96; the categories are those of the annotation file.
_base_ = './youtube_vis_2019.py'

data_root = 'data/synthetic/'
categories = None
train_pipeline = dict(resize=None)
test_pipeline = dict(resize=dict(img_scale=(160, 96)))
test = dict(
    ann_file=data_root + 'val/annotations.json',
    img_prefix=data_root + 'val/JPEGImages/',
    categories=categories,
    pipeline=test_pipeline,
)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=1,
    train=dict(
        ann_file=data_root + 'train/annotations.json',
        img_prefix=data_root + 'train/JPEGImages/',
        categories=categories,
        clip_length=4,
        pipeline=train_pipeline,
    ),
    val=test,
    test=test,
)
del test
