# Fourth part of the curriculum: clips of ten frames, and videos in which objects are out of sight
# for a while and two of a kind are in every one, so that queries tell instances apart.
_base_ = './tevit_tiny.py'

load_from = 'work_dirs/tevit_tiny_refine/latest.pth'
folders = ['data/synthetic/train_long/', 'data/synthetic/train_absent/']
train = dict(
    ann_file=[f'{folder}annotations.json' for folder in folders],
    img_prefix=[f'{folder}JPEGImages/' for folder in folders],
    clip_length=10,
)
data = dict(samples_per_gpu=2, train=train)
optimizer = dict(lr=3e-4)
lr_config = dict(warmup_iters=50)
runner = dict(max_iters=3600)
evaluation = dict(interval=3600)
auto_scale_lr = dict(base_batch_size=2)
del folders, train
