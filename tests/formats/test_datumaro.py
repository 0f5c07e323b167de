"""datumaro's own readers take what we write; skipped where it is not installed.

It asks for older pandas and pillow than our tests do, so it is no requirement of theirs.
"""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from test_round_trips import canonical, random_content

from tevit_vis.formats import ConversionLog, find_format
from tevit_vis.rle import decode_rle, mask_boxes

datumaro = pytest.importorskip('datumaro')


@pytest.fixture
def content(tmp_path):
    whole = canonical(random_content(3), tmp_path)
    video = whole['videos'][0]['id']
    own = [entry for entry in whole['annotations'] if entry['video_id'] == video]
    return {**whole, 'videos': whole['videos'][:1], 'annotations': own}


def save_frame(path, video):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (video['width'], video['height'])).save(path)


def our_masks(content):
    """{(frame, name of the class): masks as bytes, sorted}"""
    names = {entry['id']: entry['name'] for entry in content['categories']}
    found = {}
    for entry in content['annotations']:
        for t, mask in enumerate(entry['segmentations']):
            if mask is not None:
                key = t, names[entry['category_id']]
                found.setdefault(key, []).append(decode_rle(mask).tobytes())
    return {key: sorted(masks) for key, masks in found.items()}


def their_masks(dataset, frame_of):
    labels = dataset.categories()[datumaro.AnnotationType.label]
    found = {}
    for item in dataset:
        for shape in (each for each in item.annotations if hasattr(each, 'image')):
            key = frame_of(item), labels[shape.label].name
            found.setdefault(key, []).append(np.asarray(shape.image, bool).tobytes())
    return {key: sorted(masks) for key, masks in found.items()}


def test_cvat_polygons(content, tmp_path):
    find_format('cvat-polygons').write(content, str(tmp_path / 'a.xml'), ConversionLog())
    dataset = datumaro.Dataset.import_from(str(tmp_path / 'a.xml'), 'cvat')
    theirs = {
        (shape.attributes['track_id'], item.attributes['frame']): shape.points
        for item in dataset
        for shape in item.annotations
        if not shape.attributes['outside']
    }
    ours = {
        (int(track.get('id')), int(polygon.get('frame'))): polygon.get('points')
        for track in ElementTree.parse(tmp_path / 'a.xml').iterfind('track')
        for polygon in track.iterfind('polygon')
        if polygon.get('outside') == '0'
    }
    assert theirs
    assert theirs.keys() == ours.keys()
    for key, points in ours.items():
        numbers = [float(n) for pair in points.split(';') for n in pair.split(',')]
        np.testing.assert_allclose(theirs[key], numbers)


def test_cvat_masks(content, tmp_path):
    """datumaro 1.13 takes masks of images, not those of tracks, so these are given as such."""
    find_format('cvat').write(content, str(tmp_path / 'a.xml'), ConversionLog())
    tree = ElementTree.parse(tmp_path / 'a.xml')
    video = content['videos'][0]
    size = {'width': str(video['width']), 'height': str(video['height'])}
    images = {}
    for track in tree.findall('track'):
        tree.getroot().remove(track)
        for mask in track.iterfind("mask[@outside='0']"):
            frame = mask.get('frame')
            mask.set('label', track.get('label'))
            name = {'id': frame, 'name': f'{int(frame):06d}.jpg'}
            images.setdefault(frame, ElementTree.Element('image', **name, **size)).append(mask)
    tree.getroot().extend(images.values())
    tree.write(tmp_path / 'a.xml')
    (tmp_path / 'images').mkdir()
    for image in images.values():
        save_frame(tmp_path / 'images' / image.get('name'), video)
    dataset = datumaro.Dataset.import_from(str(tmp_path), 'cvat')
    assert their_masks(dataset, lambda item: item.attributes['frame']) == our_masks(content)


def test_mots_images(content, tmp_path):
    root = tmp_path / 'mots'
    find_format('mots-png').write(content, str(root / 'instances'), ConversionLog())
    names = {entry['id']: entry['name'] for entry in content['categories']}
    labels = '\n'.join(names.get(number, f'class {number}') for number in range(1, 4))
    (root / 'instances' / 'labels.txt').write_text(labels)
    dataset = datumaro.Dataset.import_from(str(root), 'mots')
    assert their_masks(dataset, lambda item: int(item.id[-5:])) == our_masks(content)


def test_coco(content, tmp_path):
    """The COCO reader of datumaro knows nothing of tracks, but takes the masks of each image."""
    folder = tmp_path / 'coco/annotations'
    folder.mkdir(parents=True)
    find_format('cocovid').write(content, str(folder / 'instances_a.json'), ConversionLog())
    video = content['videos'][0]
    for name in video['file_names']:
        save_frame(tmp_path / 'coco/images' / name, video)
    dataset = datumaro.Dataset.import_from(str(tmp_path / 'coco'), 'coco')
    assert their_masks(dataset, lambda item: int(item.id[-6:])) == our_masks(content)


def test_mot(content, tmp_path):
    find_format('mot').write(content, str(tmp_path / 'mot'), ConversionLog())
    found = sorted(
        (frame.id, shape.attributes['track_id'], *np.round(shape.get_bbox()).astype(int).tolist())
        for file in (tmp_path / 'mot').rglob('*.txt')
        for frame in datumaro.Dataset.import_from(str(file), 'mot_seq')
        for shape in frame.annotations
    )
    expected = [
        mask_boxes([mask])[0].astype(int).tolist()
        for entry in content['annotations']
        for mask in entry['segmentations']
        if mask is not None
    ]
    assert sorted(box[2:] for box in found) == sorted(map(tuple, expected))
