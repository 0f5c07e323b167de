# First part of the curriculum: single frames, so that queries learn to find and mask objects.
_base_ = './tevit_tiny.py'

data = dict(samples_per_gpu=16, train=dict(clip_length=1))
optimizer = dict(lr=1e-3)
lr_config = dict(warmup_iters=300)
runner = dict(max_iters=5000)
evaluation = dict(interval=5000)
auto_scale_lr = dict(base_batch_size=16)
