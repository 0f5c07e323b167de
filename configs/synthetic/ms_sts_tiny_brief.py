# The few minutes of training of the quickstart, from random weights.
_base_ = ['./seqformer_tiny_brief.py', '../_base_/models/ms_sts_tiny.py']

model = dict(bbox_head={{_base_.mixers}})
