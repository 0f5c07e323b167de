"""Folders of images, images of several pages, deep images, frames in memory."""

import cv2
import numpy as np
import pytest
import torch
from builders import noise_frames, write_frames
from PIL import Image

from tevit_vis.utils.errors import InputError
from tevit_vis.video import open_source
from tevit_vis.video.image_sources import natural_key


def test_numbered_files_come_in_their_order(tmp_path):
    frames = noise_frames(12, 20, 30)
    for number, frame in enumerate(frames, start=1):
        cv2.imwrite(str(tmp_path / f'{number}.png'), frame)
    (tmp_path / '._3.png').write_bytes(b'of a system')
    (tmp_path / 'Thumbs.db').write_bytes(b'')
    source = open_source(tmp_path)
    assert source.num_frames == 12
    assert (np.stack(list(source)) == frames).all()


@pytest.mark.parametrize(
    'names',
    [
        ['a1b2', 'a1b10', 'a2b1', 'b'],
        ['', '0', '00', '1', '٣', '10', 'x'],
        ['frame9.5', 'frame10', 'frame10.1'],
    ],
)
def test_natural_order(names):
    shuffled = names[1:] + names[:1]
    assert sorted(shuffled, key=natural_key) == names


def test_an_image_that_cannot_be_decoded_is_said(tmp_path, caplog):
    frames = noise_frames(4, 20, 30)
    paths = write_frames(tmp_path, frames)
    paths[1].write_bytes(b'no image')
    with pytest.raises(InputError, match='00001.png: frame must be an image'):
        list(open_source(tmp_path, on_damage='stop'))
    assert (np.stack(list(open_source(tmp_path))) == frames[[0, 2, 3]]).all()
    assert '3 of 4 frames were used' in caplog.text
    assert '00001.png' in caplog.text
    with pytest.raises(InputError, match='absent.png: frame must be an image file, but there is'):
        list(open_source([str(paths[0]), 'absent.png']))
    with pytest.raises(InputError, match="on_damage: must be keep, skip, stop, but got 'no'"):
        open_source(tmp_path, on_damage='no')


@pytest.mark.parametrize('suffix', ['tif', 'webp', 'png'])
def test_all_pages_are_frames(tmp_path, suffix):
    frames = noise_frames(5, 20, 30)
    images = [Image.fromarray(frame[:, :, ::-1]) for frame in frames]
    path = tmp_path / f'a.{suffix}'
    options = {} if suffix == 'tif' else dict(duration=[100, 100, 300, 100, 100])
    if suffix == 'webp':
        options['lossless'] = True
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    source = open_source(path)
    assert source.num_frames == 5
    times = [frame.time for frame in source.timed_frames()]
    assert (np.stack(list(source)) == frames).all()
    assert times == ([None] * 5 if suffix == 'tif' else pytest.approx([0, 0.1, 0.2, 0.5, 0.6]))
    path.rename(tmp_path / f'only.{suffix}')
    assert open_source(tmp_path).num_frames == 5  # a folder of one such file


def test_a_cut_file_of_pages_is_named(tmp_path):
    images = [Image.fromarray(frame) for frame in noise_frames(6, 40, 60)]
    path = tmp_path / 'a.webp'
    images[0].save(path, save_all=True, append_images=images[1:], lossless=True, duration=50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=r'a.webp: (frame|is cut)'):
        list(open_source(path, on_damage='stop'))


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_deep_greys_are_scaled_as_their_values_ask(tmp_path, bits, suffix, caplog):
    white = 2**bits - 1
    ramp = np.linspace(0, white, 64 * 32).astype(np.uint16).reshape(32, 64)
    for number in range(3):  # the first frame is dark: others tell the depth
        cv2.imwrite(str(tmp_path / f'{number}.{suffix}'), ramp // (8 if number == 0 else 1))
    frames = list(open_source(tmp_path))
    expected = np.linspace(0, 255, 64 * 32).reshape(32, 64)
    assert np.abs(frames[1][:, :, 0] - expected).max() <= 1
    assert frames[0].max() <= 32
    assert ('are taken as' in caplog.text) == (bits < 16)
    assert caplog.text.count('are taken as') <= 1


def test_a_brighter_frame_than_all_that_were_looked_at_is_not_clipped(tmp_path, caplog):
    for number in range(30):
        image = np.full((8, 8), 60_000 if number == 29 else 900, np.uint16)
        cv2.imwrite(str(tmp_path / f'{number}.png'), image)
    frames = list(open_source(tmp_path))
    assert frames[29].max() == 60_000 >> 8
    assert frames[0].max() > 200


def test_frames_in_memory_are_videos():
    frames = noise_frames(3, 20, 30)
    pillow = [Image.fromarray(frame[:, :, ::-1]) for frame in frames]
    for video in (frames, torch.from_numpy(frames), list(frames), pillow, iter(frames)):
        assert (np.stack(list(open_source(video))) == frames).all()
    source = open_source(frame for frame in frames)
    assert len(list(source)) == 3
    with pytest.raises(InputError, match='can be gone through once only'):
        list(source)


@pytest.mark.parametrize(
    ('video', 'words'),
    [
        ([np.zeros((4, 4), np.uint8)], r'frame 0: must be an array \[H, W, 3\]'),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)], 'frame 1: frame must be'),
        (torch.zeros(2, 3, 4, 4), r'must be \[T, H, W, 3\] of uint8'),
        ({'a': 1}, 'but got dict'),
        (True, 'but got bool'),
    ],
)
def test_what_is_no_frame_is_named(video, words):
    with pytest.raises(InputError, match=words):
        list(open_source(video))


@pytest.mark.parametrize('kind', ['float', 'colours of 16 bits', 'grey'])
def test_stacks_of_any_numbers(tmp_path, kind):
    pages = [np.full((16, 24), 40 + 3 * n, np.uint8) for n in range(70)]
    if kind == 'float':
        pages = [(page / 255).astype(np.float32) for page in pages]
    elif kind == 'colours of 16 bits':
        pages = [np.repeat(page[:, :, None].astype(np.uint16) * 257, 3, axis=2) for page in pages]
    assert cv2.imwritemulti(str(tmp_path / 'a.tif'), pages)
    read = list(open_source(tmp_path / 'a.tif'))
    assert len(read) == 70
    for n in (0, 1, 69):
        assert np.abs(read[n].astype(int) - (40 + 3 * n)).max() <= 1


def test_pages_without_a_duration_have_times(tmp_path):
    images = [Image.fromarray(frame) for frame in noise_frames(3, 20, 30)]
    options = dict(save_all=True, append_images=images[1:], duration=[0, 50, 50], lossless=True)
    images[0].save(tmp_path / 'a.webp', **options)
    times = [frame.time for frame in open_source(tmp_path / 'a.webp').timed_frames()]
    assert times == pytest.approx([0, 0.1, 0.15])


def test_a_gif_without_control_blocks_has_all_frames(tmp_path, caplog):
    images = [Image.fromarray(frame) for frame in noise_frames(6, 48, 64)]
    images[0].save(tmp_path / 'a.gif', save_all=True, append_images=images[1:], duration=0)
    assert len(list(open_source(tmp_path / 'a.gif'))) == 6
    assert not caplog.records


def test_a_page_of_another_size_is_named(tmp_path, caplog):
    pages = [np.zeros((48, 64), np.uint8), np.zeros((8, 8), np.uint8)]
    first, second = map(Image.fromarray, pages)
    first.save(tmp_path / 'a.tif', save_all=True, append_images=[second])
    assert len(list(open_source(tmp_path / 'a.tif'))) == 1
    assert 'page 1: frame must be 64x48 like the first one' in caplog.text


def test_a_name_that_is_too_long_is_one_line():
    with pytest.raises(InputError, match='neither is there'):
        open_source('a' * 300 + '.mp4')
