"""Oddities of the other formats, and the command."""

import base64
import io
import json
import sys

import numpy as np
import pytest
from PIL import Image
from test_round_trips import canonical, random_content

from tevit_vis.formats import (
    ConversionLog,
    ReadOptions,
    detect_format,
    find_format,
    to_supervision,
)
from tevit_vis.rle import decode_rle, encode_array
from tevit_vis.structures import FrameInstances
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
    with pytest.raises(InputError, match='looks like none of burst'):
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


def test_mot_holds_boxes(tmp_path):
    content = canonical(random_content(2), tmp_path)
    out = tmp_path / 'mot'
    options = ReadOptions()
    find_format('mot').write(content, str(out), options.log)
    assert any('the mask of an object, of which the box stays' in line
               for line in options.log.lines())  # fmt: skip
    assert detect_format(str(out)).name == 'mot'
    for video in content['videos']:  # sizes come from images
        for name in video['file_names']:
            save_index(
                tmp_path / 'frames' / name, np.zeros((video['height'], video['width']), 'u1')
            )
    categories = {1: 'cat', 3: '<dog> & "co"'}
    frames = str(tmp_path / 'frames')
    back, lines = read('mot', out, frames=frames, categories=categories, boxes_as_masks=True)
    assert sorted(map(str, (e['bboxes'] for e in back['annotations']))) == sorted(
        map(str, (e['bboxes'] for e in content['annotations']))
    )
    back, lines = read('mot', out, frames=frames)
    assert back['annotations'] == []
    assert any('--boxes-as-masks draws it' in line for line in lines)


def test_mot_sequences_have_their_size_in_a_file(tmp_path):
    folder = tmp_path / 'in' / 'TUD'
    (folder / 'gt').mkdir(parents=True)
    gt = folder / 'gt' / 'gt.txt'
    gt.write_text('1,7,-2,1,5,3,1,-1,-1,-1\n3,7,50,1,5,3,1,-1,-1,-1\n')
    with pytest.raises(InputError, match='must be known from seqinfo.ini'):
        read('mot', tmp_path / 'in')
    (folder / 'seqinfo.ini').write_text('[Sequence]\nimWidth=10\nimHeight=8\nseqLength=4\n')
    content, lines = read('mot', tmp_path / 'in', boxes_as_masks=True)
    (entry,) = content['annotations']
    assert entry['bboxes'] == [[0, 1, 3, 3], None, None, None]
    assert any('a box outside of its frame' in line for line in lines)
    for text in ('0,7,1,1,5,3', '1,7,x,1,5,3', '1,7,1'):
        gt.write_text(text)
        with pytest.raises(InputError, match='gt.txt: line 1: must be "frame,id,left'):
            read('mot', gt.parent.parent)
    (folder / 'seqinfo.ini').write_text('[Other]')
    gt.write_text('1,7,1,1,5,3')
    with pytest.raises(InputError, match='seqinfo.ini: must have imWidth'):
        read('mot', folder)


@pytest.mark.parametrize('name', ['mot', 'mots'])
def test_files_that_are_no_text(name, tmp_path):
    (tmp_path / 'a.txt').write_bytes(b'1,2,3,4,5,6\xff')
    with pytest.raises(InputError, match='a.txt: must be text in UTF-8, but is not'):
        read(name, tmp_path / 'a.txt')


def labelme_file(folder, t, shapes, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    content = dict(imagePath=f'..\\images\\{t}.jpg', imageHeight=10, imageWidth=12, shapes=shapes)
    (folder / f'{t}.json').write_text(json.dumps({**content, **changes}))


def labelme_square(x, label='cat', group=None, kind='polygon', **more):
    points = [[x, 2], [x + 4, 2], [x + 4, 6], [x, 6]]
    points = points if kind == 'polygon' else [points[0], points[2]]
    return dict(label=label, group_id=group, shape_type=kind, points=points, **more)


def test_labelme_groups_are_tracks(tmp_path):
    parts = [labelme_square(0, group=1), labelme_square(6, group=1)]
    labelme_file(tmp_path / 'in' / 'a', 2, [*parts, labelme_square(1, 'dog')])
    labelme_file(tmp_path / 'in' / 'a', 10, [labelme_square(1, group=1), labelme_square(2, 'dog')])
    content, lines = read('labelme', tmp_path / 'in')
    assert detect_format(str(tmp_path / 'in')).name == 'labelme'
    assert content['videos'][0]['file_names'] == ['a/2.jpg', 'a/10.jpg']
    cat, dog = content['annotations']
    assert cat['areas'] == [32, 16], 'parts of one object in a frame are one mask'
    assert dog['areas'] == [16, 16]
    assert any('a label without "group_id" is one track' in line for line in lines)
    content, _ = read('labelme', tmp_path / 'in' / 'a')
    assert content['videos'][0]['file_names'] == ['2.jpg', '10.jpg']


def test_labelme_without_groups_and_other_shapes(tmp_path):
    image = io.BytesIO()
    Image.fromarray(np.eye(3, dtype=np.uint8) * 255).save(image, 'PNG')
    mask = labelme_square(5, 'blob', 1, 'mask', mask=base64.b64encode(image.getvalue()).decode())
    shapes = [
        labelme_square(0), labelme_square(6), mask, labelme_square(0, 'box', 2, 'rectangle'),
        labelme_square(3, 'disc', 3, 'circle'), labelme_square(3, 'line', 4, 'linestrip'),
    ]  # fmt: skip
    labelme_file(tmp_path / 'in', 0, shapes)
    content, lines = read('labelme', tmp_path / 'in')
    names = [entry['name'] for entry in content['categories']]
    assert names == ['blob', 'cat', 'disc']
    areas = {names[entry['category_id'] - 1]: entry['areas'][0] for entry in content['annotations']}
    assert areas['blob'] == 3
    assert areas['disc'] > 20
    assert len(content['annotations']) == 4
    text = '\n'.join(lines)
    assert 'shapes without "group_id" are tracks of one frame (2 times' in text
    assert 'a linestrip, which has no area' in text
    assert 'a rectangle is no mask' in text
    labelme_file(tmp_path / 'in', 1, [], imageWidth=13)
    with pytest.raises(InputError, match='1.json: must be 12x10 as the frames before it'):
        read('labelme', tmp_path / 'in')
    mask['mask'] = 'no image'
    labelme_file(tmp_path / 'in', 1, [mask])
    with pytest.raises(InputError, match=r'shapes\[0\]: "mask" must be an image in base64'):
        read('labelme', tmp_path / 'in')


def test_burst(tmp_path):
    mask = encode_array(np.eye(4, 6, dtype=bool))['counts']
    sequence = dict(
        dataset='AVA', seq_name='walk', width=6, height=4,
        annotated_image_paths=['3.jpg', '9.jpg'], track_category_ids={'1': 5, '2': 6},
        segmentations=[{'1': dict(rle=mask)}, {'1': dict(rle=mask), '2': dict(rle=mask)}],
    )  # fmt: skip
    path = tmp_path / 'a.json'
    content = dict(sequences=[sequence], categories=[dict(id=5, name='cat')])
    path.write_text(json.dumps(content))
    found, lines = read('burst', path)
    assert detect_format(str(path)).name == 'burst'
    assert found['videos'][0]['file_names'] == ['AVA/walk/3.jpg', 'AVA/walk/9.jpg']
    assert [entry['areas'] for entry in found['annotations']] == [[4, 4], [None, 4]]
    assert any('a name for a category that the file does not have' in line for line in lines)
    sequence['segmentations'][0]['1'] = dict(rle='zz')
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r'segmentations\[0\], track 1: "rle"'):
        read('burst', path)
    del sequence['width']
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="must have seq_name, width, .* but: 'width'"):
        read('burst', path)


def test_sav(tmp_path):
    mask = encode_array(np.eye(4, 6, dtype=bool))
    empty = encode_array(np.zeros((4, 6), bool))
    content = dict(
        video_id='sav_1', video_height=4.0, video_width=6.0, masklet_id=[0, 1],
        masklet=[[mask, empty], [mask, mask]],
    )  # fmt: skip
    path = tmp_path / 'sav_1_manual.json'
    path.write_text(json.dumps(content))
    found, lines = read('sav', path)
    assert detect_format(str(tmp_path)).name == 'sav'
    assert found['videos'][0]['file_names'] == ['sav_1/000000.jpg', 'sav_1/000004.jpg']
    assert [entry['areas'] for entry in found['annotations']] == [[4, 4], [None, 4]]
    (tmp_path / 'sav_1_auto.json').write_text(json.dumps(content))
    found, _ = read('sav', tmp_path)
    assert [video['name'] for video in found['videos']] == ['sav_1', 'sav_1_manual']
    content['masklet'][0] = [mask]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match='each frame must have a mask for each "masklet_id"'):
        read('sav', path)


def test_supervision_takes_the_tracks_of_a_frame(monkeypatch):
    """Runs whole where supervision is there; it wants opencv-python, which would replace ours."""
    mask = encode_array(np.eye(4, 6, dtype=bool))
    scores = np.array([[0.2, 0.7]], np.float32)
    frame = FrameInstances(0, [3], scores, np.array([[0, 0, 4, 4]]), [mask], (4, 6))
    assert repr(frame) == 'FrameInstances(frame 0, 1 tracks [3] in 6x4)'
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(InputError, match='needs the package supervision: pip install supervision'):
        to_supervision(frame, ['cat', 'dog'])
    monkeypatch.undo()
    pytest.importorskip('supervision')
    found = to_supervision(frame, ['cat', 'dog'])
    assert (found.tracker_id.tolist(), found.class_id.tolist()) == ([3], [1])
    assert found.data['class_name'].tolist() == ['dog']
    assert (found.mask[0] == np.eye(4, 6, dtype=bool)).all()
    assert len(to_supervision(frame.select([]), ['cat', 'dog'])) == 0


def test_results_in_place_of_labels(call, call_fails, tmp_path):
    """What test_vis.py writes, in every form."""
    content = canonical(random_content(2), tmp_path)
    entries = [
        {key: entry[key] for key in ('video_id', 'category_id', 'segmentations')}
        for entry in content['annotations']
    ]
    for entry, score in zip(entries, [0.9, 0.1, *[0.8] * len(entries)]):
        entry['score'] = score
    entries.append({**entries[0], 'category_id': 88})
    (tmp_path / 'in.json').write_text(json.dumps({**content, 'annotations': []}))
    (tmp_path / 'r.json').write_text(json.dumps(entries))
    out = tmp_path / 'out.xml'
    options = ('--results', tmp_path / 'r.json', '--to', 'cvat')
    printed = call('data/convert.py', tmp_path / 'in.json', out, *options)
    assert 'dropped: a prediction that scores less than 0.3 (1 times' in printed
    assert 'dropped: a prediction of no category of the file (1 times' in printed
    back, _ = read('cvat', out)
    assert len(back['annotations']) == len(entries) - 2
    assert back['annotations'][0]['segmentations'] == entries[0]['segmentations']
    entries[0]['segmentations'] = entries[0]['segmentations'][:-1]
    (tmp_path / 'r.json').write_text(json.dumps(entries))
    line = call_fails('data/convert.py', tmp_path / 'in.json', out, *options, '--overwrite')
    assert 'r.json: [0]: "segmentations" must have one mask or null for each' in line


def test_vipseg_has_stuff_and_things(tmp_path):
    pixels = np.zeros((4, 6), np.uint16)
    pixels[0, :3] = 14  # stuff
    pixels[1, :2] = 6100
    pixels[2, :4] = 6101
    pixels[3, 0] = 300  # the first object of the third class
    folder = tmp_path / 'panomasks/walk'
    folder.mkdir(parents=True)
    for t in (30, 35):
        Image.fromarray(pixels).save(folder / f'{t:08d}.png')
    assert detect_format(str(tmp_path / 'panomasks')).name == 'vipseg'
    table = {2: 'door', 60: 'person'}
    found, lines = read('vipseg', tmp_path / 'panomasks', categories=table)
    names = {entry['id']: entry['name'] for entry in found['categories']}
    assert [(names[e['category_id']], e['areas']) for e in found['annotations']] == [
        ('door', [1, 1]), ('person', [2, 2]), ('person', [4, 4]),
    ]  # fmt: skip
    assert any('regions of stuff, which are no objects (1 times' in line for line in lines)


def test_a_list_of_categories_is_a_table(call, tmp_path):
    """VIPSeg's own list of categories is one."""
    folder = tmp_path / 'masks/walk'
    folder.mkdir(parents=True)
    pixels = np.full((4, 6), 6100, np.uint16)
    pixels[0, 0] = 14
    Image.fromarray(pixels).save(folder / '0.png')
    table = tmp_path / 'panoVIPSeg_categories.json'
    table.write_text(json.dumps([dict(id=13, name='floor'), dict(id=60, name='person')]))
    call('data/convert.py', tmp_path / 'masks', tmp_path / 'a.json', '--categories', table)
    found = json.loads((tmp_path / 'a.json').read_text())
    assert [entry['category_id'] for entry in found['annotations']] == [60]


@pytest.mark.parametrize('asked', [False, True])
def test_tao_has_boxes_and_frames_out_of_order(asked, tmp_path):
    box = [1, 1, 3, 2]
    corners = [[1, 1, 4, 1, 4, 3, 1, 3]]
    content = dict(
        videos=[dict(id=5, name='train/AVA/walk', width=6, height=4)],
        images=[
            dict(id=n, video_id=5, width=6, height=4, file_name=f'{t}.jpg', frame_index=t)
            for n, t in enumerate((60, 30))
        ],
        tracks=[dict(id=1, category_id=1, video_id=5)],
        categories=[dict(id=1, name='cat')],
        annotations=[
            dict(id=1, image_id=0, track_id=1, category_id=1, bbox=box, segmentation=corners)
        ],
    )  # fmt: skip
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(content))
    found, lines = read('cocovid', path, boxes_as_masks=asked)
    assert found['videos'][0]['file_names'] == ['30.jpg', '60.jpg']
    assert [entry['areas'] for entry in found['annotations']] == ([[None, 6]] if asked else [])
    assert asked or any('(--boxes-as-masks draws its box)' in line for line in lines)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('<size>1</size>', '<size>99999999999</size>', 'must have at most 1000000 frames'),
        ('<width>6</width>', '<width>99999999</width>', '<original_size>: "size" must be'),
        ('encoding="utf-8"', 'encoding="ut7-8"', 'must be whole XML, but: unknown encoding'),
    ],
)
def test_impossible_numbers_and_encodings_of_cvat(old, new, message, tmp_path):
    content = dict(
        videos=[dict(id=1, name='v', width=6, height=4, file_names=['v/0.jpg'])],
        categories=[dict(id=1, name='cat')],
        annotations=[],
    )
    path = tmp_path / 'a.xml'
    find_format('cvat').write(content, str(path), ConversionLog())
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        read('cvat', path)
