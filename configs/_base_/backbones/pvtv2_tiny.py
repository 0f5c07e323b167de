# A PVTv2 of 16 channels, its maps of strides 8, 16 and 32, in place of another backbone.
pvtv2_tiny = dict(
    _delete_=True,
    type='PyramidVisionTransformerV2',
    embed_dims=16,
    num_layers=[2, 2, 2, 2],
    out_indices=(1, 2, 3),
)
