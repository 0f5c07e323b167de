# MinVIS: Mask2Former trained on single frames of YouTube-VIS 2019 from its COCO weights, and linked
# by MinVIS's rule, a video at once. 16 frames a step, 6,000 steps.
_base_ = [
    '../_base_/models/mask2former_r50.py',
    '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/mask2former_50e.py',
    '../_base_/default_runtime.py',
]

load_from = 'zoo:mask2former/mask2former_r50_coco'
model = dict(
    panoptic_head=dict(num_classes=40),
    test_cfg=dict(windows=dict(length=None), max_per_img=10),
)
short_side = dict(type='ResizeShortSide', max_long_side=1333, round_long_side=True)
train_pipeline = dict(resize=None, resize_short_side=dict(short_side, short_sides=[360, 480]))
test_pipeline = dict(resize=None, resize_short_side=dict(short_side, short_sides=[360]))
data = dict(
    train=dict(clip_length=1, clip_sampler=dict(type='ifc', reach=20), pipeline=train_pipeline),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
lr_config = dict(step=[4000])
runner = dict(max_iters=6000)
checkpoint_config = dict(interval=1000)
evaluation = dict(interval=1000)
del short_side
