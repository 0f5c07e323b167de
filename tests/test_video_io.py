import av
import numpy as np
import pytest
from conftest import noise_frames, write_frames

from tevit_vis.utils.errors import InputError
from tevit_vis.video_io import VideoWriter, open_source


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
        return 5
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
        ('number', 'video must be a video file, .* but got int'),
        ('absent', 'absent.mp4: video must be a file or a folder'),
    ],
)
def test_bad_videos_are_named(tmp_path, kind, message):
    with pytest.raises(InputError, match=message):
        list(open_source(make_bad(tmp_path, kind)))


def test_unwritable_output_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='output must be writable'):
        VideoWriter(str(tmp_path / 'file' / 'a.mp4'), 5)
