# A small IFC on the synthetic videos; tools/quickstart.sh ifc trains it briefly.
_base_ = [
    '../_base_/models/ifc_tiny.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/synthetic_2400it.py',
    '../_base_/default_runtime.py',
]

data = dict(train=dict(clip_sampler=dict(type='ifc', reach=6)))
log_config = dict(interval=20)
weight_average = dict(decay=0.999)
