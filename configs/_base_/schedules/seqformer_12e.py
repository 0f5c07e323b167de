# SeqFormer's published recipe: 16 clips a step (8 GPUs x 2), 12 epochs.
optimizer = dict(
    type='AdamW',
    lr=2e-4,
    weight_decay=1e-4,
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'sampling_offsets': dict(lr_mult=0.1),
            'reference_points': dict(lr_mult=0.1),
        }
    ),
)
optimizer_config = dict(grad_clip=dict(max_norm=0.1, norm_type=2), cumulative_iters=1)
auto_scale_lr = dict(base_batch_size=16)
epochs = dict(total=12, lr_drops=[4, 10])  # turned into iterations when the data set is known
lr_config = dict(policy='step', step=None)
runner = dict(type='ClipRunner', max_iters=None)
checkpoint_config = dict(interval=None)
evaluation = dict(interval=None, metric='segm', save_best='segm_AP')
