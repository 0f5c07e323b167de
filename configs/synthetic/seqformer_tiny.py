# A small SeqFormer on the synthetic videos; tools/quickstart.sh seqformer trains it briefly.
_base_ = [
    '../_base_/models/seqformer_tiny.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/schedules/synthetic_2400it.py',
    '../_base_/default_runtime.py',
]

data = dict(train=dict(clip_sampler=dict(type='seqformer')))
optimizer = dict(
    paramwise_cfg=dict(
        custom_keys={'sampling_offsets': dict(lr_mult=0.1), 'reference_points': dict(lr_mult=0.1)}
    ),
)
log_config = dict(interval=20)
weight_average = dict(decay=0.999)
