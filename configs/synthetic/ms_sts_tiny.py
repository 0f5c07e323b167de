# A small MS-STS on the synthetic videos; tools/quickstart.sh ms_sts trains it briefly.
_base_ = ['./seqformer_tiny.py', '../_base_/models/ms_sts_tiny.py']

model = dict(bbox_head={{_base_.mixers}})
