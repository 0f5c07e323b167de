"""The model that predict takes where none is named."""

import json
from dataclasses import replace

import pytest
import torch
from builders import noise_frames, write_frames

from tevit_vis.apis import choice, init_model
from tevit_vis.apis.choice import choose_model, set_short_side
from tevit_vis.cli import run_words
from tevit_vis.model_zoo import ZOO
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

NAME = 'synthetic/mask2former_tiny'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a zoo whose last entry is a small model."""
    monkeypatch.setenv('TEVIT_VIS_CACHE', str(tmp_path / 'cache'))
    small = replace(ZOO['tevit/queryinst_r50_coco'], name=NAME, digest='', filename='small.pth')
    monkeypatch.setitem(ZOO, NAME, replace(small, address='http://127.0.0.1:9/small.pth'))
    folder = tmp_path / 'cache' / 'checkpoints'
    folder.mkdir(parents=True)
    return folder


def save_small(path):
    torch.save({'state_dict': init_model(NAME, device='cpu').state_dict()}, path)


def test_weights_at_hand_are_taken(cache):
    assert choose_model() == (choice.PREFERRED[0], f'zoo:{choice.PREFERRED[0]}')
    (cache / 'small.pth').touch()
    assert choose_model() == (NAME, f'zoo:{NAME}')
    (cache / ZOO[choice.PREFERRED[1]].file).touch()
    assert choose_model() == (choice.PREFERRED[1], f'zoo:{choice.PREFERRED[1]}')


def test_a_checkpoint_needs_its_config(tmp_path):
    (tmp_path / 'mine.py').touch()
    with pytest.raises(InputError, match=r'needs --config, the config .*, such as .*/mine\.py'):
        choose_model(checkpoint=str(tmp_path / 'latest.pth'))


def test_the_short_side_is_checked():
    config = load_config(NAME)
    with pytest.raises(InputError, match='must be from 32 to 2160 pixels, but is 9'):
        set_short_side(config, 9, NAME)
    set_short_side(config, 64, NAME)
    config.data.test.pipeline = [s for s in config.data.test.pipeline if s['type'] != 'Resize']
    with pytest.raises(InputError, match="must resize frames with mmdet's Resize"):
        set_short_side(config, 64, NAME)


def test_predict_works_with_a_video_alone(cache, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choice, 'PREFERRED', (NAME,))
    monkeypatch.setattr('tevit_vis.jobs.predict.CPU_SHORT_SIDE', 32)
    write_frames(tmp_path / 'frames', noise_frames(3, 48, 80))
    save_small(cache / 'small.pth')
    run_words(['predict', 'frames', '--device', 'cpu', '--score-thr', '0', '--json', 'a.json'])
    text = capsys.readouterr().out
    assert (
        f'model: {NAME} (--config and --checkpoint name another), frames of short side 32' in text
    )
    assert 'out.mp4' in text
    assert (tmp_path / 'out.mp4').stat().st_size > 1000
    assert json.loads((tmp_path / 'a.json').read_text())


def test_without_weights_it_says_where_they_are(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choice, 'PREFERRED', (NAME,))
    write_frames(tmp_path / 'frames', noise_frames(3, 48, 80))
    with pytest.raises(InputError, match=f'127.0.0.1:9/small.pth.*put it at {cache}/small.pth'):
        run_words(['predict', 'frames', '--device', 'cpu'])
    assert not (tmp_path / 'out.mp4').exists()


def test_a_stream_gets_windows_and_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / 'frames', noise_frames(12, 48, 80))
    run_words(['stream', 'frames', '--config', 'synthetic/tevit_tiny', '--device', 'cpu'])
    assert 'windows of 10 frames at stride 5' in capsys.readouterr().out
    lines = (tmp_path / 'stream.jsonl').read_text().splitlines()
    assert [json.loads(line)['frame'] for line in lines] == list(range(12))
    assert not list(tmp_path.glob('*.mp4'))
