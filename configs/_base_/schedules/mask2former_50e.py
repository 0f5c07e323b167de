# Mask2Former's recipe on COCO: 16 images a step (8 GPUs x 2), 368,750 steps, which are 50 epochs.
embedding = dict(lr_mult=1.0, decay_mult=0.0)
optimizer = dict(
    type='AdamW',
    lr=1e-4,
    weight_decay=0.05,
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'query_embed': embedding,
            'query_feat': embedding,
            'level_embed': embedding,
        },
        norm_decay_mult=0.0,
    ),
)
optimizer_config = dict(grad_clip=dict(max_norm=0.01, norm_type=2), cumulative_iters=1)
lr_config = dict(policy='step', step=[327778, 355092])
runner = dict(type='ClipRunner', max_iters=368750)
checkpoint_config = dict(interval=5000, max_keep_ckpts=3)
evaluation = dict(interval=50000, metric='segm', save_best='segm_AP')
auto_scale_lr = dict(base_batch_size=16)
del embedding
