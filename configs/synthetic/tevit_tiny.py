# Second part of the curriculum: clips, started from the weights of tevit_tiny_images.
_base_ = [
    '../_base_/models/tevit_tiny.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/synthetic_2400it.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/tevit_tiny_images/latest.pth'
log_config = dict(interval=20)
weight_average = dict(decay=0.999)
