# A small MS-STS on the synthetic videos: tools/quickstart.sh ms_sts.
_base_ = ['./seqformer_tiny.py', '../_base_/models/ms_sts_tiny.py']

model = dict(
    bbox_head=dict(
        encoder=dict(mixer={{_base_.mixer}}),
        decoder=dict(box_mixer={{_base_.box_mixer}}),
    ),
)
