# The quickstart's two minutes of training, from the checkpoint that ships with the project.
_base_ = './tevit_tiny.py'

load_from = '{{ fileDirname }}/tevit_tiny.pth'
optimizer = dict(lr=2e-4)
lr_config = dict(warmup_iters=20)
runner = dict(max_iters=200)
checkpoint_config = dict(interval=1000)
log_config = dict(interval=5)
weight_average = dict(decay=0.98)
