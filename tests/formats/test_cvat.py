"""CVAT files as CVAT and others write them, and files that are refused."""

import cv2
import numpy as np
import pytest
from builders import annotation

from tevit_vis.formats import ReadOptions, find_format
from tevit_vis.rle import decode_rle
from tevit_vis.utils.errors import InputError

TASK = """<task><id>7</id><name>walk</name><size>{size}</size><mode>interpolation</mode>
<start_frame>{first}</start_frame><stop_frame>99</stop_frame><frame_filter>{steps}</frame_filter>
<labels><label><name>person</name></label><label><name>dog</name></label></labels>
<original_size><width>40</width><height>30</height></original_size></task>"""


def cvat_file(tmp_path, tracks, size=6, first=0, steps='', head=''):
    path = tmp_path / 'walk.xml'
    task = TASK.format(size=size, first=first, steps=steps)
    path.write_text(
        f'<?xml version="1.0"?>{head}<annotations><version>1.1</version><meta>{task}</meta>'
        f'{tracks}</annotations>'
    )
    return str(path)


def polygon(frame, x, outside=0, more=''):
    points = f'{x},5;{x + 10},5;{x + 10},15;{x},15'
    marks = f'frame="{frame}" keyframe="1" outside="{outside}"'
    return f'<polygon {marks} points="{points}">{more}</polygon>'


def box(frame, x, outside=0, rotation=''):
    return (
        f'<box frame="{frame}" outside="{outside}" xtl="{x}" ytl="5" xbr="{x + 10}" ybr="15" '
        f'{rotation}/>'
    )


def track(shapes, label='dog', number=0):
    return f'<track id="{number}" label="{label}">{"".join(shapes)}</track>'


def read(path, **options):
    options = ReadOptions(**options)
    return find_format('cvat').read(path, options), options.log.lines()


def seen(entry):
    return [t for t, mask in enumerate(entry['segmentations']) if mask]


def left_edges(entry):
    return [int(box[0]) for box in entry['bboxes'] if box]


def test_cvat_lists_every_frame(tmp_path):
    shapes = [polygon(0, 2), polygon(1, 3), polygon(2, 4), polygon(3, 4, outside=1)]
    content, lines = read(cvat_file(tmp_path, track(shapes)))
    (entry,) = content['annotations']
    assert seen(entry) == [0, 1, 2]
    assert left_edges(entry) == [2, 3, 4]
    assert content['categories'] == [dict(id=1, name='dog'), dict(id=2, name='person')]
    assert not any('key frames' in line for line in lines)
    mask = decode_rle(entry['segmentations'][0])
    assert mask[5:15, 2:12].all()
    assert mask.sum() == 100


def test_others_list_key_frames_only(tmp_path):
    shapes = [polygon(0, 2), polygon(3, 8), polygon(5, 8, outside=1)]
    content, lines = read(cvat_file(tmp_path, track(shapes)))
    (entry,) = content['annotations']
    assert seen(entry) == [0, 1, 2, 3, 4]
    assert left_edges(entry) == [2, 2, 2, 8, 8], 'a polygon holds'
    assert 'guessed: shapes between key frames' in lines[1]
    (tmp_path / 'x').mkdir()
    content, _ = read(cvat_file(tmp_path / 'x', track([polygon(2, 4)])))
    assert seen(content['annotations'][0]) == [2, 3, 4, 5], 'the last shape holds to the end'


def test_boxes_move_between_key_frames(tmp_path):
    path = cvat_file(tmp_path, track([box(0, 0), box(4, 20), box(5, 20, outside=1)]))
    content, lines = read(path)
    assert content['annotations'] == []
    assert any('a box is no mask (--boxes-as-masks draws it) (5 times' in line for line in lines)
    content, _ = read(path, boxes_as_masks=True)
    assert left_edges(content['annotations'][0]) == [0, 5, 10, 15, 20]


def test_turned_boxes_and_ellipses(tmp_path):
    ellipse = '<ellipse frame="0" outside="0" cx="20" cy="15" rx="10" ry="4"/>'
    turned = box(0, 15, rotation='rotation="45"')
    path = cvat_file(tmp_path, track([ellipse], number=1) + track([turned], number=2), size=1)
    content, _ = read(path, boxes_as_masks=True)
    first, second = (decode_rle(each['segmentations'][0]) for each in content['annotations'])
    assert first.sum() == pytest.approx(np.pi * 40, rel=0.05)
    assert second.sum() == pytest.approx(100, rel=0.1)
    assert second[10, 20]
    assert not second[5, 15], 'the corner has turned away'


def test_masks_are_runs_inside_of_a_box(tmp_path):
    mask = '<mask frame="0" outside="0" rle="1, 2, 3" left="38" top="4" width="3" height="2"/>'
    content, _ = read(cvat_file(tmp_path, track([mask]), size=1))
    pixels = decode_rle(content['annotations'][0]['segmentations'][0])
    assert np.argwhere(pixels).tolist() == [[4, 39]], 'what lies outside of the frame is cut'


def test_frames_are_counted_from_the_first_of_the_task(tmp_path):
    path = cvat_file(tmp_path, track([polygon(1, 2)]), size=2, first=10, steps='step=5')
    content, _ = read(path)
    assert content['videos'][0]['file_names'] == ['walk/000010.jpg', 'walk/000015.jpg']
    frames = tmp_path / 'frames'
    frames.mkdir()
    for number in range(20):
        (frames / f'{number}.jpg').touch()
    content, _ = read(path, frames=str(frames))
    assert content['videos'][0]['file_names'] == ['10.jpg', '15.jpg']
    for number in range(12, 20):
        (frames / f'{number}.jpg').unlink()
    with pytest.raises(InputError, match='must have the 2 frames of walk, but has 12 images'):
        read(path, frames=str(frames))


def test_what_is_dropped_is_said(tmp_path):
    attribute = '<attribute name="pose">sitting</attribute>'
    shapes = [polygon(0, 2, more=attribute), polygon(1, 2), polygon(9, 2)]
    line = '<polyline frame="0" outside="0" points="1,1;2,2"/>'
    far = '<polygon frame="0" outside="0" points="50,5;60,5;60,15"/>'
    _, lines = read(
        cvat_file(tmp_path, track(shapes) + track([line], number=1) + track([far], number=2))
    )
    text = '\n'.join(lines)
    assert 'dropped: attributes (1 times; first: ' in text
    assert 'track 0, frame 0: pose' in text
    assert 'dropped: a shape beyond the 6 frames (1 times' in text
    assert 'dropped: <polyline>, which has no area' in text
    assert 'dropped: a shape outside of its frame' in text


def test_labels_that_a_table_does_not_have(tmp_path):
    path = cvat_file(tmp_path, track([polygon(0, 2)]) + track([polygon(0, 2)], 'person', 1))
    content, lines = read(path, categories={5: 'dog'})
    assert content['categories'] == [dict(id=5, name='dog')]
    assert len(content['annotations']) == 1
    assert any("dropped: the label 'person' is not in the table" in line for line in lines)


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda text: BOMB + text, 'must have no document type and no entities'),
        (lambda text: text[:-30], 'must be whole XML, but'),
        (lambda text: text.replace('annotations', 'opencv'), 'but has <opencv>'),
        (lambda text: text.replace('meta>', 'beta>'), 'must be a task of <meta>'),
        (lambda text: text.replace('original_size', 'size2'), 'must have an <original_size>'),
        (lambda text: text.replace('<track id="0" label="dog">', '<image id="0">').replace(
            '</track>', '</image>'), 'is "CVAT for images"'),
        (lambda text: text.replace('2,5', '2;5'), '"points" must be x,y;x,y'),
        (lambda text: text.replace('2,5', 'nan,5'), '"points" must be a number, but got'),
        (lambda text: text.replace('frame="0"', 'frame="x"'), '"frame" must be a number'),
        (lambda text: text.replace('frame="1"', 'frame="0"'), 'must have one shape, but has two'),
        (lambda text: text.replace('>walk<', '>../../etc<'), 'a video must lie in the folder'),
        (lambda text: text.replace('<size>6', '<size>0'), 'must have frames, but has 0'),
    ],
)  # fmt: skip
def test_damaged_files_are_refused(change, message, tmp_path):
    path = cvat_file(tmp_path, track([polygon(0, 2), polygon(1, 2)]))
    with open(path, encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(change(text.partition('?>')[2]))
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert 'walk.xml' in str(caught.value) or 'etc' in str(caught.value)


def test_a_project_has_several_tasks(tmp_path):
    tasks = TASK.format(size=2, first=0, steps='')
    other = tasks.replace('>7<', '>8<').replace('walk', 'run')
    path = tmp_path / 'project.xml'
    first = track([polygon(0, 2)]).replace('<track', '<track task_id="8"')
    path.write_text(
        f'<annotations><meta><project><labels><label><name>bird</name></label></labels>'
        f'<tasks>{tasks}{other}</tasks></project></meta>{first}</annotations>'
    )
    content, _ = read(str(path))
    assert [video['name'] for video in content['videos']] == ['walk', 'run']
    assert content['annotations'][0]['video_id'] == 2
    assert 'bird' in {entry['name'] for entry in content['categories']}
    path.write_text(path.read_text().replace('task_id="8"', 'task_id="9"'))
    with pytest.raises(InputError, match='"task_id" must be a task of <meta>, but got \'9\''):
        read(str(path))


def test_polygons_are_masks_again(tmp_path):
    """Outlines of blobs come back with an IoU above .98; parts and holes are dropped and said."""
    rng = np.random.default_rng(0)
    masks = np.zeros((6, 120, 160), bool)
    for t in range(5):
        noise = cv2.GaussianBlur(rng.random((120, 160)).astype(np.float32), (0, 0), 14)
        _, parts, sizes, _ = cv2.connectedComponentsWithStats(
            (noise > noise.mean()).astype(np.uint8)
        )
        blob = (parts == 1 + sizes[1:, 4].argmax()).astype(np.uint8)
        outline, _ = cv2.findContours(blob, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(blob, outline, -1, 1, cv2.FILLED)  # without holes
        masks[t] = blob > 0
    names = [f'v/{t}.jpg' for t in range(6)]
    content = dict(
        videos=[dict(id=1, name='v', width=160, height=120, file_names=names)],
        categories=[dict(id=1, name='dog')],
        annotations=[annotation(1, 1, 1, masks)],
    )
    options = ReadOptions()
    find_format('cvat-polygons').write(content, str(tmp_path / 'a.xml'), options.log)
    assert options.log.lines() == []
    back, _ = read(str(tmp_path / 'a.xml'))
    (entry,) = back['annotations']
    for t in range(5):
        found = decode_rle(entry['segmentations'][t])
        assert (found & masks[t]).sum() / (found | masks[t]).sum() > 0.98
    assert entry['segmentations'][5] is None
    masks[0, :5, :5], masks[0, 6:9] = True, False
    content['annotations'] = [annotation(1, 1, 1, masks)]
    find_format('cvat-polygons').write(content, str(tmp_path / 'a.xml'), options.log)
    assert (
        'dropped: parts and holes of a mask but its largest part (1 times' in options.log.lines()[0]
    )
