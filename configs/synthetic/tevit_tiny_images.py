# First part of the curriculum: single frames, so that queries learn to find objects.
_base_ = './tevit_tiny.py'

data = dict(samples_per_gpu=24, train=dict(clip_length=1))
runner = dict(max_iters=4000)
evaluation = dict(interval=4000)
auto_scale_lr = dict(base_batch_size=24)
