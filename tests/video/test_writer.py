"""What is written keeps what was read: kind of file, pace, shape, colours, sound."""

import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from builders import noise_frames
from test_damage import make

from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoEncoding, VideoLook, VideoWriter, open_source

SMOOTH = [cv2.GaussianBlur(frame, (0, 0), 9) for frame in noise_frames(12, 64, 96)]


def write(path, frames=SMOOTH, times=None, fps=10, **options):
    with VideoWriter(str(path), fps, **options) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, times[number] if times else None)
    return path


@pytest.mark.parametrize(
    ('suffix', 'muxer', 'codec'),
    [
        ('.mp4', 'mov,mp4', 'h264'),
        ('.m4v', 'mov,mp4', 'h264'),
        ('.mov', 'mov,mp4', 'h264'),
        ('.MKV', 'matroska', 'h264'),
        ('.webm', 'matroska,webm', 'vp9'),
        ('.avi', 'avi', 'h264'),
        ('.gif', 'gif', 'gif'),
    ],
)
def test_the_suffix_decides_on_the_kind_of_file(tmp_path, suffix, muxer, codec):
    path = write(tmp_path / f'a{suffix}')
    with av.open(str(path)) as container:
        assert container.format.name.startswith(muxer)
        assert container.streams.video[0].codec_context.name.startswith(codec)
    read = list(open_source(path))
    assert len(read) == 12
    assert np.abs(np.stack(read).astype(int) - np.stack(SMOOTH)).mean() < 8
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize('name', ['a.png', 'a', 'a.mp4.txt', 'frames/%05d.jpg'])
def test_what_is_no_video_by_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r'video must end in .mp4, .m4v, .mov'):
        VideoWriter(str(tmp_path / name), 10)


@pytest.mark.parametrize('codec', ['h264', 'hevc', 'vp9', 'av1'])
def test_codecs_are_chosen(tmp_path, codec):
    path = write(tmp_path / 'a.mkv', style=VideoEncoding(codec))
    with av.open(str(path)) as container:
        name = container.streams.video[0].codec_context.codec.canonical_name
        assert name == codec
    assert len(list(open_source(path))) == 12


def test_quality_makes_files_larger_and_better(tmp_path):
    sizes, errors = [], []
    frames = noise_frames(12, 64, 96)
    for quality in ('small', 'good', 'best'):
        path = write(tmp_path / f'{quality}.mp4', frames, style=VideoEncoding(quality=quality))
        sizes.append(path.stat().st_size)
        errors.append(np.abs(np.stack(list(open_source(path))).astype(int) - frames).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize(
    ('name', 'style', 'words'),
    [
        ('a.webm', VideoEncoding('h264'), 'a.webm: codec must be vp9 or av1 in such a file'),
        (
            'a.mp4',
            VideoEncoding(quality='nice'),
            "quality: must be small, good, best, but got 'nice'",
        ),
        ('a.mp4', VideoEncoding(speed='x'), 'speed: must be fast, medium, slow'),
    ],
)
def test_styles_that_cannot_be(tmp_path, name, style, words):
    with pytest.raises(InputError, match=words):
        VideoWriter(str(tmp_path / name), 10, style=style)


TIMES = [0.0, 0.04, 0.1, 0.5, 0.54, 0.6, 1.6, 1.7, 1.8, 1.9, 2.5, 3.2]


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv', '.webm', '.gif'])
@pytest.mark.parametrize('endless', [False, True])
def test_frames_keep_their_times(tmp_path, suffix, endless):
    path = write(tmp_path / f'a{suffix}', times=TIMES, fps=25, endless=endless)
    times = [frame.time for frame in open_source(path).timed_frames()]
    assert times == pytest.approx(TIMES, abs=0.011 if suffix == '.gif' else 0.0011)
    with av.open(str(path)) as container:
        assert container.duration / 1e6 == pytest.approx(3.24, abs=0.05)
        assert (container.start_time or 0) == 0


def test_a_file_without_times_repeats_frames(tmp_path):
    path = write(tmp_path / 'a.avi', times=TIMES, fps=10)
    read = list(open_source(path))
    assert len(read) == 33
    shown = [
        int(np.abs(np.stack(SMOOTH).astype(int) - image).mean((1, 2, 3)).argmin()) for image in read
    ]
    assert shown == sorted(shown)
    assert (shown[4], shown[10], shown[32]) == (2, 5, 11)


def test_the_same_frames_give_the_same_file(tmp_path):
    # Not below some 128 pixels a side, where x264 looks at memory that it did not set (mbtree).
    frames = [cv2.resize(frame, (320, 180)) for frame in SMOOTH]
    contents = {write(tmp_path / f'{n}.mp4', frames).read_bytes() for n in range(3)}
    assert len(contents) == 1


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_shape_and_meaning_of_pixels_are_kept(tmp_path, suffix):
    look = VideoLook(Fraction(2), matrix=1, primaries=1, transfer=1)
    path = write(tmp_path / f'a{suffix}', look=look)
    assert open_source(path).look == look
    read = np.stack(list(open_source(path)))
    assert np.abs(read.astype(int) - np.stack(SMOOTH)).mean() < 3


@pytest.mark.parametrize(('height', 'matrix'), [(64, 6), (720, 1)])
def test_images_get_a_meaning_that_players_know(tmp_path, height, matrix):
    frame = cv2.resize(SMOOTH[0], (96, height))
    path = write(tmp_path / 'a.mp4', [frame] * 3)
    assert open_source(path).look.matrix == matrix
    assert np.abs(next(iter(open_source(path))).astype(int) - frame).mean() < 3


def test_a_video_without_tags_stays_so(tmp_path):
    path = write(tmp_path / 'a.mp4', look=VideoLook(matrix=2))
    assert open_source(path).look.matrix == 2


@pytest.mark.parametrize(
    ('width', 'height', 'words'), [(16_386, 8, 'frames must have a size that libx264 can encode')]
)
def test_sizes_that_cannot_be_encoded_are_named(tmp_path, width, height, words):
    with pytest.raises(InputError, match=words):
        write(tmp_path / 'a.mp4', [np.zeros((height, width, 3), np.uint8)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('size', [(4000, 1), (1, 4000), (1, 1)])
def test_odd_shapes_are_written(tmp_path, size):
    path = write(tmp_path / 'a.mp4', [np.full((*size, 3), 90, np.uint8)] * 2)
    assert len(list(open_source(path))) == 2


def test_sound_goes_along(tmp_path):
    origin = make(tmp_path / 'origin.mp4', audio_seconds=3)
    source = open_source(origin)
    path = tmp_path / 'a.mkv'
    with VideoWriter(str(path), 30, sound=source.sound) as writer:
        for image, time in source.timed_frames():
            writer.write(image, time)
    with av.open(str(path)) as copy, av.open(str(origin)) as before:
        assert copy.streams.audio[0].codec_context.name == 'aac'
        ours = [bytes(packet) for packet in copy.demux(audio=0) if packet.size]
        theirs = [bytes(packet) for packet in before.demux(audio=0) if packet.size]
    assert 0.55 * len(theirs) < len(ours) < 0.8 * len(theirs)  # two of three seconds
    assert ours == theirs[: len(ours)]
    with pytest.raises(InputError, match='a.webm: must be a kind of file that holds the sound of'):
        VideoWriter(str(tmp_path / 'a.webm'), 30, sound=source.sound)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.mkv', 'origin.mp4']


@pytest.mark.parametrize('codec', ['ac3', 'eac3'])
def test_sound_of_broadcasts_goes_along(tmp_path, codec):
    origin = make(tmp_path / 'origin.mkv', audio_seconds=2, audio=codec)
    path = write(tmp_path / 'a.mp4', sound=str(origin))
    with av.open(str(path)) as copy:
        assert len(list(copy.decode(audio=0))) > 5
        assert len(list(open_source(path))) == 12
    broadcast = make(tmp_path / 'origin.ts', audio_seconds=2)
    with pytest.raises(InputError, match=r'aac of a broadcast\), but is not: name it .mkv'):
        write(tmp_path / 'b.mp4', sound=str(broadcast))
    write(tmp_path / 'b.mkv', sound=str(broadcast))


def test_the_index_comes_first_where_a_file_is_not_endless(tmp_path):
    for endless in (False, True):
        content = write(tmp_path / 'a.mp4', endless=endless).read_bytes()
        assert (content.index(b'moov') < content.index(b'mdat')) != endless


@pytest.mark.parametrize('fps', [1e-6, 1e6])
def test_rates_that_no_video_has(tmp_path, fps):
    with pytest.raises(InputError, match='frames per second must be 0.01 to 1000'):
        VideoWriter(str(tmp_path / 'a.mp4'), fps)


def test_names_with_colons_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write('2024-05-01T12:30:00.mp4')
    assert len(list(open_source('2024-05-01T12:30:00.mp4'))) == 12


FULL_DISK = """
import resource, sys
import numpy as np
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
rng = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], 10, keeps_partial=sys.argv[2] == 'kept') as writer:
        for _ in range(200):
            writer.write(rng.integers(0, 255, (96, 128, 3), np.uint8))
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize('kind', ['kept', pytest.param('whole', marks=pytest.mark.slow)])
@pytest.mark.parametrize('suffix', ['.mp4', pytest.param('.mkv', marks=pytest.mark.slow)])
def test_a_full_disk_is_one_line(tmp_path, kind, suffix):
    path = tmp_path / f'a{suffix}'
    command = [sys.executable, '-c', FULL_DISK, str(path), kind]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f'a{suffix}: cannot be written: File too large' in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if kind == 'kept' else [])
    if kind == 'kept':  # what was drawn can be played
        assert len(list(open_source(path))) >= 5


def test_two_writers_of_one_video(tmp_path):
    first = VideoWriter(str(tmp_path / 'a.mp4'), 10)
    with pytest.raises(InputError, match='a.mp4: must be written by one process at a time'):
        VideoWriter(str(tmp_path / 'a.mp4'), 10)
    with first:
        first.write(SMOOTH[0])
    assert len(list(open_source(tmp_path / 'a.mp4'))) == 1


def test_frames_too_fast_for_a_file_of_one_rate_are_said(tmp_path, caplog):
    write(tmp_path / 'a.avi', SMOOTH[:4], times=[0.0, 0.1, 0.12, 0.3])
    assert caplog.text.count('frames that come faster than 10 a second are left out') == 1


def test_sound_whose_clock_is_set_anew_ends_there(tmp_path, caplog):
    part = make(tmp_path / 'a.ts', codec='mpeg2video', audio_seconds=2, audio='mp2').read_bytes()
    (tmp_path / 'joined.ts').write_bytes(part * 2)
    source = open_source(tmp_path / 'joined.ts')
    with VideoWriter(str(tmp_path / 'a.mkv'), 30, sound=source.sound) as writer:
        for image, time in source.timed_frames():
            writer.write(image, time)
    assert len(list(open_source(tmp_path / 'a.mkv'))) >= 115
    assert 'its sound ends where its clock is set anew' in caplog.text


def test_sound_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match='http://localhost:1/a.mp4: sound must be there, but'):
        VideoWriter(str(tmp_path / 'a.mp4'), 10, sound='http://localhost:1/a.mp4')
    assert list(tmp_path.iterdir()) == []
