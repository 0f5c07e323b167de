"""Files that are cut off or damaged: what decodes is used, and what was lost is said."""

import random

import av
import numpy as np
import pytest
from builders import noise_frames

from tevit_vis.utils.errors import InputError
from tevit_vis.video import open_source

NUM_FRAMES = 60


def silence(rate=8000, samples=1024):
    frame = av.AudioFrame.from_ndarray(np.zeros((1, samples or 1024), np.float32), 'fltp', 'mono')
    frame.sample_rate, frame.pts = rate, 0
    return frame


def make(path, codec='mpeg4', index_first=True, audio_seconds=0, audio='aac'):
    """A video of 60 frames at 30 a second."""
    options = {'movflags': '+faststart'} if index_first and path.suffix == '.mp4' else {}
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        stream.codec_context.gop_size = 12
        rate = 8000 if audio == 'aac' else 48000
        sound = container.add_stream(audio, rate=rate, layout='mono') if audio_seconds else None
        for frame in noise_frames(NUM_FRAMES, 64, 96):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='bgr24')))
        container.mux(stream.encode(None))
        for number in range(audio_seconds * 8):
            frame = silence(rate, sound.codec_context.frame_size)
            frame.pts = number * frame.samples
            container.mux(sound.encode(frame))
        if sound:
            container.mux(sound.encode(None))
    return path


def cut(path, part=0.6):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    return path


@pytest.mark.parametrize('name', ['a.mp4', 'a.avi', 'a.mkv'])
def test_a_cut_file_gives_what_it_has_and_says_both_numbers(tmp_path, caplog, name):
    path = cut(make(tmp_path / name))
    count = len(list(open_source(path)))
    assert 5 < count < 50
    assert f'is cut off or damaged: {count} of 60 frames were found' in caplog.text
    assert len(caplog.records) == 1
    with pytest.raises(InputError, match=f'{name}: video must be whole, but'):
        list(open_source(path, on_damage='stop'))


@pytest.mark.parametrize('name', ['a.mp4', 'a.avi', 'a.mkv', 'a.ts'])
@pytest.mark.parametrize('audio_seconds', [0, 3])
def test_a_whole_file_says_nothing(tmp_path, caplog, name, audio_seconds):
    if name == 'a.avi' and audio_seconds:
        pytest.skip('one kind of sound less')
    path = make(tmp_path / name, audio_seconds=audio_seconds)
    for on_damage in ('keep', 'skip', 'stop'):
        assert len(list(open_source(path, on_damage))) == NUM_FRAMES
    assert not caplog.records


def test_a_file_without_its_index_is_named(tmp_path):
    path = cut(make(tmp_path / 'a.mp4', index_first=False))
    with pytest.raises(InputError, match='a.mp4: .*cut off or damaged: its index is missing'):
        open_source(path)


def test_damaged_bytes_do_not_end_a_video(tmp_path, caplog):
    path = make(tmp_path / 'a.avi')
    content = bytearray(path.read_bytes())
    middle, rng = len(content) // 2, random.Random(0)
    content[middle : middle + 1500] = rng.randbytes(1500)
    path.write_bytes(content)
    kept = len(list(open_source(path)))
    assert 30 < kept <= NUM_FRAMES
    assert 'is cut off or damaged' in caplog.text
    skipped = len(list(open_source(path, 'skip')))
    assert skipped < kept
    assert 'with damaged parts were left out' in caplog.text
    with pytest.raises(InputError, match='video must be whole, but is damaged at frame'):
        list(open_source(path, 'stop'))


def test_frames_that_an_edit_list_leaves_out_are_not_lost(tmp_path, caplog):
    whole, trimmed = make(tmp_path / 'a.mp4'), tmp_path / 'b.mp4'
    with av.open(str(whole)) as source, av.open(str(trimmed), 'w') as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                packet.pts -= round(0.5 / packet.time_base)  # begins before the video does
                packet.dts -= round(0.5 / packet.time_base)
                target.mux(packet)
    assert 40 <= len(list(open_source(trimmed))) < NUM_FRAMES
    assert not caplog.records


def test_a_damaged_packet_does_not_end_a_live_stream(tmp_path, caplog):
    from test_sources import server

    content = bytearray(make(tmp_path / 'a.ts', codec='mpeg2video').read_bytes())
    middle = len(content) // 2 // 188 * 188
    for at in range(middle, middle + 188 * 12, 188):
        content[at + 8 : at + 188] = random.Random(at).randbytes(180)
    with server(bytes(content), stays=False) as url:
        count = len(list(open_source(url)))
    assert NUM_FRAMES - 15 <= count <= NUM_FRAMES


@pytest.mark.parametrize('picture_first', [True, False])
def test_the_video_is_chosen_not_the_picture(tmp_path, picture_first):
    path = tmp_path / 'a.mkv'
    with av.open(str(path), 'w') as container:
        names = ['mjpeg', 'mpeg4'] if picture_first else ['mpeg4', 'mjpeg']
        streams = {name: container.add_stream(name, rate=10) for name in names}
        for name, stream in streams.items():
            stream.width, stream.height = 96, 64
            stream.pix_fmt = 'yuvj420p' if name == 'mjpeg' else 'yuv420p'
        for number, frame in enumerate(noise_frames(9, 64, 96)):
            for name, stream in streams.items():
                if name == 'mpeg4' or number == 0:
                    decoded = av.VideoFrame.from_ndarray(frame, format='bgr24')
                    container.mux(stream.encode(decoded))
        for stream in streams.values():
            container.mux(stream.encode(None))
    assert len(list(open_source(path))) == 9


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / 'a.m4a'
    with av.open(str(path), 'w', format='mp4') as container:
        sound = container.add_stream('aac', rate=8000, layout='mono')
        container.mux(sound.encode(silence()))
        container.mux(sound.encode(None))
    with pytest.raises(InputError, match='a.m4a: file must have a video stream, but it has none'):
        open_source(path)


@pytest.mark.parametrize('name', ['2024-05-01T12:30:00.mp4', 'a b%d#?.mp4', '名前.mp4', '-x.mp4'])
def test_names_of_any_characters(tmp_path, monkeypatch, name):
    make(tmp_path / 'a.mp4').rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(open_source(name))) == NUM_FRAMES


def test_a_name_that_is_not_utf_8(tmp_path):
    name = b'caf\xe9.mp4'.decode('utf-8', 'surrogateescape')
    make(tmp_path / 'a.mp4').rename(tmp_path / name)
    assert len(list(open_source(tmp_path / name))) == NUM_FRAMES


def test_nothing_is_left_open_when_the_consumer_stops(tmp_path):
    import os
    import threading

    from tevit_vis.utils.prefetch import prefetch

    path = make(tmp_path / 'a.mp4')

    def handles():
        links = [f'/proc/self/fd/{fd}' for fd in os.listdir('/proc/self/fd')]
        return [link for link in links if os.path.exists(link) and str(path) in os.readlink(link)]

    frames = prefetch(lambda x: x, open_source(path).timed_frames(), 2, ahead=4)
    next(frames)
    assert handles()
    frames.close()
    assert not handles()
    assert not [t for t in threading.enumerate() if t.name.startswith('prefetch_source')]
