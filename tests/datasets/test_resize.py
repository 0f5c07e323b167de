import numpy as np
import pytest
from builders import noise_frames
from mmdet.datasets.pipelines import Compose
from PIL import Image

from tevit_vis.datasets import ResizeShortSide
from tevit_vis.datasets.pipelines.resize import short_side_size


@pytest.mark.parametrize(
    ('size', 'sides', 'given'),
    [
        ((1280, 720), (360, None), (640, 360)),
        ((720, 1280), (360, None), (360, 640)),
        ((100, 77), (360, None), (467, 360)),  # 467.5: cut, not rounded
        ((1000, 300), (360, 768), (766, 230)),  # the short side gives way and is rounded
        ((90, 90), (30, 40), (30, 30)),
    ],
)
def test_sizes(size, sides, given):
    assert short_side_size(*size, *sides) == given


@pytest.mark.parametrize(
    ('size', 'sides', 'given'),
    [((100, 77), (360, None), (468, 360)), ((1000, 300), (360, 768), (768, 230))],
)
def test_detectron2_rounds_the_long_side(size, sides, given):
    assert short_side_size(*size, *sides, round_long_side=True) == given


def resized(image, **options):
    results = dict(img=image, img_shape=image.shape, img_fields=['img'], bbox_fields=[])
    return ResizeShortSide(**options)(results)


def test_pixels_are_those_of_pil_and_cv2_differs():
    image = noise_frames(1, 60, 97)[0]
    found = resized(image, short_sides=[30])
    wanted = np.array(Image.fromarray(image).resize((48, 30), Image.BILINEAR))
    assert (found['img'] == wanted).all()
    assert found['img_shape'] == (30, 48, 3)
    np.testing.assert_allclose(found['scale_factor'], [48 / 97, 0.5] * 2, rtol=1e-6)
    assert (resized(image, short_sides=[30], backend='cv2')['img'] != wanted).any()


def test_resizing_twice_takes_the_second_size():
    image = noise_frames(1, 60, 80)[0]
    steps = [dict(type='ResizeShortSide', short_sides=[side]) for side in (30, 45)]
    found = Compose(steps)(dict(img=image, img_fields=['img']))
    assert found['img'].shape == (45, 60, 3)


@pytest.mark.parametrize('options', [dict(short_sides=[]), dict(short_sides=[0]),
                                     dict(short_sides=[30], max_long_side=1.5)])  # fmt: skip
def test_sizes_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match='must be pixels >= 1'):
        ResizeShortSide(**options)
