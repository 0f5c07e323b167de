import os
import socket
from contextlib import contextmanager
from threading import Event, Thread

import av
import cv2
import numpy as np
import pytest
from builders import noise_frames, write_frames

from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter, open_source, public_url
from tevit_vis.video.streams import VideoStream


def write_video(path, frames, fps=12.0):
    with VideoWriter(str(path), fps) as writer:
        for frame in frames:
            writer.write(frame)


@pytest.mark.parametrize('size', [(48, 80), (80, 48), (51, 37)])
def test_a_written_video_reads_back(tmp_path, size):
    frames = noise_frames(5, *size)
    write_video(tmp_path / 'a.mp4', frames)
    source = open_source(tmp_path / 'a.mp4')
    read = np.stack(list(source))
    assert source.num_frames == 5
    assert source.fps == pytest.approx(12)
    assert read.shape[1:3] == tuple(side + side % 2 for side in size)
    difference = np.abs(read[:, : size[0], : size[1]].astype(int) - frames)
    assert difference.mean() < 12  # lossy, with halved colour resolution
    assert len(list(source)) == 5  # may be gone through again


def test_written_video_is_h264_that_browsers_play(tmp_path):
    write_video(tmp_path / 'a.mp4', noise_frames(2, 48, 80))
    with av.open(str(tmp_path / 'a.mp4')) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ('h264', 'yuv420p')
    content = (tmp_path / 'a.mp4').read_bytes()
    assert content.index(b'moov') < content.index(b'mdat')  # starts before it is loaded whole


def test_other_containers_are_read(tmp_path):
    for name, codec in (('a.avi', 'mpeg4'), ('a.webm', 'libvpx')):
        with av.open(str(tmp_path / name), 'w') as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 80, 48, 'yuv420p'
            for frame in noise_frames(3, 48, 80):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='bgr24')))
            container.mux(stream.encode(None))
        assert [frame.shape for frame in open_source(tmp_path / name)] == [(48, 80, 3)] * 3


def test_a_failed_writer_leaves_no_file(tmp_path):
    def write_and_fail():
        with VideoWriter(str(tmp_path / 'a.mp4'), 5) as writer:
            writer.write(noise_frames(1, 48, 80)[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_folders_lists_and_arrays_are_sources(tmp_path):
    frames = noise_frames(3, 20, 30)
    paths = write_frames(tmp_path / 'clip', frames)
    (tmp_path / 'clip' / 'notes.txt').write_text('no image')
    for video in (tmp_path / 'clip', list(reversed(paths)), frames):
        read = list(open_source(video))
        expected = frames[::-1] if isinstance(video, list) else frames
        assert (np.stack(read) == expected).all()


def make_bad(folder, kind):
    frames = noise_frames(2, 20, 30)
    if kind == 'empty folder':
        (folder / 'clip').mkdir()
        return folder / 'clip'
    if kind == 'unreadable image':
        paths = write_frames(folder / 'clip', frames)
        paths[1].write_bytes(b'no image')
        return folder / 'clip'
    if kind == 'other size':
        write_frames(folder / 'clip', frames)
        write_frames(folder / 'more', noise_frames(1, 20, 32))[0].rename(folder / 'clip/9.png')
        return folder / 'clip'
    if kind == 'no video':
        (folder / 'a.mp4').write_bytes(b'not a video at all' * 50)
        return folder / 'a.mp4'
    if kind == 'cut video':
        write_video(folder / 'b.mp4', noise_frames(30, 48, 80))
        (folder / 'a.mp4').write_bytes((folder / 'b.mp4').read_bytes()[:1500])
        return folder / 'a.mp4'
    if kind == 'array of floats':
        return frames.astype(np.float32)
    if kind == 'number':
        return 5.0
    return folder / 'absent.mp4'


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('empty folder', 'must hold at least one image'),
        ('unreadable image', '00001.png: frame must be an image'),
        ('other size', '9.png: frame must be 30x20 like the first one, but it is 32x20'),
        ('no video', 'a.mp4: video cannot be decoded'),
        ('cut video', 'a.mp4: video cannot be decoded|at least one frame'),
        ('array of floats', 'of uint8 with T >= 1, but got .* of float32'),
        ('number', 'video must be a video file, .* but got float'),
        ('absent', 'absent.mp4: video must be a file or a folder'),
    ],
)
def test_bad_videos_are_named(tmp_path, kind, message):
    with pytest.raises(InputError, match=message):
        list(open_source(make_bad(tmp_path, kind), on_damage='stop'))


def test_unwritable_output_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='output must be writable'):
        VideoWriter(str(tmp_path / 'file' / 'a.mp4'), 5)


@pytest.mark.parametrize('fps', [float('nan'), float('inf'), -1.0, 0.0])
def test_frames_per_second_that_cannot_be(tmp_path, fps):
    with pytest.raises(InputError, match='frames per second must be 0.01 to 1000'):
        VideoWriter(str(tmp_path / 'a.mp4'), fps)


def test_a_wrong_frame_count_in_the_header_changes_nothing(tmp_path):
    path = tmp_path / 'a.avi'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10)
        stream.width, stream.height, stream.pix_fmt = 80, 48, 'yuvj420p'
        for frame in noise_frames(6, 48, 80):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='bgr24')))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    length = content.index(b'strh') + 8 + 32  # dwLength of the stream's header
    content[length : length + 4] = (99).to_bytes(4, 'little')
    path.write_bytes(content)
    source = open_source(path)
    assert source.num_frames == 99
    assert len(list(source)) == 6


def test_an_endless_file_can_be_played_before_it_ends(tmp_path):
    with VideoWriter(str(tmp_path / 'a.mp4'), 5, endless=True) as writer:
        for frame in noise_frames(60, 48, 80):
            writer.write(frame)
        (unfinished,) = tmp_path.glob('a.mp4.*.unfinished.mp4')
        killed = unfinished.read_bytes()
    (tmp_path / 'b.mp4').write_bytes(killed)
    assert 10 < len(list(open_source(tmp_path / 'b.mp4'))) < 60
    assert len(list(open_source(tmp_path / 'a.mp4'))) == 60


@contextmanager
def server(content, stays):
    """Sends bytes to whoever connects, then closes, or says no more."""
    over = Event()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(content)
            over.wait(0 if not stays else 30)

    with socket.create_server(('127.0.0.1', 0)) as listener:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f'tcp://127.0.0.1:{listener.getsockname()[1]}'
        over.set()
        thread.join()


@pytest.fixture
def transport_stream(tmp_path):
    """The bytes of 30 frames as an MPEG transport stream."""
    with av.open(str(tmp_path / 'a.ts'), 'w') as container:
        stream = container.add_stream('mpeg2video', rate=25)
        stream.width, stream.height, stream.pix_fmt = 80, 48, 'yuv420p'
        stream.options = {'g': '5'}
        for frame in noise_frames(30, 48, 80):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='bgr24')))
        container.mux(stream.encode(None))
    return (tmp_path / 'a.ts').read_bytes()


def test_a_stream_that_ends_has_given_all_frames(transport_stream, caplog):
    with server(transport_stream, stays=False) as url:
        source = open_source(url)
        assert source.is_live
        assert source.num_frames is None
        assert [frame.shape for frame in source] == [(48, 80, 3)] * 30
    assert not caplog.records


def test_a_stream_that_stalls_ends_and_says_so(transport_stream, caplog):
    with server(transport_stream[: len(transport_stream) // 2], stays=True) as url:
        frames = list(VideoStream(url, timeout=0.5))
    assert 5 < len(frames) < 30
    assert f'ended after {len(frames)} frames: nothing came for 0.5 s' in caplog.text


def test_a_stalled_stream_has_given_all_that_came(transport_stream):
    with server(transport_stream, stays=True) as url:
        assert len(list(VideoStream(url, timeout=0.5))) >= 29  # the last may wait for its end


def test_a_stream_of_known_length_is_a_file(tmp_path):
    write_video(tmp_path / 'a.mp4', noise_frames(4, 48, 80))
    source = open_source(f'file://{tmp_path}/a.mp4')
    assert not source.is_live
    assert source.fps == pytest.approx(12)
    assert [len(list(source)), len(list(source))] == [4, 4]


def test_a_live_stream_passes_once(transport_stream):
    with server(transport_stream, stays=False) as url:
        source = open_source(url)
        assert len(list(source)) == 30
        with pytest.raises(InputError, match='can be gone through once only'):
            list(source)


def test_streams_that_are_not_there_are_named():
    with pytest.raises(
        InputError, match=r'tcp://127.0.0.1:1: stream must be there, but: .*refused'
    ):
        open_source('tcp://127.0.0.1:1')
    with pytest.raises(InputError, match=r'nothing://x: stream must be there, but: '):
        open_source('nothing://x')


class FakeCapture:
    """Four frames, then a cable that was pulled."""

    def __init__(self, number):
        self.number, self.left, self.released = number, 4, False

    def isOpened(self):  # noqa: N802  (OpenCV's name)
        return self.number == 0

    def get(self, _):
        return 0.0

    def read(self):
        self.left -= 1
        return (self.left >= 0), np.zeros((4, 6, 3), np.uint8)

    def release(self):
        self.released = True


def test_a_camera_is_read_until_it_ends(monkeypatch, caplog):
    monkeypatch.setattr('tevit_vis.video.camera.cv2.VideoCapture', FakeCapture)
    camera = open_source(0)
    assert camera.is_live
    assert camera.fps is None
    assert len(list(camera)) == 4
    assert camera.capture.released
    assert 'camera 0: ended after 4 frames' in caplog.text
    with pytest.raises(InputError, match='camera 3: must be a camera of this machine, but none'):
        open_source(3)


@pytest.mark.parametrize(
    ('url', 'shown'),
    [
        ('rtsp://me:hunter2@camera:554/live', 'rtsp://***@camera:554/live'),
        ('rtsp://me:p@ss@camera/live', 'rtsp://***@camera/live'),
        (
            'rtsp://camera/live?user=me&password=x&fps=5',
            'rtsp://camera/live?user=me&password=***&fps=5',
        ),
        ('http://host/a?X-Token=abc', 'http://host/a?X-Token=***'),
        ('http://host/v.mp4', 'http://host/v.mp4'),
        ('rtsp://token@camera', 'rtsp://***@camera'),
        ('http://host/a?session=x#token=y', 'http://host/a?session=***#***'),
    ],
)
def test_passwords_of_urls_are_not_shown(url, shown):
    assert public_url(url) == shown


@pytest.mark.parametrize(
    'url', ['rtsp://me:hunter2@localhost:1/live', 'http://me:hunter2@localhost:1/v.mp4?key=hunter2']
)
def test_a_stream_that_is_not_there_is_named_without_its_password(url, caplog):
    with pytest.raises(InputError, match='stream must be there') as caught:
        VideoStream(url, timeout=0.5)
    assert 'localhost:1' in str(caught.value)
    assert 'hunter2' not in str(caught.value) + caplog.text


def test_a_capture_of_a_file_gives_all_frames(tmp_path):
    write_video(tmp_path / 'a.mp4', noise_frames(7, 48, 80))
    capture = cv2.VideoCapture(str(tmp_path / 'a.mp4'))
    if not capture.isOpened():
        pytest.skip('this OpenCV reads no videos')
    source = open_source(capture)
    assert (source.is_live, source.num_frames) == (False, 7)
    assert [frame.time for frame in source.timed_frames()] == pytest.approx(
        [n / 12 for n in range(7)]
    )


def test_a_pipe_is_named(tmp_path):
    os.mkfifo(tmp_path / 'a.mp4')
    with pytest.raises(InputError, match='a.mp4: video must be a file, but is a pipe'):
        open_source(tmp_path / 'a.mp4')
