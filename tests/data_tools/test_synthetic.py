import importlib.util
import json

import numpy as np
import pytest

from tevit_vis.data_tools import photographs, synthetic_world
from tevit_vis.data_tools.checks import DatasetCheck
from tevit_vis.data_tools.photographs import CATEGORIES
from tevit_vis.data_tools.synthetic_files import instance_entry, make_synthetic
from tevit_vis.data_tools.synthetic_world import SyntheticWorld
from tevit_vis.rle import decode_rle
from tevit_vis.utils.errors import InputError


@pytest.fixture(scope='module')
def world():
    if importlib.util.find_spec('skimage') is None:
        pytest.skip('scikit-image is not installed')
    return SyntheticWorld((80, 48), num_frames=6)


def test_the_same_seed_gives_the_same_bytes_and_more_videos_change_none(world, tmp_path):
    for name, count in (('a', 2), ('b', 3)):
        make_synthetic(tmp_path / name, count, seed=4, world=world)
    files = sorted((tmp_path / 'a').rglob('*.jpg'))
    assert len(files) == 12
    for path in files:
        other = tmp_path / 'b' / path.relative_to(tmp_path / 'a')
        assert path.read_bytes() == other.read_bytes()
    contents = [json.loads((tmp_path / n / 'annotations.json').read_text()) for n in 'ab']
    first, more = (content['annotations'] for content in contents)
    assert first == more[: len(first)]
    assert (world.video([5, 0]).frames != world.video([4, 0]).frames).any()


def test_files_are_sound(world, tmp_path):
    path, images = make_synthetic(tmp_path, 4, seed=0, world=world)
    done = DatasetCheck(json.loads(path.read_text()), 'ann', str(images))
    assert done.faults == []
    assert [line for line in done.warnings if 'has no instance' not in line] == []


def test_masks_never_overlap(world):
    for seed in range(5):
        video = world.video([seed])
        assert np.sum(video.masks, axis=0).max() == 1
        assert 2 <= len(video.categories) <= 4
        assert set(video.categories) <= set(range(len(CATEGORIES)))


def test_masks_are_exact(world, monkeypatch):
    """A white instance on black, without noise and blur, is its own mask."""
    monkeypatch.setattr(synthetic_world, 'NOISE', 0)
    monkeypatch.setattr(synthetic_world, 'BLURRED_VIDEOS', 0)
    white = [[np.dstack([np.full((*p.shape[:2], 3), 255, np.float32), p[..., 3:]]) for p in options]
             for options in world.cutouts]  # fmt: skip
    plain = SyntheticWorld((80, 48), num_frames=6)
    plain.cutouts = white
    plain.backgrounds = [np.zeros((400, 400, 3), np.float32)]
    video = plain.video([3])
    seen = video.frames.min(3) >= 96  # instances are dimmed to three quarters at most
    assert (seen == np.sum(video.masks, axis=0).astype(bool)).mean() > 0.995


def test_most_videos_have_two_of_a_kind_that_look_alike(world):
    twins = [len(set(v.categories)) < len(v.categories) for v in map(world.video, seeds(40))]
    assert 0.5 < np.mean(twins) <= 1
    rng = np.random.default_rng(0)
    for _ in range(20):
        tracks = world._tracks(rng)
        for track in tracks:
            for other in tracks:
                if other.category == track.category:
                    assert other.picture is track.picture


def test_instances_enter_leave_and_cover_each_other(world):
    videos = [world.video(seed) for seed in seeds(30)]
    sizes = [masks.sum((1, 2)) for video in videos for masks in video.masks]
    assert any(size[0] == 0 < size[-1] for size in sizes)
    assert any(size[-1] == 0 < size[0] for size in sizes)
    assert any((size[1:-1] < 0.5 * size[[0]]).any() for size in sizes if size[0])


def seeds(count):
    return [[index] for index in range(count)]


def test_an_entry_says_boxes_and_areas_of_its_masks():
    masks = np.zeros((2, 10, 20), bool)
    masks[0, 2:5, 4:10] = True
    entry = instance_entry(masks)
    assert entry['bboxes'] == [[4, 2, 6, 3], None]
    assert entry['areas'] == [18, None]
    assert (decode_rle(entry['segmentations'][0]) == masks[0]).all()


def test_without_photographs_the_way_to_them_is_named(monkeypatch):
    monkeypatch.setattr(photographs.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match='scikit-image: must be installed'):
        SyntheticWorld()


def test_every_object_is_out_of_sight_once(world):
    hidden = SyntheticWorld((80, 48), num_frames=12, absence=(3, 6))
    gaps = []
    for seed in range(6):
        video = hidden.video([seed])
        assert len(set(video.categories)) < len(video.categories)  # two of a kind
        for masks in video.masks:
            seen = np.flatnonzero(masks.any((1, 2)))
            gaps.append(int(np.diff(seen).max(initial=1)) - 1 if len(seen) else 0)
    assert sum(gap >= 3 for gap in gaps) > len(gaps) / 2  # others enter late or are covered
    for absence in ((0, 3), (4, 3), (3, 11)):
        with pytest.raises(InputError, match='absence: must be from 1 frame to 10, .* but is'):
            SyntheticWorld((80, 48), num_frames=12, absence=absence)
