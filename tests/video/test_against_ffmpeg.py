"""What is read equals what the ffmpeg command gives: frames, order, times, pixels, turns."""

import shutil
import subprocess

import numpy as np
import pytest

from tevit_vis.video import open_source

pytestmark = pytest.mark.skipif(shutil.which('ffmpeg') is None, reason='ffmpeg is not installed')
WIDTH, HEIGHT, RATE = 320, 180, 25
LEVELS = 2.0  # mean difference of pixels
TV601 = 'scale=out_color_matrix=bt601:out_range=tv,format=yuv420p'
KINDS = {
    'h264.mp4': '-c:v libx264 -pix_fmt yuv420p',
    'h264.mkv': '-c:v libx264 -pix_fmt yuv420p -bf 3',
    'h264.mov': '-c:v libx264 -pix_fmt yuv420p',
    'h264.ts': '-c:v libx264 -pix_fmt yuv420p',
    'h264.flv': '-c:v libx264 -pix_fmt yuv420p',
    'hevc.mp4': '-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p',
    'vp8.webm': '-c:v libvpx -b:v 1M',
    'vp9.webm': '-c:v libvpx-vp9 -b:v 1M',
    'mpeg4.avi': '-c:v mpeg4 -q:v 3',
    'h264.avi': '-c:v libx264 -pix_fmt yuv420p -bf 3',
    'mjpeg.avi': '-c:v mjpeg -q:v 3',
    'raw.avi': '-c:v rawvideo -pix_fmt yuyv422',
    'mpeg2.mpg': '-c:v mpeg2video -q:v 3',
    'mpeg2.ts': '-c:v mpeg2video -q:v 3',
    'wmv.wmv': '-c:v wmv2 -b:v 1M',
    'flv.flv': '-c:v flv -b:v 1M',
    'theora.ogv': '-c:v libtheora -b:v 1M',
    'ffv1.mkv': '-c:v ffv1',
    'prores.mov': '-c:v prores_ks',
    'gif.gif': '-c:v gif',
    'png.mkv': '-c:v png',
    '444.mkv': '-c:v libx264 -pix_fmt yuv444p',
    'grey.mp4': '-c:v libx264 -pix_fmt gray',
    '601.mp4': f'-vf {TV601} -c:v libx264 -colorspace smpte170m -color_range tv',
    '601full.mp4': '-vf scale=out_color_matrix=bt601:out_range=pc,format=yuvj420p '
    '-c:v libx264 -colorspace smpte170m -color_range pc',
    '709.mp4': '-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p '
    '-c:v libx264 -colorspace bt709 -color_range tv',
    '709full.mp4': '-vf scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p '
    '-c:v libx264 -colorspace bt709 -color_range pc',
    '709deep.mp4': '-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le '
    '-c:v libx265 -x265-params log-level=none -colorspace bt709',
}


def ffmpeg(*arguments):
    command = ['ffmpeg', '-loglevel', 'error', '-y', *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def encode(path, options, seconds=1):
    source = f'testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE}:duration={seconds}'
    try:
        ffmpeg('-f', 'lavfi', '-i', source, *options.split(), path)
    except subprocess.CalledProcessError:
        pytest.skip('this ffmpeg has no such encoder')
    return path


def frames_of_ffmpeg(path, shape):
    raw = ffmpeg('-i', path, '-vsync', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'bgr24', '-')
    return np.frombuffer(raw, np.uint8).reshape(-1, *shape)


def times_of_ffprobe(path):
    command = ['ffprobe', '-loglevel', 'error', '-select_streams', 'v:0', '-of', 'csv=p=0']
    entries = ['-show_entries', 'frame=best_effort_timestamp_time', str(path)]
    printed = subprocess.run([*command, *entries], check=True, capture_output=True, text=True)
    words = [line.strip(',') for line in printed.stdout.split()]
    times = [float(word) for word in words if word not in ('', 'N/A')]
    return np.array(times) - times[0]


def check_equal(path):
    read = list(open_source(path).timed_frames())
    ours = np.stack([frame.image for frame in read]).astype(int)
    theirs = frames_of_ffmpeg(path, ours.shape[1:])
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).mean() < LEVELS
    times = np.array([frame.time for frame in read])
    assert (np.diff(times) > 0).all()
    expected = times_of_ffprobe(path)
    if len(expected) < len(times):  # AVI: the last frames of a decoder have none
        times = times[: len(expected)]
    np.testing.assert_allclose(times - times[0], expected[: len(times)], atol=2e-3)


@pytest.mark.parametrize('name', KINDS)
def test_kinds_of_files(tmp_path, name):
    check_equal(encode(tmp_path / name, KINDS[name]))


TURNS = {
    'as it is': (1, 0, 0, 1),
    'right': (0, 1, -1, 0),
    'round': (-1, 0, 0, -1),
    'left': (0, -1, 1, 0),
    'mirrored': (-1, 0, 0, 1),
    'upside down': (1, 0, 0, -1),
    'transposed': (0, 1, 1, 0),
    'transposed and round': (0, -1, -1, 0),
}


def matrix(a, b, c, d):
    """The display matrix of an MP4 track."""
    numbers = [a, b, 0, c, d, 0, 0, 0, 1 << 14]  # the last of 2.30 bits, others of 16.16
    return b''.join(int(number * 65536).to_bytes(4, 'big', signed=True) for number in numbers)


@pytest.mark.parametrize('turn', TURNS)
def test_turns_and_flips(tmp_path, turn):
    path = encode(tmp_path / 'a.mp4', KINDS['h264.mp4'])
    content = path.read_bytes()
    at = content.index(matrix(1, 0, 0, 1), content.index(b'tkhd'))
    turned = matrix(*TURNS[turn])
    path.write_bytes(content[:at] + turned + content[at + len(turned) :])
    check_equal(path)


@pytest.mark.parametrize('offset', [0, 3600])
def test_joined_broadcasts_go_on(tmp_path, offset, caplog):
    parts = [
        encode(tmp_path / f'{shift}.ts', f'{KINDS["h264.ts"]} -output_ts_offset {shift}')
        for shift in (0, offset)
    ]
    joined = tmp_path / 'joined.ts'
    joined.write_bytes(b''.join(part.read_bytes() for part in parts))
    times = np.array([frame.time for frame in open_source(joined).timed_frames()])
    assert len(times) >= 2 * RATE - 2
    np.testing.assert_allclose(np.diff(times), 1 / RATE, atol=1e-3)
    assert not caplog.records


def test_a_variable_frame_rate(tmp_path):
    chosen = "select='not(mod(n,7))+not(mod(n,5))'"
    path = encode(tmp_path / 'a.mp4', f'-vf {chosen} -vsync vfr -c:v libx264', seconds=3)
    check_equal(path)


def test_a_file_that_begins_late(tmp_path):
    path = encode(tmp_path / 'a.mkv', '-c:v libx264 -output_ts_offset 5')
    check_equal(path)
