_base_ = [
    '../_base_/models/ifc_r50.py',
    '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/ifc_6000it.py',
    '../_base_/default_runtime.py',
]

test_resize = dict(
    type='ResizeShortSide', short_sides=[360], max_long_side=1333, round_long_side=True
)
train_resize = dict(test_resize, short_sides=[360, 480])
train_pipeline = [
    {{_base_.load_image}},
    {{_base_.load_annotations}},
    train_resize,
    {{_base_.flip}},
    {{_base_.normalize}},
    {{_base_.bundle}},
    {{_base_.collect_train}},
]
test_pipeline = [
    {{_base_.load_image}},
    test_resize,
    dict(type='RandomFlip', flip_ratio=0.0),
    {{_base_.normalize}},
    {{_base_.bundle}},
    {{_base_.collect_test}},
]
data = dict(
    train=dict(
        annotated_only=False, clip_sampler=dict(type='ifc', reach=20), pipeline=train_pipeline
    ),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
