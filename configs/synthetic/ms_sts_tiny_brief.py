# The quickstart's few minutes of training, from drawn weights.
_base_ = ['./seqformer_tiny_brief.py', '../_base_/models/ms_sts_tiny.py']

model = dict(
    bbox_head=dict(
        encoder=dict(mixer={{_base_.mixer}}),
        decoder=dict(box_mixer={{_base_.box_mixer}}),
    ),
)
