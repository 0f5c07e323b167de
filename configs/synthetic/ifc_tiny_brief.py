# The few minutes of training of the quickstart, from random weights.
_base_ = './ifc_tiny.py'

data = dict(samples_per_gpu=8, train=dict(clip_length=2))
optimizer = dict(lr=1e-3)
lr_config = dict(warmup_iters=20)
runner = dict(max_iters=150)
checkpoint_config = dict(interval=1000)
log_config = dict(interval=5)
weight_average = dict(decay=0.95)
