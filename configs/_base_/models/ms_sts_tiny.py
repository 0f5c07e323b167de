# What MS-STS VIS adds to the small SeqFormer.
_base_ = './ms_sts.py'

mixers = dict(
    encoder=dict(mixer=dict(head_dims=8, feedforward_channels=64, dropout=0.0)),
    decoder=dict(box_mixer=dict(num_heads=4, head_dims=16, dropout=0.0)),
)
adversary = dict(
    loss=dict(block_channels=[16, 32, 64, 128]),
    optimizer=dict(lr=1e-3),  # hundreds of steps, not a hundred thousand
)
