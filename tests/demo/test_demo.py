"""The demo page: over HTTP, and in a browser."""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest
from builders import noise_frames

from tevit_vis.apis import TorchVideoModel, init_model
from tevit_vis.cli import run_words
from tevit_vis.demo import DemoJobs, DemoOptions, DemoServer, jobs
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter

CHECKPOINT = Path(__file__).parents[2] / 'configs' / 'synthetic' / 'tevit_tiny.pth'
CHROMIUM = shutil.which('chromium')


@pytest.fixture(scope='module')
def model():
    return TorchVideoModel(init_model('synthetic/tevit_tiny', str(CHECKPOINT), device='cpu'))


@pytest.fixture
def server(model, tmp_path):
    server = DemoServer(port=0)
    options = DemoOptions(300_000, max_frames=6, max_pixels=100_000, max_waiting=2, max_kept=1)
    server.waiting = DemoJobs(model, tmp_path / 'jobs', options)
    thread = threading.Thread(target=server.serve, args=[server.waiting])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(str(path), 10) as writer:
        for frame in noise_frames(4, 96, 160):
            writer.write(frame)
    return path


def ask(server, path, method='GET', body=None, **headers):
    connection = HTTPConnection('127.0.0.1', server.server_port, timeout=30)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.read(), dict(response.getheaders())


def ask_json(*args, **kwargs):
    status, body, _ = ask(*args, **kwargs)
    return status, json.loads(body)


def send(server, path, name='clip.mp4', score='0'):
    return ask_json(server, f'/videos?name={name}&score={score}', 'POST', path.read_bytes())


def wait(server, identity):
    for _ in range(300):
        _, job = ask_json(server, f'/videos/{identity}')
        if job['state'] in ('done', 'failed'):
            return job
        time.sleep(0.1)
    raise AssertionError('the video is not done')


def test_a_video_comes_back_drawn(server, clip):
    status, page, headers = ask(server, '/')
    assert status == 200
    assert b'Drop a video here' in page
    assert "default-src 'self'" in headers['Content-Security-Policy']
    assert ask_json(server, '/model')[1]['classes'][0] == 'cat'
    status, job = send(server, clip)
    assert status == 200
    assert (job['name'], job['num_frames']) == ('clip.mp4', 4)
    job = wait(server, job['id'])
    assert (job['state'], job['num_done']) == ('done', 4), job['message']
    assert job['message'].startswith('4 frames, ')
    place = f'/videos/{job["id"]}'
    status, video, _ = ask(server, f'{place}/found.mp4')
    assert status == 200
    status, part, headers = ask(server, f'{place}/found.mp4', Range='bytes=10-19')
    assert (status, part) == (206, video[10:20])
    assert headers['Content-Range'] == f'bytes 10-19/{len(video)}'
    status, part, _ = ask(server, f'{place}/found.mp4', Range='bytes=30-')
    assert (status, part) == (206, video[30:])
    lines = ask(server, f'{place}/found.jsonl')[1].decode().splitlines()
    assert [json.loads(line)['frame'] for line in lines] == [0, 1, 2, 3]
    assert not (server.waiting.folder / job['id'] / 'upload').exists()
    # Of finished videos one is kept.
    second = wait(server, send(server, clip)[1]['id'])
    third = wait(server, send(server, clip)[1]['id'])
    assert ask(server, place)[0] == 404
    assert not (server.waiting.folder / job['id']).exists()
    assert {second['state'], third['state']} == {'done'}


@pytest.mark.parametrize(
    ('content', 'query', 'words'),
    [
        (b'no video' * 100, 'name=bad.mp4', 'bad.mp4: video cannot be opened'),
        (b'', 'name=empty.mp4', 'empty.mp4'),
        (b'x' * 300_001, 'name=huge.mp4', 'huge.mp4: must have at most 0.3 MB'),
        (b'x', 'name=a.mp4&score=2', 'score: must be from 0 to 1, but is 2'),
        (b'x', 'name=a.mp4&score=nan', 'score: must be from 0 to 1, but is nan'),
    ],
)
def test_what_is_no_video_is_answered_in_words(server, content, query, words):
    status, answer = ask_json(server, f'/videos?{query}', 'POST', content)
    assert status == 400
    assert words in answer['error']
    assert str(server.waiting.folder) not in answer['error']
    assert not list(server.waiting.folder.glob('*'))


def test_a_name_is_only_a_name(server, clip):
    _, job = send(server, clip, name='../../evil.mp4')
    assert job['name'] == 'evil.mp4'
    assert wait(server, job['id'])['state'] == 'done'


def test_others_cannot_use_it(server, clip):
    assert ask(server, '/', Host='evil.example')[0] == 403
    assert ask(server, '/', Host=f'127.0.0.2:{server.server_port}')[0] == 200
    assert ask(server, '/videos', 'POST', b'x', Origin='http://evil.example')[0] == 403
    assert ask(server, '/videos/../../../etc/passwd')[0] == 404
    assert ask(server, '/elsewhere', 'POST', b'x')[0] == 403
    _, job = send(server, clip)
    assert ask(server, f'/videos/{job["id"]}/upload')[0] == 404
    wait(server, job['id'])


def test_more_videos_than_may_wait_are_refused(server, clip, monkeypatch):
    going_on = threading.Event()

    def wait_and_fail(*_):
        going_on.wait(30)
        raise InputError('enough')

    with monkeypatch.context() as patch:
        patch.setattr(jobs, 'write_video', wait_and_fail)
        answers = [send(server, clip)]
        while server.waiting.queue.qsize():  # until it runs
            time.sleep(0.01)
        threads = [
            threading.Thread(target=lambda: answers.append(send(server, clip))) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _ in answers) == [200] * 3 + [503] * 4
        assert ask(server, '/model')[0] == 200  # the page goes on
        going_on.set()
        for status, job in answers:
            if status == 200:
                for _ in range(100):
                    if ask(server, f'/videos/{job["id"]}')[0] == 404:  # ended, and forgotten
                        break
                    if ask_json(server, f'/videos/{job["id"]}')[1].get('state') == 'failed':
                        break
                    time.sleep(0.05)
    assert wait(server, send(server, clip)[1]['id'])['state'] == 'done'


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'ffconcat version 1.0\nfile upload\n', 'video cannot be opened'),
        (b'#EXTM3U\n#EXTINF:1,\nupload\n', 'video cannot be opened'),
    ],
)
def test_scripts_of_ffmpeg_are_refused(server, content, words):
    status, answer = ask_json(server, '/videos?name=a.mp4', 'POST', content)
    assert status == 400
    assert words in answer['error']


def test_frames_that_are_too_large_are_refused_by_the_header(server, tmp_path):
    path = tmp_path / 'large.mp4'
    with VideoWriter(str(path), 10) as writer:
        writer.write(np.zeros((400, 400, 3), np.uint8))
    status, answer = send(server, path, name='large.mp4')
    assert (status, answer['error']) == (
        400,
        'large.mp4: frames must have at most 0.1 million pixels, but have 400x400',
    )


def test_odd_requests_do_no_harm(server, clip, capfd):
    _, job = send(server, clip)
    wait(server, job['id'])
    place = f'/videos/{job["id"]}/found.mp4'
    whole = ask(server, place)[1]
    assert ask(server, place, Range='bytes=5-2')[:2] == (200, whole)
    assert ask(server, place, Range=f'bytes={len(whole)}-')[0] == 416
    connection = HTTPConnection('127.0.0.1', server.server_port, timeout=30)
    connection.putrequest('POST', '/videos?name=a.mp4')
    connection.putheader('Content-Length', '9' * 5000)
    connection.endheaders()
    assert connection.getresponse().status == 400
    with socket.create_connection(('127.0.0.1', server.server_port)) as client:
        client.sendall(
            b'POST /videos?name=a.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab'
        )
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    time.sleep(0.2)
    assert len(list(server.waiting.folder.iterdir())) == 1
    assert 'Traceback' not in capfd.readouterr().err


def test_ctrl_c_and_a_closed_terminal_leave_nothing_behind(clip, tmp_path):
    for number in (signal.SIGINT, signal.SIGHUP):
        command = [*(sys.executable, '-m', 'tevit_vis', 'demo', '--port', '0', '--device', 'cpu')]
        process = subprocess.Popen(
            [*command, '--config', 'synthetic/tevit_tiny'],
            env={**os.environ, 'TMPDIR': str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        port = int(re.search(r':(\d+) ', process.stdout.readline())[1])
        connection = HTTPConnection('127.0.0.1', port, timeout=30)
        connection.request('POST', '/videos?name=a.mp4&score=0', clip.read_bytes())
        assert connection.getresponse().status == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert 'Traceback' not in errors
        assert 'terminate' not in errors
        assert not list(tmp_path.glob('tevit_vis_demo_*'))


def test_exported_models_and_those_of_torch_do_not_mix():
    with pytest.raises(InputError, match='--amp: is of models of torch: leave it out with --exp'):
        run_words(['demo', '--port', '0', '--exported', 'x', '--amp', 'bf16'])


@pytest.mark.parametrize(
    ('error', 'words'),
    [(InputError('the disk is full'), 'the disk is full'), (ValueError('bug'), 'an error that is')],
)
def test_a_video_that_fails_does_not_end_the_page(server, clip, monkeypatch, error, words):
    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(jobs, 'write_video', fail)
        job = wait(server, send(server, clip)[1]['id'])
    assert job['state'] == 'failed'
    assert words in job['message']
    assert wait(server, send(server, clip)[1]['id'])['state'] == 'done'


def test_a_port_that_is_taken_is_one_line(server):
    with pytest.raises(InputError, match='--port .*: cannot be listened at on 127.0.0.1 .*in use'):
        run_words(['demo', '--port', str(server.server_port)])
    with pytest.raises(InputError, match='--port 99999: cannot be listened at'):
        run_words(['demo', '--port', '99999'])


@pytest.mark.skipif(CHROMIUM is None, reason='no Chromium')
def test_in_a_browser(server, clip, tmp_path):
    sync_api = pytest.importorskip('playwright.sync_api')
    (tmp_path / 'bad.mp4').write_bytes(b'no video' * 100)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        page = browser.new_page()
        faults = []
        page.on('pageerror', lambda fault: faults.append(fault))
        page.goto(f'http://127.0.0.1:{server.server_port}/')
        page.locator('#model').filter(has_text='The model knows: cat').wait_for()
        page.set_input_files('#file', str(clip))
        page.wait_for_selector('#result:not([hidden])')
        page.evaluate('video.play()')  # ends when it plays
        assert page.evaluate('video.videoWidth') == 640
        assert page.inner_text('#message').startswith('4 frames, ')
        with page.expect_download() as download:
            page.click('#lines')
        assert download.value.suggested_filename == 'clip_found.jsonl'
        page.set_input_files('#file', str(tmp_path / 'bad.mp4'))
        page.locator('#fault').filter(has_text='video cannot be opened').wait_for()
        assert page.locator('#result').is_hidden()
        browser.close()
    assert not faults
