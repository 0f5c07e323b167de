# A small Mask2Former on single frames of the synthetic videos, linked by CTVIS's rule.
_base_ = [
    '../_base_/models/mask2former_tiny.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/synthetic_2400it.py',
    '../_base_/default_runtime.py',
]

data = dict(samples_per_gpu=16, train=dict(clip_length=1))
optimizer = dict(lr=1e-3)
auto_scale_lr = dict(base_batch_size=16)
log_config = dict(interval=20)
weight_average = dict(decay=0.999)
