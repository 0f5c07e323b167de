# The quickstart's training: three classes more, from the checkpoint that ships with the project.
_base_ = './tevit_tiny.py'

load_from = '{{ fileDirname }}/tevit_tiny.pth'
model = dict(roi_head=dict(num_classes=8))
# The rows of the new classes start from nothing, all else is trained already.
class_layers = dict(fc_cls=dict(lr_mult=6), conv_logits=dict(lr_mult=6))
optimizer = dict(lr=5e-4, paramwise_cfg=dict(custom_keys=class_layers))
lr_config = dict(warmup_iters=20)
runner = dict(max_iters=280)
checkpoint_config = dict(interval=1000)
log_config = dict(interval=5)
weight_average = dict(decay=0.98)
del class_layers
