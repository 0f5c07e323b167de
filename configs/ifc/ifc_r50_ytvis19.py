_base_ = [
    '../_base_/models/ifc_r50.py',
    '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/ifc_6000it.py',
    '../_base_/default_runtime.py',
]

short_side = dict(type='ResizeShortSide', max_long_side=1333, round_long_side=True)
train_pipeline = dict(
    resize=None, resize_short_side=dict(short_side, short_sides=[360, 480]), pad=None
)
test_pipeline = dict(resize=None, resize_short_side=dict(short_side, short_sides=[360]), pad=None)
data = dict(
    train=dict(
        annotated_only=False, clip_sampler=dict(type='ifc', reach=20), pipeline=train_pipeline
    ),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
del short_side
