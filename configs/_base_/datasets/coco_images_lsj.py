# COCO 2017 as videos of one frame, with large scale jittering: images are resized by 0.1 to 2 and
# cut or padded to 1024x1024. Padding is grey, before images are normalised.
_base_ = './coco_images.py'

image_size = (1024, 1024)
pad_pixels = dict(type='Pad', pad_val=dict(img=(128, 128, 128), masks=0, seg=255))
train_pipeline = dict(
    resize=dict(
        img_scale=image_size, ratio_range=(0.1, 2.0), multiscale_mode='range', keep_ratio=True
    ),
    augment=dict(
        type='RandomCrop',
        crop_size=image_size,
        crop_type='absolute',
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    filter=dict(
        type='FilterAnnotations', min_gt_bbox_wh=(1e-5, 1e-5), by_mask=True, keep_empty=False
    ),
    pad_pixels=dict(pad_pixels, size=image_size),
    pad=None,
)
test_pipeline = dict(pad_pixels=dict(pad_pixels, size_divisor=32), pad=None)
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline),
)
del pad_pixels
