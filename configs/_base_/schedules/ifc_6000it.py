# IFC's published recipe: 16 clips a step (8 GPUs x 2), 6,000 steps.
optimizer = dict(
    type='AdamW',
    lr=1e-4,
    weight_decay=1e-4,
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
optimizer_config = dict(grad_clip=dict(max_norm=0.01, norm_type=2), cumulative_iters=1)
lr_config = dict(policy='step', step=[4000], warmup='linear', warmup_iters=10, warmup_ratio=0.1)
runner = dict(type='ClipRunner', max_iters=6000)
checkpoint_config = dict(interval=1000)
evaluation = dict(interval=1000, metric='segm', save_best='segm_AP')
auto_scale_lr = dict(base_batch_size=16)
