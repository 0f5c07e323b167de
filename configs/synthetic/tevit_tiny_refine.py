# Third part of the curriculum: longer clips, so that queries stay on their instances.
_base_ = './tevit_tiny.py'

load_from = 'work_dirs/tevit_tiny_clips/latest.pth'
data = dict(samples_per_gpu=2, train=dict(clip_length=7))
optimizer = dict(lr=3e-4)
lr_config = dict(warmup_iters=50)
runner = dict(max_iters=1500)
evaluation = dict(interval=1500)
auto_scale_lr = dict(base_batch_size=2)
