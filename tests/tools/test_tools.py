"""The commands, as users call them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from builders import GOLDENS, SHARED, noise_frames, write_frames
from golden import GoldenCase

from tevit_vis.video import VideoWriter

ROOT = Path(__file__).parents[2]
DATA = SHARED / 'data' / 'real_clips'


def run(*command, **environment):
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '2', **environment},
    )


@pytest.mark.slow
def test_test_vis_writes_the_same_with_one_process_and_with_two(
    tiny_files, video_dataset, tmp_path
):
    config, checkpoint = tiny_files
    annotations, images = video_dataset
    data = ['--json', annotations, '--root', images, '--device', 'cpu']
    one = run(
        sys.executable,
        ROOT / 'tools/test_vis.py',
        config,
        checkpoint,
        *data,
        *('--out', tmp_path / 'one.json', '--cfg-options', 'model.test_cfg.rcnn.max_per_img=4'),
    )
    assert one.returncode == 0, one.stderr
    assert 'frame/s' in one.stderr
    assert '12 entries for 3 videos' in one.stdout
    two = run(
        'bash',
        ROOT / 'tools/dist_test.sh',
        config,
        checkpoint,
        2,
        *data,
        *('--out', tmp_path / 'two.json', '--cfg-options', 'model.test_cfg.rcnn.max_per_img=4'),
    )
    assert two.returncode == 0, two.stderr
    assert (tmp_path / 'one.json').read_bytes() == (tmp_path / 'two.json').read_bytes()
    assert len(json.loads((tmp_path / 'two.json').read_text())) == 12


def test_a_fault_is_one_line_and_leaves_no_results(run_here, tiny_files, video_dataset, tmp_path):
    config, checkpoint = tiny_files
    annotations, images = video_dataset
    (images / 'video_2' / '00001.png').unlink()
    done = run_here(
        ROOT / 'tools/test_vis.py',
        config,
        checkpoint,
        *('--json', annotations, '--root', images, '--out', tmp_path / 'r.json'),
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith('error: ')
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'r.json').exists()


@pytest.mark.skipif(not DATA.is_dir(), reason='../shared/data is absent')
def test_video_demo_draws_a_real_clip(run_here, tiny_files, tmp_path):
    config, checkpoint = tiny_files
    done = run_here(
        ROOT / 'tools/video_demo.py',
        *(config, checkpoint, DATA / 'JPEGImages' / 'dog', '--score-thr', '0'),
        *('--out', tmp_path / 'a.mp4', '--json', tmp_path / 'a.json'),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / 'a.json').read_text())
    frames = len(list((DATA / 'JPEGImages' / 'dog').iterdir()))
    assert (result['length'], result['height'], result['width']) == (frames, 360, 640)
    assert len(result['instances']) == 10
    with av.open(str(tmp_path / 'a.mp4')) as container:
        drawn = [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]
    assert len(drawn) == frames
    assert np.ptp(drawn[0]) > 100


def test_video_demo_streams_with_windows(run_here, tiny_files, tmp_path):
    config, checkpoint = tiny_files
    frames = write_frames(tmp_path / 'clip', noise_frames(9, 48, 80))
    demo = [ROOT / 'tools/video_demo.py', config, checkpoint, frames[0].parent]
    windows = ['--window', 4, '--stride', 2, '--jsonl', tmp_path / 'a.jsonl', '--max-frames', 7]
    done = run_here(*demo, *windows, '--score-thr', 0, '--out', tmp_path / 'a.mp4')
    assert done.returncode == 0, done.stderr
    assert 'windows of 4 frames at stride 2: a frame is drawn when up to 5 more' in done.stdout
    assert 'clip: 7 frames, ' in done.stdout
    lines = [json.loads(line) for line in (tmp_path / 'a.jsonl').read_text().splitlines()]
    assert [line['frame'] for line in lines] == list(range(7))
    for line in lines:
        for track in line['tracks']:
            assert set(track) == {'track', 'category', 'score', 'box', 'segmentation'}
            assert track['score'] > 0.05
    with av.open(str(tmp_path / 'a.mp4')) as container:
        assert len(list(container.decode(video=0))) == 7


def test_video_demo_takes_several_videos(run_here, tiny_files, tmp_path):
    for name in ('2.mp4', '10.mp4'):
        with VideoWriter(str(tmp_path / 'in' / name), 10) as writer:
            for frame in noise_frames(3, 48, 80):
                writer.write(frame)
    (tmp_path / 'in' / '3.mp4').write_bytes(b'no video' * 100)
    demo = [ROOT / 'tools/video_demo.py', *tiny_files]
    out, lines = tmp_path / 'out', tmp_path / 'lines'
    done = run_here(*demo, tmp_path / 'in', '--out', out, '--jsonl', lines, '--score-thr', 0)
    assert done.returncode == 1
    assert f'error: {tmp_path}/in/3.mp4: video cannot be decoded' in done.stderr
    assert 'error: 1 of 3 videos could not be done' in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ['10.mp4', '2.mp4']
    assert sorted(path.name for path in lines.iterdir()) == ['10.jsonl', '2.jsonl']
    pattern = run_here(
        *demo, tmp_path / 'in' / '1*.mp4', '--no-video', '--json', tmp_path / 'a.json'
    )
    assert pattern.returncode == 0, pattern.stderr
    assert json.loads((tmp_path / 'a.json').read_text())['length'] == 3
    assert '10.mp4: 3 frames, ' in pattern.stdout


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--no-video'], '--no-video: leaves nothing to write'),
        (['--out', ''], '--out: must have a name'),
        (['--out', 'a.png'], 'a.png: video must end in .mp4'),
        (['--score-thr', '1.5'], '--score-thr: must be a number from 0 to 1'),
        (['--stride', '3'], 'stride: needs windows'),
        (['--classes', 'x'], "--classes: must be of .* but got 'x'"),
        (['--max-overlap', '7'], '--max-overlap: must be a number from 0 to 1'),
        (['--codec', 'h264', '--out', 'a.webm'], 'codec must be vp9 or av1'),
        (['--fps', '0'], '--fps: frames per second must be 0.01 to 1000'),
    ],
)
def test_options_of_video_demo_that_cannot_be(
    call_fails, tiny_files, tmp_path, monkeypatch, options, words
):
    write_frames(tmp_path / 'clip', noise_frames(2, 48, 80))
    monkeypatch.chdir(tmp_path)
    line = call_fails('video_demo.py', *tiny_files, 'clip', '--device', 'cpu', *options)
    assert re.match(f'error: .*{words}', line)


def test_video_demo_names_a_file_that_is_no_video(run_here, tiny_files, tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'no video' * 100)
    done = run_here(ROOT / 'tools/video_demo.py', *tiny_files, tmp_path / 'a.mp4')
    assert done.returncode == 1
    assert f'error: {tmp_path}/a.mp4: video cannot be decoded' in done.stderr


def test_check_case_fails_on_wrong_numbers(run_here, tmp_path):
    case = GOLDENS / 'tevit' / 'tiny_r50'
    for path in case.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / 'results.json').unlink()
    results = json.loads((case / 'results.json').read_text())
    results[0]['score'] += 0.01
    (tmp_path / 'results.json').write_text(json.dumps(results))
    done = run_here(ROOT / 'tests/parity/check_case.py', tmp_path)
    assert done.returncode == 1
    assert 'results.json: score' in done.stdout
    assert 'FAIL' in done.stdout
    absent = run_here(ROOT / 'tests/parity/check_case.py', tmp_path / 'absent')
    assert absent.returncode == 2
    assert absent.stderr.strip().splitlines()[-1].startswith('error: ')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--cfg-options', 'foo'], '--cfg-options: must be KEY=VALUE, but got'),
        (['--cfg-options', 'model.test_cfg.frames_per_pass=0'], 'must be a whole number >= 1'),
        (['--cfg-options', 'model.test_cfg.rcnn.max_per_img=x'], "number >= 0, but got 'x'"),
        (['--cfg-options', 'model.type=Foo'], 'config: model cannot be built'),
        (['--cfg-options', 'model.backbone.detph=1'], "has no key 'detph'"),
        (['--out', '/proc/none/r.json'], '/proc/none/r.json: output must be writable'),
        (['--device', 'mps'], 'device must be cpu, cuda or cuda:N'),
        (['--root', '/absent'], '/absent: image folder must be there'),
        (['--json', 'absent.json'], 'error: absent.json: annotation file must be there'),
    ],
)
def test_bad_options_are_one_line(run_here, tiny_files, video_dataset, tmp_path, options, message):
    annotations, images = video_dataset
    done = run_here(
        ROOT / 'tools/test_vis.py',
        *tiny_files,
        *('--json', annotations, '--root', images, '--out', tmp_path / 'r.json', *options),
    )
    assert done.returncode != 0
    assert message in done.stderr.strip().splitlines()[-1]
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'r.json').exists()


def test_video_demo_does_not_write_over_its_input(run_here, tiny_files, tmp_path):
    with VideoWriter(str(tmp_path / 'a.mp4'), 5) as writer:
        writer.write(noise_frames(1, 48, 80)[0])
    before = (tmp_path / 'a.mp4').read_bytes()
    demo = ROOT / 'tools/video_demo.py', *tiny_files, tmp_path / 'a.mp4'
    done = run_here(*demo, '--out', tmp_path / 'a.mp4')
    assert 'output must be another file than the input' in done.stderr
    assert (tmp_path / 'a.mp4').read_bytes() == before


@pytest.mark.slow
def test_convert_checkpoint_converts_there_and_back_and_refuses_others(run_here, tmp_path):
    case = GOLDENS / 'seqformer' / 'tiny'
    official, ours, back = (tmp_path / name for name in ('official.pth', 'ours.pth', 'back.pth'))
    torch.save(GoldenCase(case).checkpoint(), official)
    tool = (ROOT / 'tools/convert_checkpoint.py', 'seqformer')
    there = run_here(*tool, official, ours)
    assert there.returncode == 0, there.stderr
    assert '429 renamed, 16 dropped, 53 made, 0 missing' in there.stdout
    again = run_here(*tool, ours, back, '--reverse', '--quiet')
    assert again.stdout.count('\n') == 2
    assert set(torch.load(back)['model']) == set(torch.load(official)['model'])
    for arguments, message in (
        ((ours, back), 'it looks like a SeqFormer of tevit_vis'),
        ((official, back, '--config', 'seqformer/seqformer_r50_joint'), 'does not fit the model'),
        ((official, official), 'output must be another file than the input'),
    ):
        back.unlink(missing_ok=True)
        refused = run_here(*tool, *arguments)
        assert refused.returncode == 1
        assert refused.stderr.count('\n') == 1
        assert message in refused.stderr
        assert not back.exists()
