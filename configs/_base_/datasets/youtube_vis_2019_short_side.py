# YouTube-VIS 2019 as the Deformable DETR family reads it: PIL resizes to a short side, some clips
# are cropped first, and labels are category ids.
_base_ = './youtube_vis_2019.py'

categories = 'ytvis2019_by_id'
resize = dict(
    type='ResizeShortSide', short_sides=[288, 320, 352, 392, 416, 448, 480, 512], max_long_side=768
)
resize_or_crop = dict(
    type='AutoAugment',
    policies=[
        [resize],
        [
            dict(type='ResizeShortSide', short_sides=[400, 500, 600]),
            dict(
                type='RandomCrop',
                crop_type='absolute_range',
                crop_size=(384, 600),
                allow_negative_crop=True,
            ),
            resize,
        ],
    ],
)
train_pipeline = dict(
    resize=None,
    augment=resize_or_crop,
    # The distortion is the same for all frames of a clip, so it may come after resizing, which
    # needs integers.
    distort=dict(type='PhotoMetricDistortion'),
)
test_pipeline = dict(
    resize=None, resize_short_side=dict(type='ResizeShortSide', short_sides=[360]), pad=None
)
data = dict(
    train=dict(
        categories=categories,
        annotated_only=False,  # frames without annotations are neighbours, too
        clip_sampler=dict(type='seqformer'),
        pipeline=train_pipeline,
    ),
    val=dict(categories=categories, pipeline=test_pipeline),
    test=dict(categories=categories, pipeline=test_pipeline),
)
