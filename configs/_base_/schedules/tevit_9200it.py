# TeViT's published recipe: 16 clips a step (8 GPUs x 2), 9,200 steps.
optimizer = dict(
    type='AdamW',
    lr=2.5e-4,
    weight_decay=1e-4,
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=1.0)}),
)
optimizer_config = dict(grad_clip=dict(max_norm=0.1, norm_type=2), cumulative_iters=1)
lr_config = dict(
    policy='step', step=[6100, 8500], warmup='linear', warmup_iters=770, warmup_ratio=0.001
)
runner = dict(type='ClipRunner', max_iters=9200)
checkpoint_config = dict(interval=770)
evaluation = dict(interval=770, metric='segm', save_best='segm_AP')
auto_scale_lr = dict(base_batch_size=16)
