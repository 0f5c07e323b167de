# The few minutes of training of the quickstart, from the backbone of the shipped TeViT.
_base_ = './mask2former_tiny.py'

load_from = '{{ fileDirname }}/tevit_tiny.pth'
lr_config = dict(warmup_iters=20)
runner = dict(max_iters=300)
checkpoint_config = dict(interval=1000)
log_config = dict(interval=5)
weight_average = dict(decay=0.98)
