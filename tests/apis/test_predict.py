"""What is found in videos, in files: drawn, as JSON, as lines; in any combination."""

import json
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from builders import noise_frames, write_frames
from PIL import Image

from tevit_vis.apis import (
    Outputs,
    Selection,
    inference_video,
    predict_to_files,
    stream_video,
)
from tevit_vis.formats import ReadOptions, find_format
from tevit_vis.rle import decode_rle, encode_masks
from tevit_vis.structures import FrameInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import JSONLinesWriter
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.video.source import FirstFrames
from tevit_vis.visualization.mask_files import MARK, MASK_FORMS, MaskWriter
from tevit_vis.visualization.track_files import TABLES, TableWriter

TIMES = [0.0, 0.1, 0.5, 0.6, 1.4, 1.5, 1.6, 2.0, 2.1]


@pytest.fixture
def clip(tmp_path):
    """A video of nine frames that come unevenly."""
    with VideoWriter(str(tmp_path / 'in.mp4'), 10) as writer:
        for frame, time in zip(noise_frames(9, 48, 80), TIMES):
            writer.write(frame, time)
    return tmp_path / 'in.mp4'


@pytest.fixture(params=[None, 4], ids=['whole', 'windows'])
def model(request, tiny_model):
    tiny_model.test_cfg.windows.update(length=request.param, stride=2)
    tiny_model.test_cfg.tracker.update(min_score=0.01)
    return tiny_model


def files(folder, *names):
    return {name: str(folder / f'out.{"mp4" if name == "video" else name}') for name in names}


@pytest.mark.parametrize(
    'names',
    [
        *(('video',), ('json',), ('jsonl',), ('masks',), ('json', 'jsonl')),
        ('video', 'json', 'jsonl', 'masks'),
    ],
    ids='+'.join,
)
def test_any_combination_of_files(model, clip, tmp_path, names):
    outputs = Outputs(**files(tmp_path, *names), score_thr=0.0)
    summary = predict_to_files(model, FirstFrames(open_source(clip), 7), outputs)
    assert summary.num_frames == 7
    assert sum(summary.shown.values()) > 0
    assert {path.name for path in tmp_path.iterdir()} == {
        'in.mp4',
        *(f'out.{"mp4" if name == "video" else name}' for name in names),
    }
    if 'video' in names:
        drawn = [frame.time for frame in open_source(outputs.video).timed_frames()]
        assert drawn == pytest.approx(TIMES[:7], abs=1e-3)
    if 'json' in names:
        content = json.loads((tmp_path / 'out.json').read_text())
        assert content['times'] == pytest.approx(TIMES[:7])
        assert content['length'] == 7
        assert content['instances']
    if 'jsonl' in names:
        lines = [json.loads(line) for line in (tmp_path / 'out.jsonl').read_text().splitlines()]
        assert [line['time'] for line in lines] == pytest.approx(TIMES[:7])
        assert [line['frame'] for line in lines] == list(range(7))
        assert any(line['tracks'] for line in lines)


def test_masks_are_the_tracks_of_the_lines(model, clip, tmp_path):
    outputs = Outputs(jsonl=str(tmp_path / 'a.jsonl'), masks=str(tmp_path / 'masks'), score_thr=0)
    MaskWriter(outputs.masks, 0)
    (tmp_path / 'masks' / '00123.png').write_bytes(b'of an earlier, longer video')
    (tmp_path / 'masks' / 'notes.png').write_bytes(b'kept')
    predict_to_files(model, open_source(clip), outputs)
    names = {path.name for path in (tmp_path / 'masks').iterdir()}
    assert names == {MARK, 'notes.png', *(f'{n:05d}.png' for n in range(9))}
    lines = [json.loads(line) for line in (tmp_path / 'a.jsonl').read_text().splitlines()]
    assert any(line['tracks'] for line in lines)
    for line in lines:
        image = Image.open(tmp_path / 'masks' / f'{line["frame"]:05d}.png')
        assert image.mode == 'P'
        pixels = np.array(image)
        masks = {t['track'] + 1: decode_rle(t['segmentation']) for t in line['tracks']}
        assert set(np.unique(pixels)) <= {0, *masks}
        covered = np.any([np.zeros(pixels.shape, bool), *masks.values()], axis=0)
        assert np.array_equal(pixels > 0, covered)
        for number, mask in masks.items():
            assert not (pixels == number)[~mask].any()


def test_frames_are_never_taken_for_masks(model, clip, tmp_path):
    frames = write_frames(tmp_path / 'frames', noise_frames(2, 48, 80))
    outputs = Outputs(masks=str(tmp_path / 'frames'))
    with pytest.raises(InputError, match='masks must go to a folder of their own'):
        predict_to_files(model, open_source(clip), outputs)
    assert all(path.exists() for path in frames)
    with pytest.raises(InputError, match='masks must go to a folder, but it is a file'):
        predict_to_files(model, open_source(clip), Outputs(masks=str(clip)))


def test_many_tracks_make_masks_of_sixteen_bits(tmp_path):
    mask = encode_masks(torch.ones(1, 4, 6, dtype=torch.bool))[0]
    scores = np.array([[0.9, 0.1], [0.5, 0.6]], np.float32)
    frame = FrameInstances(3, [254, 700], scores, np.zeros((2, 4)), [mask, mask], (4, 6))
    writer = MaskWriter(tmp_path, score_thr=0.3)
    writer.write(frame)
    writer.write(replace(frame, frame=4).select([0]))
    assert (np.array(Image.open(tmp_path / '00003.png')) == 255).all()  # the better score
    assert Image.open(tmp_path / '00003.png').mode == 'I;16'
    assert Image.open(tmp_path / '00004.png').mode == 'P'
    writer.score_thr = 0.55
    writer.write(replace(frame, frame=5))  # the track with the large number is not written
    assert Image.open(tmp_path / '00005.png').mode == 'I;16'
    with pytest.raises(InputError, match='must be at most 65535, but frame 3 has 65536'):
        writer.write(replace(frame, tracks=[0, 65535]))
    writer.score_thr = 0.95
    writer.write(frame)
    assert not np.array(Image.open(tmp_path / '00003.png')).any()


def two_tracks(frame=3):
    """Two tracks that overlap in a column; the second is surer."""
    masks = torch.zeros(2, 4, 6, dtype=torch.bool)
    masks[0, :2, :3] = True
    masks[1, :, 2] = True
    scores = np.array([[0.6, 0.1], [0.2, 0.8]], np.float32)
    return FrameInstances(frame, [0, 4], scores, np.zeros((2, 4)), encode_masks(masks), (4, 6), 0.5)


def test_masks_in_every_form(tmp_path):
    first, second = (decode_rle(mask) for mask in two_tracks().masks)
    for form in MASK_FORMS:
        MaskWriter(tmp_path / form, 0.3, form).write(two_tracks())
    pixels = {path.parent.name: np.array(Image.open(path)) for path in tmp_path.glob('*/*.png')}
    assert (pixels['index'] == np.where(second, 5, first)).all()
    assert (pixels['mots'] == np.where(second, 2004, 1000 * first)).all()
    assert ((pixels['rgba'][..., 3] > 0) == (first | second)).all()
    for track, mask in (('000', first), ('004', second)):
        image = np.array(Image.open(tmp_path / 'per-object' / track / '00003.png'))
        assert (image == 255 * mask).all()
    MaskWriter(tmp_path / 'per-object', 0.3, 'per-object')  # a later run clears it
    assert not list(tmp_path.glob('per-object/*/*.png'))


def test_tables_by_hand(tmp_path):
    for kind in TABLES:
        with TableWriter(str(tmp_path / kind), kind, ['cat', 'a, "b"'], 0.3) as table:
            table.write(two_tracks(), None)
            table.write(two_tracks(4).select([]), None)
    lines = {kind: (tmp_path / kind).read_text().splitlines() for kind in TABLES}
    assert lines['csv'] == [
        'frame,time,track,class,score,left,top,width,height,area,centre_x,centre_y',
        '3,0.5,0,cat,0.6,0,0,3,2,6,1.5,1.0',
        '3,0.5,4,"a, ""b""",0.8,2,0,1,4,4,2.5,2.0',
    ]
    assert lines['counts'] == ['frame,time,cat,"a, ""b"""', '3,0.5,1,1', '4,0.5,0,0']
    assert lines['mot'] == ['4,1,0,0,3,2,0.6,-1,-1,-1', '4,5,2,0,1,4,0.8,-1,-1,-1']
    assert [line.split(' ')[:5] for line in lines['mots']] == [
        ['3', '2004', '2', '4', '6'],
        ['3', '1000', '1', '4', '6'],
    ]
    counts = lines['mots'][1].split(' ')[5]
    assert decode_rle({'size': [4, 6], 'counts': counts}).sum() == 4, 'a pixel has one object'


def test_all_forms_at_once(model, clip, tmp_path):
    outputs = Outputs(
        tables={kind: str(tmp_path / kind) for kind in TABLES},
        crops=str(tmp_path / 'crops'), cvat=str(tmp_path / 'found.xml'), score_thr=0.0,
    )  # fmt: skip
    summary = predict_to_files(model, open_source(clip), outputs)
    assert summary.shown
    rows = (tmp_path / 'csv').read_text().splitlines()
    assert len(rows) > 1
    crops = list(tmp_path.glob('crops/*/*.png'))
    assert len(crops) == len(rows) - 1
    assert Image.open(crops[0]).mode == 'RGBA'
    assert len((tmp_path / 'counts').read_text().splitlines()) == 10
    content = find_format('cvat').read(outputs.cvat, ReadOptions())
    assert content['videos'][0]['name'] == 'found'
    assert content['videos'][0]['length'] == 9
    assert content['annotations']
    with pytest.raises(InputError, match='crops must go to a new or empty folder'):
        predict_to_files(model, open_source(clip), outputs)


def test_only_some_classes(model, clip, tmp_path):
    outputs = Outputs(**files(tmp_path, 'json', 'jsonl'), score_thr=0.0)
    everything = predict_to_files(model, open_source(clip), outputs)
    name = everything.shown.most_common()[0][0]
    summary = predict_to_files(model, open_source(clip), outputs, Selection([name]))
    assert set(summary.shown) == {name}
    content = json.loads((tmp_path / 'out.json').read_text())
    assert {instance['category'] for instance in content['instances']} == {name}
    with pytest.raises(InputError, match="--classes: must be of .* but got 'zebrb'"):
        predict_to_files(model, open_source(clip), outputs, Selection(['zebrb']))


def test_tracks_that_cover_each_other(model, clip, tmp_path):
    outputs = Outputs(**files(tmp_path, 'jsonl'), score_thr=0.0)
    counts = []
    for overlap in (None, 0.5, 0.0):
        predict_to_files(model, open_source(clip), outputs, Selection(max_overlap=overlap))
        lines = (tmp_path / 'out.jsonl').read_text().splitlines()
        counts.append(sum(len(json.loads(line)['tracks']) for line in lines))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] >= counts[2] > 0


def test_nothing_above_the_threshold_is_told_with_the_best_score(model, clip, tmp_path):
    summary = predict_to_files(
        model, open_source(clip), Outputs(**files(tmp_path, 'jsonl'), score_thr=0.999)
    )
    assert str(summary).startswith('9 frames, 0 tracks: the best score is 0.')
    assert 'try --score-thr 0.' in str(summary)


class FullFile:
    """For tests: a file on a disk without room."""

    def write(self, _):
        raise OSError(28, 'No space left on device')

    def close(self):
        raise OSError(28, 'No space left on device')


def test_a_full_disk_keeps_the_lines_before(tmp_path):
    with JSONLinesWriter(str(tmp_path / 'a.jsonl')) as lines:
        lines.write({'frame': 0})
        lines.file.close()
        lines.file = FullFile()
        with pytest.raises(InputError, match='a.jsonl: cannot be written: No space left'):
            lines.write({'frame': 1})
    assert (tmp_path / 'a.jsonl').read_text() == '{"frame": 0}\n'


def test_ctrl_c_ends_a_stream_and_keeps_what_was_found(tiny_model, clip, tmp_path, monkeypatch):
    tiny_model.test_cfg.windows.update(length=3, stride=1)
    tiny_model.test_cfg.tracker.update(min_score=0.05)
    outputs = Outputs(**files(tmp_path, 'video', 'json', 'jsonl'), score_thr=0.0)
    count = 0

    def on_frame():
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt

    summary = predict_to_files(tiny_model, open_source(clip), outputs, on_frame=on_frame)
    assert summary.num_frames in (4, 5)
    assert json.loads((tmp_path / 'out.json').read_text())['length'] == summary.num_frames
    with av.open(outputs.video) as container:
        assert len(list(container.decode(video=0))) >= 3


def test_windows_in_python_are_those_of_the_command(tiny_model, clip):
    found = list(stream_video(tiny_model, str(clip), window=4))
    assert [instances.time for _, instances in found] == pytest.approx(TIMES)
    assert tiny_model.test_cfg.windows.length == 4
    assert tiny_model.test_cfg.windows.stride <= 3
    tiny_model.test_cfg.windows.length = None
    with pytest.raises(InputError, match='stride: needs windows'):
        stream_video(tiny_model, str(clip), stride=2)


def test_one_track_of_a_frame_after_another(tiny_model, clip):
    instances = predict_whole(tiny_model, clip)
    found = instances.to_frame_instances(3, len(tiny_model.CLASSES))
    assert found.time == pytest.approx(0.6)
    assert found.tracks == [n for n in range(len(instances)) if instances.segmentations[n][3]]
    np.testing.assert_array_equal(
        found.class_scores.argmax(1), instances.labels[np.array(found.tracks)]
    )
    np.testing.assert_array_equal(found.class_scores.max(1), instances.scores[found.tracks])


def predict_whole(model, clip):
    model.test_cfg.windows.length = None
    instances = inference_video(model, str(clip))
    assert instances.times.tolist() == pytest.approx(TIMES)
    assert instances.select(np.array([1, 0])).times.tolist() == pytest.approx(TIMES)
    return instances


def test_an_error_in_mid_video_keeps_what_was_found(tiny_model, clip, tmp_path):
    tiny_model.test_cfg.windows.update(length=3, stride=1)
    tiny_model.test_cfg.tracker.update(min_score=0.01)

    def frames():
        yield from noise_frames(6, 48, 80)
        raise InputError('the end')

    outputs = Outputs(**files(tmp_path, 'video', 'json', 'jsonl'), score_thr=0.0)
    with pytest.raises(InputError, match='the end'):
        predict_to_files(tiny_model, open_source(frames()), outputs)
    lines = len((tmp_path / 'out.jsonl').read_text().splitlines())
    assert json.loads((tmp_path / 'out.json').read_text())['length'] == lines > 0
    assert len(list(open_source(outputs.video))) > 0
