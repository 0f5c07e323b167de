_base_ = [
    '../_base_/models/tevit_tiny.py',
    '../_base_/datasets/synthetic.py',
    '../_base_/default_runtime.py',
]

optimizer = dict(type='AdamW', lr=1e-3, weight_decay=1e-2)
optimizer_config = dict(grad_clip=dict(max_norm=1.0, norm_type=2))
lr_config = dict(
    policy='CosineAnnealing', min_lr=0, warmup='linear', warmup_iters=300, warmup_ratio=0.001
)
runner = dict(type='ClipRunner', max_iters=12000)
checkpoint_config = dict(interval=1000, max_keep_ckpts=2)
evaluation = dict(interval=2000, metric='segm', save_best='segm_AP')
auto_scale_lr = dict(base_batch_size=8)
weight_average = dict(decay=0.999)
