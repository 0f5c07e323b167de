# Small models on synthetic videos: 4 clips a step.
optimizer = dict(type='AdamW', lr=5e-4, weight_decay=1e-2)
optimizer_config = dict(grad_clip=dict(max_norm=1.0, norm_type=2), cumulative_iters=1)
lr_config = dict(
    policy='CosineAnnealing', min_lr=0, warmup='linear', warmup_iters=100, warmup_ratio=0.001
)
runner = dict(type='ClipRunner', max_iters=2400)
checkpoint_config = dict(interval=600, max_keep_ckpts=2)
evaluation = dict(interval=1200, metric='segm', save_best='segm_AP')
auto_scale_lr = dict(base_batch_size=4)
