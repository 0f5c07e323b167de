"""Reports: what is written, what is said, and what is refused."""

import json
import re

import cv2
import pytest
from report_cases import LENGTH, NAMES, write_data_set

from tevit_vis.evaluation.analysis import analyse
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.report.pages import script_call
from tevit_vis.report.runs import short_names


@pytest.fixture
def files(tmp_path):
    return write_data_set(tmp_path)


def script_content(path):
    """The value that a data script hands to its function."""
    match = re.fullmatch(r'\w+\((.*)\);\n', path.read_text(), re.DOTALL)
    return json.loads(match[1])


def test_a_report_is_whole(call, files, tmp_path):
    truth, flawed, _ = files
    out = tmp_path / 'report'
    printed = call('report.py', truth, flawed, '--frames', tmp_path / 'frames', '--out', out)
    assert f'open {out}/index.html' in printed
    pages = {path.name for path in out.glob('*.html')}
    assert pages == {'index.html', 'classes.html', 'slices.html', 'videos.html', 'video.html'}
    analysis = analyse(parse_ground_truth(json.loads(truth.read_text())),
                       json.loads(flawed.read_text()))  # fmt: skip
    numbers = json.loads((out / 'report.json').read_text())
    assert numbers['runs'] == {'flawed.json': json.loads(json.dumps(analysis.report()))}
    for sentence in analysis.sentences():
        assert sentence in printed
        assert sentence in (out / 'index.html').read_text()
    assert len(list((out / 'frames').rglob('*.jpg'))) == LENGTH * len(NAMES)
    assert len(list((out / 'strips').glob('*.jpg'))) == len(NAMES)
    rows = script_content(out / 'data' / 'videos.js')
    assert [row['name'] for row in rows] == [NAMES[1], NAMES[0], NAMES[2]], 'the worst first'
    assert not list(tmp_path.glob('*.unfinished*'))


def test_nothing_on_a_page_points_outside(call, files, tmp_path):
    out = tmp_path / 'report'
    call('report.py', *files, '--frames', tmp_path / 'frames', '--out', out)
    for path in [*out.glob('*.html'), *out.glob('assets/*'), *out.glob('data/*')]:
        assert not re.search(r'https?://(?!www\.w3\.org)', path.read_text()), path


def test_what_the_player_gets(call, files, tmp_path):
    out = tmp_path / 'report'
    call('report.py', *files[:2], '--frames', tmp_path / 'frames', '--out', out)
    video = script_content(out / 'data' / '1.js')
    assert (video['width'], video['height'], video['length']) == (80, 60, LENGTH)
    masks = json.loads(files[0].read_text())['annotations'][0]['segmentations']
    assert video['truth'][0]['masks'] == [mask['counts'] for mask in masks]
    (run,) = video['runs']
    cat, other_cat, dog = run['tracks'][0], run['tracks'][2], run['tracks'][1]
    assert cat['masks'][2:] == [None] * 4
    assert (dog['kind'], dog['about'], dog['iou']) == ('Right', 1, 1.0)
    assert {cat['kind'], other_cat['kind']} == {'Temp', 'Right'}
    assert run['objects'][0]['matches'] == [0, 0, 1, 1, 1, 1]
    events = [(event['frame'], event['kind'], event['text']) for event in run['events']]
    assert (2, 'switch', 'object 0 goes on as track 1') in events
    assert any(kind == 'Temp' for _, kind, _ in events)
    second = script_content(out / 'data' / '2.js')['runs'][0]
    assert [event['kind'] for event in second['events']] == ['Bkg'], 'a low score is no event'


def test_names_are_escaped(call, files, tmp_path):
    out = tmp_path / 'report'
    call('report.py', *files, '--frames', tmp_path / 'frames', '--out', out)
    for path in [*out.glob('*.html'), *out.glob('data/*')]:
        text = path.read_text()
        assert '<script>alert' not in text, path
        assert '<b>dog' not in text, path
    assert '&lt;b&gt;dog&lt;/b&gt;' in (out / 'classes.html').read_text()
    assert script_content(out / 'data' / '3.js')['name'] == NAMES[2]


def test_a_script_cannot_be_left():
    assert '<' not in script_call('f', ['</script><!--'])


def test_two_runs_are_compared(call, files, tmp_path):
    out = tmp_path / 'report'
    call('report.py', *files, '--out', out, '--plots', '--latex', '--markdown')
    page = (out / 'compare.html').read_text()
    assert 'perfect.json against flawed.json' in page
    numbers = json.loads((out / 'report.json').read_text())
    compared = numbers['compared_with_first']['perfect.json']
    assert compared['AP50'] == pytest.approx(
        1 - numbers['runs']['flawed.json']['stats']['AP50'], abs=1e-9
    )
    names = {path.name for path in (out / 'plots').iterdir()}
    assert names == {f'{name}.{suffix}' for name in ('precision_recall', 'errors', 'slices')
                     for suffix in ('png', 'svg')}  # fmt: skip
    assert cv2.imread(str(out / 'plots' / 'errors.png')).std() > 10
    assert '| flawed.json |' in (out / 'tables.md').read_text()
    latex = (out / 'tables.tex').read_text()
    assert r'perfect.json & 100.0 & 100.0' in latex
    assert r'id\_switches' in latex
    assert 'Frames are not shown' in (out / 'index.html').read_text()


def test_results_alone(call, files, tmp_path):
    content = json.loads(files[0].read_text())
    del content['annotations']
    files[0].write_text(json.dumps(content))
    out = tmp_path / 'report'
    call('report.py', *files[:2], '--frames', tmp_path / 'frames', '--out', out)
    pages = {path.name for path in out.glob('*.html')}
    assert pages == {'index.html', 'videos.html', 'video.html'}
    numbers = json.loads((out / 'report.json').read_text())['runs']['flawed.json']
    assert numbers == {'predictions': 5, 'videos': {'1': 3, '2': 2}}
    with pytest.raises(SystemExit, match='--latex: needs annotations in .*annotations.json'):
        call('report.py', *files[:2], '--out', tmp_path / 'other', '--latex')
    assert not (tmp_path / 'other').exists()


def test_no_prediction_and_a_class_without_objects(call, files, tmp_path):
    files[1].write_text('[]')
    content = json.loads(files[0].read_text())
    content['categories'].append(dict(id=3, name='nobody'))
    files[0].write_text(json.dumps(content))
    printed = call(
        'report.py', *files[:2], '--frames', tmp_path / 'frames', '--out', tmp_path / 'r'
    )
    assert 'Miss: 3 times' in printed
    assert 'nobody' in (tmp_path / 'r' / 'classes.html').read_text()


def test_frames_that_cannot_be_shown_are_named(call, files, tmp_path):
    frames = tmp_path / 'frames' / 'plain'
    (frames / '001.jpg').unlink()
    cv2.imwrite(str(frames / '002.jpg'), cv2.imread(str(frames / '002.jpg'))[:30])
    (frames / '003.jpg').write_bytes(b'no image')
    out = tmp_path / 'report'
    printed = call('report.py', *files[:2], '--frames', tmp_path / 'frames', '--out', out)
    assert re.search('3 frames of 1 videos could not be shown; the first: video 1, frame 1: .*'
                     'is not there', printed)  # fmt: skip
    faults = script_content(out / 'data' / '1.js')['pictures']
    assert 'must be 80x60 as the annotation file says, but is 80x30' in faults['2']
    assert set(faults) == {'1', '2', '3'}
    (tmp_path / 'empty').mkdir()
    printed = call('report.py', *files[:2], '--frames', tmp_path / 'empty', '--out', tmp_path / 'b')
    assert '18 frames of 3 videos could not be shown' in printed
    assert not list((tmp_path / 'b').glob('strips/*'))


def test_only_the_worst_videos_get_pictures(call, files, tmp_path):
    out = tmp_path / 'report'
    options = ('--frames', tmp_path / 'frames', '--out', out, '--most-pictures', 1)
    assert '2 videos have no pictures' in call('report.py', *files[:2], *options)
    assert [path.name for path in (out / 'frames').iterdir()] == ['2']
    assert script_content(out / 'data' / '1.js')['pictures'] is None


def test_a_folder_is_not_overwritten_by_accident(call, files, tmp_path):
    taken = tmp_path / 'taken'
    taken.mkdir()
    (taken / 'thesis.tex').write_text('years of work')
    arguments = ('report.py', *files[:2], '--out')
    with pytest.raises(SystemExit, match='taken: must be a new or empty folder, but holds 1 files'):
        call(*arguments, taken, '--overwrite')
    assert (taken / 'thesis.tex').read_text() == 'years of work'
    with pytest.raises(SystemExit, match='must be a folder, but is a file'):
        call(*arguments, files[2])
    out = tmp_path / 'report'
    out.mkdir()
    call(*arguments, out)
    with pytest.raises(SystemExit, match='holds a report: --overwrite replaces it'):
        call(*arguments, out)
    (out / 'data' / 'old.js').write_text('')
    call(*arguments, out, '--overwrite')
    assert not (out / 'data' / 'old.js').exists()


def test_inputs_are_not_in_the_report(call, files, tmp_path):
    out = tmp_path / 'report'
    call('report.py', *files[:2], '--out', out)
    mine = out / 'mine.json'
    mine.write_bytes(files[1].read_bytes())
    with pytest.raises(SystemExit, match='must be another folder than that of .*mine.json'):
        call('report.py', files[0], mine, '--out', out, '--overwrite')
    with pytest.raises(SystemExit, match='but holds 1 files or folders that are of no report'):
        call('report.py', *files[:2], '--out', out, '--overwrite')
    assert mine.exists()
    with pytest.raises(SystemExit, match='--frames .*absent: image folder must be there'):
        call('report.py', *files[:2], '--out', tmp_path / 'b', '--frames', tmp_path / 'absent')


def test_a_link_to_a_folder_stays_a_link(call, files, tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'report').symlink_to(tmp_path / 'disk')
    call('report.py', *files[:2], '--out', tmp_path / 'report')
    assert (tmp_path / 'report').is_symlink()
    assert (tmp_path / 'disk' / 'index.html').exists()
    assert not list(tmp_path.glob('*.unfinished*'))


def test_names_that_plots_would_read_as_formulas(call, files, tmp_path):
    odd = tmp_path / '_a$x^$.json'
    odd.write_bytes(files[1].read_bytes())
    call('report.py', files[0], odd, '--out', tmp_path / 'report', '--plots')
    assert '_a$x^$.json' in (tmp_path / 'report' / 'plots' / 'errors.svg').read_text()


def test_ids_that_javascript_would_round(call, files, tmp_path):
    content = json.loads(files[0].read_text().replace('"video_id": 2', f'"video_id": {2**53 + 1}'))
    content['videos'][1]['id'] = 2**53 + 1
    files[0].write_text(json.dumps(content))
    files[1].write_text(files[1].read_text().replace('"video_id": 2', f'"video_id": {2**53 + 1}'))
    call('report.py', *files[:2], '--out', tmp_path / 'report')
    rows = script_content(tmp_path / 'report' / 'data' / 'videos.js')
    assert str(2**53 + 1) in {row['id'] for row in rows}
    assert script_content(tmp_path / 'report' / 'data' / f'{2**53 + 1}.js')['id'] == str(2**53 + 1)


def test_results_of_another_data_set_are_refused(call, files, tmp_path):
    entries = json.loads(files[1].read_text())
    for each in entries:
        each['video_id'] += 50
    files[1].write_text(json.dumps(entries))
    with pytest.raises(SystemExit, match='flawed.json: must be the results of this data set'):
        call('report.py', *files[:2], '--out', tmp_path / 'report')
    assert not (tmp_path / 'report').exists()


def test_a_full_disk_leaves_nothing(call, files, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('tevit_vis.report.site._write_scripts', refuse)
    with pytest.raises(SystemExit, match='report: cannot be written: No space left on device'):
        call('report.py', *files[:2], '--out', tmp_path / 'report')
    assert not list(tmp_path.glob('report*'))


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['a/r.json', 'b/r.json', 'b/c/r.json'], ['a/r.json', 'b/r.json', 'b/c/r.json']),
        (['/x/one.json', '/x/two.json'], ['one.json', 'two.json']),
        (['r.json', 'r.json'], ['r.json', 'r.json (2)']),
    ],
)
def test_short_names(paths, names):
    assert short_names(paths) == names
