# What MS-STS VIS adds to SeqFormer; the configs of MS-STS insert it into the head.
mixers = dict(
    encoder=dict(
        mixer=dict(
            type='SplitAttention', num_heads=4, head_dims=16, feedforward_channels=128, dropout=0.1
        ),
    ),
    decoder=dict(
        box_mixer=dict(type='BoxTemporalAttention', num_heads=8, head_dims=40, dropout=0.1),
    ),
)
# The adversary is used in training only; None leaves it out.
adversary = dict(
    loss=dict(type='AdversarialLoss', block_channels=[64, 128, 256, 512], loss_weight=0.01),
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.5, 0.999)),
)
