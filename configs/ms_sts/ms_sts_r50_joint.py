_base_ = ['../seqformer/seqformer_r50_joint.py', '../_base_/models/ms_sts.py']

model = dict(
    bbox_head=dict(
        encoder=dict(mixer={{_base_.mixer}}),
        decoder=dict(box_mixer={{_base_.box_mixer}}),
    ),
)
auto_scale_lr = dict(base_batch_size=10)
