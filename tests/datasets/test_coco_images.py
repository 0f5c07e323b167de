import json

import pytest
from builders import collect_without_resize, noise_frames, write_frames

from tevit_vis.datasets import CocoImageDataset, SeededIndex
from tevit_vis.rle import to_rle
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError


@pytest.fixture
def coco(tmp_path):
    write_frames(tmp_path, noise_frames(2, 40, 60))
    content = dict(
        images=[dict(id=i + 7, file_name=f'{i:05d}.png', height=40, width=60) for i in range(2)],
        categories=[dict(id=2, name='cup'), dict(id=9, name='owl')],
        annotations=[
            dict(id=1, image_id=7, category_id=9, bbox=[10, 5, 20, 10], area=200, iscrowd=0,
                 segmentation=[[10, 5, 30, 5, 30, 15, 10, 15]]),
            dict(id=2, image_id=7, category_id=2, bbox=[0, 0, 60, 40], area=2400, iscrowd=1,
                 segmentation=dict(size=[40, 60], counts=[0, 2400])),
        ],
    )  # fmt: skip
    path = tmp_path / 'coco.json'
    path.write_text(json.dumps(content))
    return path


def test_images_are_clips_of_one_frame(coco):
    dataset = CocoImageDataset(str(coco), str(coco.parent), collect_without_resize(), clip_length=1)
    assert len(dataset) == 1  # the second image has no instance
    clip = dataset[SeededIndex(0, 0)]
    assert clip.img.shape[0] == 1
    assert clip.gt_labels[0].tolist() == [1]
    assert clip.gt_masks[0].masks.sum() == 200


def test_results_on_images_are_scored(coco):
    dataset = CocoImageDataset(
        str(coco), str(coco.parent), collect_without_resize(), test_mode=True
    )
    polygons = dataset.read_content()['annotations'][0]['segmentations'][0]
    track = [to_rle(polygons, 40, 60)]
    entry = dict(video_id=7, category_id=9, score=0.5, segmentations=track)
    assert dataset.evaluate([entry])['segm_AP'] == pytest.approx(1)


def test_a_file_without_images_is_refused(coco):
    coco.write_text('{"videos": []}')
    with pytest.raises(InputError, match='COCO JSON must have "images"'):
        CocoImageDataset(str(coco), str(coco.parent), collect_without_resize())


def test_large_scale_jittering_keeps_every_frame(coco):
    """Mask2Former's pipeline: images of one size, padded with grey, instances still seen."""
    config = load_config('mask2former/mask2former_r50_coco')
    pipeline = config.data.train.pipeline
    for step in pipeline:
        if step.type == 'Resize':
            step.img_scale = (64, 64)
        elif step.type == 'RandomCrop':
            step.crop_size = (64, 64)
        elif step.type == 'Pad':
            step.size = (64, 64)
    dataset = CocoImageDataset(str(coco), str(coco.parent), pipeline, clip_length=1)
    counts, paddings = set(), set()
    for seed in range(40):
        clip = dataset[SeededIndex(0, seed)]
        assert clip.img.shape == (1, 3, 64, 64)
        masks, labels = clip.gt_masks[0], clip.gt_labels[0]
        assert len(masks) == len(labels) == len(clip.gt_ids[0])
        assert all(mask.any() for mask in masks.masks)
        counts.add(len(labels))
        height, width = clip.img_metas[0]['img_shape'][:2]
        if width < 60:  # grey, before the image is normalised
            red = (128 - config.normalize.mean[0]) / config.normalize.std[0]
            paddings.add(round(float(clip.img[0, 0, 0, 62]), 2))
            assert paddings == {round(red, 2)}
    assert counts <= {0, 1}
    assert paddings
