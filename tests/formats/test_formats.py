"""Oddities of the other formats, and the command."""

import json

import numpy as np
import pytest
from PIL import Image
from test_round_trips import canonical, random_content

from tevit_vis.formats import ReadOptions, detect_format, find_format
from tevit_vis.rle import decode_rle, encode_array
from tevit_vis.utils.errors import InputError


def save_index(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def read(name, path, **options):
    options = ReadOptions(**options)
    return find_format(name).read(str(path), options), options.log.lines()


def test_davis_has_void_and_one_class(tmp_path):
    pixels = np.zeros((6, 8), np.uint8)
    pixels[1:3, 1:4], pixels[5] = 1, 255
    save_index(tmp_path / 'in' / 'bear' / '00000.png', pixels)
    save_index(tmp_path / 'in' / 'bear' / '00001.png', pixels * 0 + 3)
    content, lines = read('davis', tmp_path / 'in')
    assert content['categories'] == [dict(id=1, name='object')]
    first, second = content['annotations']
    assert [bool(mask) for mask in first['segmentations']] == [True, False]
    assert (decode_rle(first['segmentations'][0]) == (pixels == 1)).all()
    assert second['areas'] == [None, 48]
    assert any('dropped: void pixels (255)' in line for line in lines)
    content, _ = read('davis', tmp_path / 'in' / 'bear', categories={4: 'bear'})
    assert content['categories'] == [dict(id=4, name='bear')]


def test_images_that_are_no_index(tmp_path):
    folder = tmp_path / 'in' / 'a'
    save_index(folder / '0.png', np.ones((6, 8), np.uint8))
    save_index(folder / '1.png', np.ones((6, 9), np.uint8))
    with pytest.raises(InputError, match=r'1.png: must be 8x6 as the images before it, but is 9x6'):
        read('davis', tmp_path / 'in')
    save_index(folder / '1.png', np.ones((6, 8, 3), np.uint8))
    with pytest.raises(InputError, match='must have one number per pixel, but has colours'):
        read('davis', tmp_path / 'in')
    (folder / '1.png').write_bytes((folder / '0.png').read_bytes()[:40])
    with pytest.raises(InputError, match='1.png'):
        read('davis', tmp_path / 'in')


def test_mots_ignores_regions(tmp_path):
    pixels = np.zeros((6, 8), np.uint16)
    pixels[0], pixels[1], pixels[2] = 1003, 2001, 10000
    save_index(tmp_path / 'in' / '0001' / '000000.png', pixels)
    content, lines = read('mots-png', tmp_path / 'in')
    assert [entry['name'] for entry in content['categories']] == ['class 1', 'class 2']
    assert any('regions to be ignored' in line for line in lines)
    content, _ = read('mots-png', tmp_path / 'in', categories={1: 'car', 2: 'pedestrian'})
    assert len(content['annotations']) == 2
    row = encode_array(pixels == 1003)['counts']
    text = tmp_path / 'txt' / '0001.txt'
    text.parent.mkdir()
    text.write_text(f'0 1003 1 6 8 {row}\n1 10000 10 6 8 {row}\n')
    content, lines = read('mots', text, categories={1: 'car'})
    assert content['annotations'][0]['areas'] == [8]
    assert any('regions to be ignored' in line for line in lines)
    for line, message in (
        (f'0 1003 1 6 {row}', 'line 1: must be "frame id class height width rle"'),
        (f'0 1003 1 7 8 {row}', 'line 1: "rle" must have runs for 8x7 pixels'),
    ):
        text.write_text(line)
        with pytest.raises(InputError, match=message):
            read('mots', text)


def test_coco_without_tracks_or_videos(tmp_path):
    mask = dict(segmentation=[[1, 1, 5, 1, 5, 4, 1, 4]], image_id=1)
    images = [dict(id=n, file_name=f'walk/{n}.jpg', width=8, height=6) for n in (1, 2)]
    content = dict(
        images=images,
        categories=[dict(id=2, name='cat')],
        annotations=[
            dict(mask, category_id=2),
            dict(mask, category_id=2, image_id=2, track_id=5),
            dict(mask, category_id=9, track_id=5),
            dict(image_id=2, category_id=2, bbox=[1, 1, 4, 3], track_id=6),
        ],
    )  # fmt: skip
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(content))
    found, lines = read('cocovid', path)
    text = '\n'.join(lines)
    assert found['videos'][0]['name'] == 'walk'
    assert [entry['areas'] for entry in found['annotations']] == [[12, None], [12, 12]]
    for part in (
        'guessed: images without "video_id"',
        'guessed: annotations without a track id are tracks of one frame (1 times',
        'guessed: a track has several classes; its first one counts (1 times',
        'dropped: an annotation without a mask (--boxes-as-masks draws its box) (1 times',
    ):
        assert part in text
    found, _ = read('cocovid', path, boxes_as_masks=True)
    assert len(found['annotations']) == 3
    content['annotations'][0]['image_id'] = 77
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r'annotations\[0\]: "image_id" must be an image'):
        read('cocovid', path)


def test_the_command_says_all(call, call_fails, tmp_path):
    content = random_content(2)
    (tmp_path / 'in.json').write_text(json.dumps(content))
    out = tmp_path / 'out.xml'
    printed = call('data/convert.py', tmp_path / 'in.json', out, '--to', 'cvat')
    assert 'in.json (YouTube-VIS JSON): 3 videos' in printed
    assert f'wrote {out} (CVAT for video 1.1 (XML)): 3 videos' in printed
    before = out.read_bytes()
    line = call_fails('data/convert.py', tmp_path / 'in.json', out, '--to', 'cvat')
    assert line == f'error: {out}: is there already: --overwrite replaces it'
    line = call_fails('data/convert.py', tmp_path / 'in.json', out, '--to', 'cvta')
    assert 'format must be one of ytvis' in line or 'did you mean' in line
    assert "'cvat'" in line
    assert out.read_bytes() == before
    back = tmp_path / 'back.json'
    call('data/convert.py', out, back)
    assert len(json.loads(back.read_text())['annotations']) == len(content['annotations'])
    assert 'cvat' in call('data/convert.py', '--list')


def test_targets_are_not_lost(call, call_fails, tmp_path):
    (tmp_path / 'in.json').write_text(json.dumps(random_content(2)))
    taken = tmp_path / 'taken'
    taken.mkdir()
    (taken / 'thesis.tex').write_text('years')
    arguments = ('data/convert.py', tmp_path / 'in.json', taken, '--to', 'davis')
    assert '--overwrite replaces it' in call_fails(*arguments)
    assert 'but holds something else' in call_fails(*arguments, '--overwrite')
    assert (taken / 'thesis.tex').read_text() == 'years'
    masks = tmp_path / 'masks'
    call('data/convert.py', tmp_path / 'in.json', masks, '--to', 'davis')
    call('data/convert.py', tmp_path / 'in.json', masks, '--to', 'davis', '--overwrite')
    line = call_fails('data/convert.py', tmp_path / 'in.json', tmp_path / 'in.json', '--overwrite')
    assert 'output must be another file or folder than the input' in line
    assert not list(tmp_path.glob('*.unfinished*'))


def test_what_cannot_be_told(tmp_path):
    with pytest.raises(InputError, match='must be there, but is not'):
        detect_format(str(tmp_path / 'absent'))
    (tmp_path / 'a.bin').write_text('x')
    with pytest.raises(InputError, match='looks like none of cocovid'):
        detect_format(str(tmp_path / 'a.bin'))


def test_a_label_of_class_64_and_more_does_not_fit_mots(tmp_path):
    content = random_content(3)
    content['categories'][0]['id'] = 99
    for entry in content['annotations']:
        entry['category_id'] = 99
    content = canonical(content, tmp_path)
    options = ReadOptions()
    with pytest.raises(InputError, match='MOTS has classes from 1 to 64'):
        find_format('mots').write(content, str(tmp_path / 'out'), options.log)
