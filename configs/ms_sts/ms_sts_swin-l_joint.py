_base_ = ['../seqformer/seqformer_swin-l_joint.py', '../_base_/models/ms_sts.py']

model = dict(bbox_head={{_base_.mixers}})
auto_scale_lr = dict(base_batch_size=10)
