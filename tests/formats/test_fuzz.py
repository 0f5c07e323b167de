"""Damaged inputs of every format are read, or refused in one line; nothing else happens."""

import copy
import json
import warnings

import numpy as np
import pytest
from test_round_trips import CATEGORIES, TARGETS, canonical, random_content

from tevit_vis.formats import ConversionLog, ReadOptions, find_format
from tevit_vis.rle import encode_array
from tevit_vis.utils.errors import InputError

VALUES = [None, 0, -1, 1.5, 10**12, float('nan'), '', 'x', [], [1], {}, {'a': 1}, True, '../x']


def damaged_bytes(data, rng):
    """Text or image with a few bytes changed, cut off, or doubled."""
    data = bytearray(data)
    place = int(rng.integers(len(data)))
    kind = rng.integers(4)
    if kind == 0:
        return bytes(data[:place])
    if kind == 1:
        return bytes(data[:place] + data[place // 2 :])
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(data)))
        data[place] = int(rng.integers(256)) if kind == 2 else rng.choice(list(b'0123456789-<>"'))
    return bytes(data)


def places_of(value, path=()):
    """Paths to everything inside of JSON."""
    yield path
    items = dict(enumerate(value)) if isinstance(value, list) else value
    for key, inner in items.items() if isinstance(items, dict) else ():
        yield from places_of(inner, (*path, key))


def damaged_json(content, rng):
    """Content with one value deleted or replaced by something of another kind."""
    content = copy.deepcopy(content)
    places = list(places_of(content))
    *path, last = places[int(rng.integers(1, len(places)))]
    owner = content
    for key in path:
        owner = owner[key]
    if rng.random() < 0.3:
        del owner[last]
    else:
        owner[last] = VALUES[int(rng.integers(len(VALUES)))]
    return content


def read_or_refuse(form, path, frames=None):
    options = ReadOptions(frames=frames, categories=CATEGORIES, boxes_as_masks=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            form.recognises(path)
            form.read(path, options)
        except InputError as error:
            message = str(error)
            assert '\n' not in message
            assert len(message) < 600


@pytest.mark.parametrize('seed', range(40))
@pytest.mark.parametrize('name', [*TARGETS, 'mot'])
def test_bytes_that_were_changed(name, seed, tmp_path):
    content = canonical(random_content(seed % 5), tmp_path)
    rng = np.random.default_rng(seed)
    target = tmp_path / TARGETS.get(name, ['folder'])[0]
    form = find_format(name)
    form.write(content, str(target), ConversionLog())
    files = sorted(f for f in target.rglob('*') if f.is_file()) if target.is_dir() else [target]
    file = files[int(rng.integers(len(files)))]
    file.write_bytes(damaged_bytes(file.read_bytes(), rng))
    read_or_refuse(form, str(target))


def labelme_content():
    shapes = [
        dict(label='cat', group_id=1, shape_type='polygon', points=[[0, 0], [5, 0], [5, 5]]),
        dict(label='cat', group_id=2, shape_type='rectangle', points=[[0, 0], [5, 2]]),
        dict(label='cat', group_id=3, shape_type='circle', points=[[4, 4], [5, 4]]),
    ]
    return dict(version='5', imagePath='0.jpg', imageHeight=9, imageWidth=12, shapes=shapes)


def burst_content(mask):
    sequence = dict(
        dataset='AVA', seq_name='walk', width=6, height=4, annotated_image_paths=['3.jpg', '9.jpg'],
        track_category_ids={'1': 1}, segmentations=[{'1': dict(rle=mask['counts'])}, {}],
    )  # fmt: skip
    return dict(sequences=[sequence], categories=[dict(id=1, name='cat')])


def sav_content(mask):
    return dict(
        video_id='sav_1', video_frame_count=2, video_height=4, video_width=6,
        masklet_id=[0], masklet=[[mask], [mask]],
    )  # fmt: skip


def json_inputs(tmp_path):
    """{format: (content, file it is written to, what is read)}"""
    mask = encode_array(np.eye(4, 6, dtype=bool))
    content = canonical(random_content(2), tmp_path)
    coco = tmp_path / 'coco.json'
    find_format('cocovid').write(content, str(coco), ConversionLog())
    (tmp_path / 'lm').mkdir()
    single = tmp_path / 'in.json'
    return {
        'ytvis': (content, single, single),
        'cocovid': (json.loads(coco.read_text()), single, single),
        'burst': (burst_content(mask), single, single),
        'sav': (sav_content(mask), single, single),
        'labelme': (labelme_content(), tmp_path / 'lm/0.json', tmp_path / 'lm'),
    }


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('name', ['ytvis', 'cocovid', 'burst', 'sav', 'labelme'])
def test_values_that_were_changed(name, seed, tmp_path):
    content, file, source = json_inputs(tmp_path)[name]
    form = find_format(name)
    file.write_text(json.dumps(content))
    form.read(str(source), ReadOptions(categories=CATEGORIES))
    rng = np.random.default_rng(seed)
    for _ in range(60):
        file.write_text(json.dumps(damaged_json(content, rng)))
        read_or_refuse(form, str(source))
