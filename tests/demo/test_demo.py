"""The demo page: over HTTP, and in a browser."""

import json
import shutil
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

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
    options = DemoOptions(max_bytes=300_000, max_frames=6, max_kept=1)
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
        (b'no video' * 100, 'name=bad.mp4', 'bad.mp4: video cannot be decoded'),
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
    assert ask(server, '/videos', 'POST', b'x', Origin='http://evil.example')[0] == 403
    assert ask(server, '/videos/../../../etc/passwd')[0] == 404
    assert ask(server, '/elsewhere', 'POST', b'x')[0] == 403
    _, job = send(server, clip)
    assert ask(server, f'/videos/{job["id"]}/upload')[0] == 404
    wait(server, job['id'])


def test_a_queue_that_is_full_says_so(server, clip, monkeypatch):
    monkeypatch.setattr(server.waiting.queue, 'full', lambda: True)
    status, answer = send(server, clip)
    assert (status, answer['error']) == (400, '5 videos are waiting already: try again later')


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
        page.locator('#fault').filter(has_text='video cannot be decoded').wait_for()
        assert page.locator('#result').is_hidden()
        browser.close()
    assert not faults
