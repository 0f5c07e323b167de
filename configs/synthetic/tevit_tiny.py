# A small TeViT on the synthetic videos, from random weights; your own configs can inherit it.
_base_ = [
    '../_base_/models/tevit_tiny.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/synthetic_2400it.py',
    '../_base_/default_runtime.py',
]

log_config = dict(interval=20)
weight_average = dict(decay=0.999)
