"""The commands around data, scores and training, run in this process as users call them."""

import importlib.util
import json
import logging
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from builders import annotation, moving_square
from manifest import override

from tevit_vis.apis.result_files import result_files
from tevit_vis.rle import mask_areas
from tevit_vis.utils.checkpoints import latest_checkpoint, read_checkpoint
from tevit_vis.utils.files import PathLock

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def results(train_files, tmp_path):
    """A perfect submission for the tiny data set."""
    entries = json.loads(train_files[0].read_text())['annotations']
    path = tmp_path / 'results.json'
    keys = ('video_id', 'category_id', 'segmentations')
    path.write_text(json.dumps([dict({k: e[k] for k in keys}, score=0.5) for e in entries]))
    return path


def test_evaluate_prints_scores_and_writes_a_report(call, train_files, results, tmp_path):
    report = tmp_path / 'report.json'
    printed = call('evaluate.py', train_files[0], results, '--classwise', '--out', report)
    assert '| dog      | 1.0000 | 1.0000 |' in printed
    assert 'AP50           1.0000' in printed
    assert json.loads(report.read_text())['per_category']['cat']['AP'] == pytest.approx(1)


def test_evaluate_says_what_is_wrong(call, train_files, results, tmp_path):
    entries = json.loads(results.read_text())
    worse = tmp_path / 'worse.json'
    worse.write_text(json.dumps(entries[:2]))
    report = tmp_path / 'report.json'
    options = ('--analysis', '--per-video', '--out', report)
    printed = call('evaluate.py', train_files[0], results, worse, *options)
    assert f'{results}:\nvideo' not in printed
    assert '| AP50 lost by Miss' in printed
    assert 'Miss: 1 times, an object that no prediction is near' in printed
    assert re.search(r'\| v1 +\| 1 +\| 0.0 ', printed)  # the video without a prediction
    content = json.loads(report.read_text())
    assert set(content) == {str(results), str(worse)}
    assert content[str(worse)]['errors']['counts']['Miss'] == 1
    assert content[str(results)]['tracking']['HOTA'] == pytest.approx(1)
    with pytest.raises(SystemExit, match='--score-thr: must be a number from 0 to 1'):
        call('evaluate.py', train_files[0], results, '--score-thr', '2')


def test_evaluate_without_annotations_says_so(call, train_files, results):
    path = train_files[0]
    path.write_text(json.dumps({**json.loads(path.read_text()), 'annotations': None}))
    with pytest.raises(SystemExit, match="train.json: 'annotations' must not be empty to score"):
        call('evaluate.py', path, results)


def test_submission_check_lists_faults_and_zip_packs(call, train_files, results, tmp_path, capsys):
    arguments = (results, '--json', train_files[0])
    assert '3 entries for 2 of 2 videos' in call('submission.py', 'check', *arguments)
    call('submission.py', 'zip', *arguments, '--out', tmp_path / 'up.zip')
    with zipfile.ZipFile(tmp_path / 'up.zip') as archive:
        assert archive.namelist() == ['results.json']
        assert archive.read('results.json') == results.read_bytes()
    entries = json.loads(results.read_text())
    entries[1]['video_id'] = 77
    results.write_text(json.dumps(entries))
    with pytest.raises(SystemExit, match='results.json: 1 faults'):
        call('submission.py', 'zip', *arguments, '--out', tmp_path / 'no.zip')
    assert '[1]: "video_id" must be a video of the file, but got 77' in capsys.readouterr().out
    assert not (tmp_path / 'no.zip').exists()


def test_check_dataset_ends_with_an_error_where_there_are_faults(call, train_files, capsys):
    path, images = train_files
    assert '| videos' in call('data/check_dataset.py', path, images)
    (images / 'v1' / '00001.png').unlink()
    with pytest.raises(SystemExit, match='train.json: 1 faults'):
        call('data/check_dataset.py', path, images)
    assert 'videos[1]: file_names[1]' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='image folder must be there'):
        call('data/check_dataset.py', path, images / 'absent')


def test_split_writes_two_files(call, train_files, tmp_path):
    parts = tmp_path / 'a.json', tmp_path / 'b.json'
    printed = call('data/split.py', train_files[0], '--share', 0.5, '--out', *parts)
    assert printed.count('1 videos') == 2
    videos = [json.loads(part.read_text())['videos'][0]['id'] for part in parts]
    assert sorted(videos) == [5, 6]


@pytest.mark.parametrize('name', ['clips.png', 'clips.mp4'])
def test_browse_shows_clips_with_annotations(call, train_files, tmp_path, name):
    annotations, images = train_files
    options = [f'data.train.ann_file={annotations}', f'data.train.img_prefix={images}']
    options += ['data.train.categories=None', 'data.train.clip_length=2']
    arguments = ['tevit/tevit_msgshift', '--clips', 2, '--out', tmp_path / name, '--cfg-options']
    assert f'{name}: 2 clips of 6' in call('data/browse_dataset.py', *arguments, *options)
    if name.endswith('png'):
        sheet = cv2.imread(str(tmp_path / name)).astype(int)
        assert (sheet.max(2) - sheet.min(2) > 60).any()  # coloured masks on grey squares
    else:
        assert (tmp_path / name).stat().st_size > 0


def test_browse_wants_a_kind_of_file_it_knows(call, train_files, tmp_path):
    annotations, images = train_files
    options = [f'data.train.ann_file={annotations}', f'data.train.img_prefix={images}']
    arguments = ['tevit/tevit_msgshift', '--out', tmp_path / 'clips.gif', '--cfg-options']
    with pytest.raises(SystemExit, match=r'clips.gif: must end in .png, .jpg or .mp4'):
        call('data/browse_dataset.py', *arguments, *options, 'data.train.categories=None')


def test_make_synthetic_writes_a_data_set(call, tmp_path):
    if importlib.util.find_spec('skimage') is None:
        pytest.skip('scikit-image is not installed')
    printed = call('data/make_synthetic.py', tmp_path, '--videos', 2, '--size', '80x48')
    assert '2 videos of 20 frames' in printed
    assert len(list(tmp_path.rglob('*.jpg'))) == 40


@pytest.fixture
def train_config(tiny_config, train_files, tmp_path):
    """A config file: the tiny TeViT on the tiny data set, 2 iterations."""
    annotations, images = map(str, train_files)
    files = dict(ann_file=annotations, img_prefix=images, categories=None)
    tiny_config.data.train.update(files, clip_length=2)
    tiny_config.data.train.pipeline = [
        step for step in tiny_config.data.train.pipeline if step['type'] != 'Resize'
    ]
    for part in (tiny_config.data.val, tiny_config.data.test):
        part.update(files, pipeline=tiny_config.data.test.pipeline)
    tiny_config.data.update(samples_per_gpu=1, workers_per_gpu=0)
    override(tiny_config._cfg_dict, ['model', 'roi_head', 'num_classes'], 2)
    tiny_config.model.backbone.init_cfg = None
    tiny_config.runner.max_iters = 2
    tiny_config.checkpoint_config.interval = 1
    tiny_config.evaluation.interval = 2
    path = tmp_path / 'tiny.py'
    tiny_config.dump(str(path))
    return path


def test_train_publish_test_and_demo_go_hand_in_hand(call, train_config, train_files, tmp_path):
    """A checkpoint of train.py, published in half precision, is one that test_vis.py takes."""
    work = tmp_path / 'work'
    call('train.py', train_config, '--work-dir', work, '--device', 'cpu')
    assert (work / 'tiny.py').exists()
    assert list(work.glob('*.log.json'))
    published = tmp_path / 'small.pth'
    printed = call('publish_checkpoint.py', work / 'latest.pth', published)
    assert 'sha256' in printed
    assert published.stat().st_size < 0.55 * (work / 'iter_2.pth').stat().st_size
    out = tmp_path / 'r.json'
    arguments = [train_config, published, '--out', out, '--eval', 'segm', '--device', 'cpu']
    arguments += ['--report', tmp_path / 'scores.json', '--show-dir', tmp_path / 'shown']
    printed = call('test_vis.py', *arguments)
    assert 'AP50' in printed
    categories = {entry['category_id'] for entry in json.loads(out.read_text())}
    assert categories <= {3, 7}  # the file's own ids
    assert 'shown: 2 videos, the worst first' in printed
    shown = sorted(path.name for path in (tmp_path / 'shown').iterdir())
    assert [re.sub(r'_[\d.]+_', ' ', name) for name in shown] in (
        ['0001 v0.mp4', '0002 v1.mp4'],
        ['0001 v1.mp4', '0002 v0.mp4'],
    )
    report = json.loads((tmp_path / 'scores.json').read_text())
    assert {'stats', 'errors', 'tracking', 'slices', 'videos'} <= set(report)
    pages = tmp_path / 'pages'
    printed = call('test_vis.py', *arguments[:8], '--report', pages)
    assert f'open {pages}/index.html' in printed
    assert json.loads((pages / 'report.json').read_text())['runs'] == {'r.json': report}
    assert list(pages.glob('frames/*/0.jpg'))
    with pytest.raises(SystemExit, match='--report: needs --eval segm'):
        call('test_vis.py', *arguments[:4], '--report', tmp_path / 'scores.json')
    check_other_forms(call, [train_config, published, '--device', 'cpu'], tmp_path)


def check_other_forms(call, arguments, tmp_path):
    """The same command writes masks, tables and labels of each video."""
    out = tmp_path / 'again.json'
    forms = ('masks', 'csv', 'counts', 'mot', 'mots', 'cvat', 'crops')
    folders = {form: tmp_path / 'forms' / form for form in forms}
    named = [part for form, folder in folders.items() for part in (f'--{form}', folder)]
    call('test_vis.py', *arguments, '--out', out, *named, '--score-thr', '0')
    entries = json.loads(out.read_text())
    first = min(entry['video_id'] for entry in entries)  # v0
    entries = [entry for entry in entries if entry['video_id'] == first]
    tracks = [n for n, e in enumerate(entries) if any(mask_areas(e['segmentations']))]
    for form, folder in folders.items():
        assert sorted(path.stem for path in folder.iterdir()) == ['v0', 'v1'], form
    rows = [line.split(',') for line in (folders['csv'] / 'v0.csv').read_text().splitlines()[1:]]
    assert sorted({int(row[2]) for row in rows}) == tracks
    areas = [mask_areas(entries[n]['segmentations'])[t] for t, n in
             ((int(row[0]), int(row[2])) for row in rows)]  # fmt: skip
    assert [int(row[9]) for row in rows] == areas
    assert len(list((folders['masks'] / 'v0').glob('*.png'))) == len(entries[0]['segmentations'])
    again = [*arguments, '--out', out, '--crops', folders['crops']]
    with pytest.raises(SystemExit, match='crops must go to a new or empty folder'):
        call('test_vis.py', *again)


@pytest.mark.parametrize(
    'form', ['cvat', *(pytest.param(form, marks=pytest.mark.slow) for form in ('cocovid', 'mots'))]
)
def test_labels_that_went_round_train_alike(call, train_config, train_files, tmp_path, form):
    """YouTube-VIS, another form and back: the same losses to the digit."""
    annotations, images = train_files
    there = tmp_path / {'cvat': 'a.xml', 'cocovid': 'a.json', 'mots': 'a'}[form]
    back = tmp_path / 'back.json'
    table = ('--categories', annotations)
    call('data/convert.py', annotations, there, '--to', form, *table)
    call('data/convert.py', '--from', form, there, back, '--frames', images, *table)
    losses = []
    for path in (annotations, back):
        work = tmp_path / path.stem
        options = ('--work-dir', work, '--device', 'cpu', '--no-validate')
        call(
            'train.py',
            train_config,
            *options,
            '--cfg-options',
            f'data.train.ann_file={path}',
            'log_config.interval=1',
        )
        (log,) = work.glob('*.log.json')
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        losses.append([{k: v for k, v in line.items() if 'loss' in k} for line in lines[1:]])
    assert losses[0]
    assert losses[0] == losses[1]


def test_auto_resume_goes_on_in_the_work_dir(call, train_config, tmp_path):
    arguments = [train_config, '--work-dir', tmp_path / 'work', '--device', 'cpu', '--no-validate']
    call('train.py', *arguments, '--auto-resume', '--cfg-options', 'runner.max_iters=1')
    first = torch.load(tmp_path / 'work' / 'iter_1.pth')
    call('train.py', *arguments, '--auto-resume')
    assert torch.load(tmp_path / 'work' / 'latest.pth')['meta']['iter'] == 2
    assert torch.load(tmp_path / 'work' / 'iter_1.pth')['meta'] == first['meta']
    logging.getLogger('mmdet').handlers.clear()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--resume-from', 'absent.pth'], 'absent.pth: checkpoint must be a file'),
        (['--cfg-options', 'load_from=absent.pth'], 'absent.pth: checkpoint must be a file'),
        (['--cfg-options', 'runner.max_iter=3'], "has no key 'max_iter'; did you mean 'max_iters'"),
        (['--cfg-options', 'data.train.ann_file=absent.json'], 'absent.json: annotation file must'),
        (['--cfg-options', 'evaluation.metric=bbox'], "metric: must be 'segm', but got 'bbox'"),
        (['--cfg-options', 'evaluation.save_best=AP'], 'save_best: must be one of .*segm_AP'),
    ],
)
def test_a_fault_is_one_line(call, train_config, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        call('train.py', train_config, '--work-dir', tmp_path / 'w', '--device', 'cpu', *options)


def test_outputs_never_replace_inputs(call, train_files, results, tmp_path):
    truth = train_files[0]
    before = truth.read_bytes()
    for arguments in (
        ('evaluate.py', truth, results, '--out', truth),
        ('submission.py', 'zip', results, '--json', truth, '--out', results),
        ('data/split.py', truth, '--share', 0.5, '--out', truth, tmp_path / 'b.json'),
        ('data/split.py', truth, '--share', 0.5, '--out', *[tmp_path / 'b.json'] * 2),
    ):
        with pytest.raises(SystemExit, match='output must be another file than the input'):
            call(*arguments)
    assert truth.read_bytes() == before


def test_a_missing_frame_is_one_line_with_workers_too(call, train_config, train_files, tmp_path):
    (train_files[1] / 'v0' / '00003.png').unlink()
    options = ['--cfg-options', 'data.workers_per_gpu=1', 'runner.max_iters=20']
    with pytest.raises(SystemExit, match=r'^error: [^\n]*00003.png[^\n]*$'):
        call('train.py', train_config, '--work-dir', tmp_path, '--device', 'cpu', *options)


def test_masks_of_the_tiny_data_set_are_what_they_say():
    entry = annotation(1, 5, 3, moving_square(2, (48, 64), 2))
    assert entry['areas'] == [400, 400]
    assert np.array(entry['bboxes']).tolist() == [[2, 10, 20, 20], [6, 10, 20, 20]]


def test_check_dataset_takes_coco_files(call, tmp_path, capsys):
    square = [[5, 5, 15, 5, 15, 15, 5, 15]]
    entry = dict(id=1, image_id=4, category_id=2, segmentation=square, bbox=[5, 5, 10, 10])
    content = dict(
        images=[dict(id=4, file_name='a.png', height=20, width=30)],
        categories=[dict(id=2, name='cup')],
        annotations=[entry],
    )
    path = tmp_path / 'coco.json'
    path.write_text(json.dumps(content))
    assert '| 2  | cup      | 1         |' in call('data/check_dataset.py', path)
    path.write_text(json.dumps({**content, 'annotations': [dict(entry, category_id=9)]}))
    with pytest.raises(SystemExit, match='coco.json: 1 faults'):
        call('data/check_dataset.py', path)
    assert 'annotations[0]: "category_id" must be one of the categories' in capsys.readouterr().out


def test_weights_that_half_precision_cannot_hold_are_refused(call_fails, call, tmp_path):
    path, out = tmp_path / 'large.pth', tmp_path / 'small.pth'
    torch.save(dict(state_dict={'a': torch.ones(2), 'b.scale': torch.tensor([1e6, 2.0])}), path)
    line = call_fails('publish_checkpoint.py', path, out)
    assert 'below 65504 to be stored in half precision, but b.scale has 1e+06' in line
    assert not out.exists()
    assert '2 weights' in call('publish_checkpoint.py', path, out, '--full')
    torch.save(dict(state_dict={'a': torch.tensor([float('nan')])}), path)
    assert 'weights must be finite' in call_fails('publish_checkpoint.py', path, out, '--full')


def test_outputs_are_not_written_over_inputs(call_fails, train_config, train_files, tmp_path):
    annotations, images = train_files
    weights = tmp_path / 'w.pth'
    torch.save({}, weights)
    data = ['--json', annotations, '--root', images, '--device', 'cpu']
    for out in (annotations, weights, train_config):
        line = call_fails('test_vis.py', train_config, weights, *data, '--out', out)
        assert 'output must be another file than the input' in line
    video = images / 'v0'
    demo = ['video_demo.py', train_config, weights, video, '--device', 'cpu']
    line = call_fails(*demo, '--out', tmp_path / 'o.mp4', '--json', weights)
    assert 'output must be another file than the input' in line
    line = call_fails(*demo, '--out', tmp_path / 'o.mp4', '--json', tmp_path / 'o.mp4')
    assert 'output must be another file than the input' in line


def forget_loggers(monkeypatch):
    """A process of one run has one log file; here several runs follow each other."""
    monkeypatch.setattr('mmcv.utils.logging.logger_initialized', {})
    logging.getLogger('mmdet').handlers.clear()
    logging.getLogger('mmdet').setLevel(logging.NOTSET)


@pytest.mark.slow
def test_a_work_dir_that_holds_a_run_is_said(call, train_config, tmp_path, monkeypatch):
    work = tmp_path / 'work'
    arguments = [train_config, '--work-dir', work, '--device', 'cpu', '--no-validate']
    for said in (0, 1):
        forget_loggers(monkeypatch)
        call('train.py', *arguments, '--cfg-options', 'runner.max_iters=1')
        log = max(work.glob('*.log'), key=lambda path: path.stat().st_mtime_ns).read_text()
        assert log.count('holds a run already (iter_1.pth)') == said
    logging.getLogger('mmdet').handlers.clear()


class RunsCode:
    """For tests: an object whose pickle makes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize(
    ('checkpoint', 'words'),
    [
        ('http://x/y.pth', 'http://x/y.pth must be a .*file'),
        ('torchvision://resnet50', 'torchvision://resnet50 must be a .*file'),
        ('evil.pth', 'evil.pth: checkpoint holds Python objects'),
        ('none.pth', 'none.pth'),
    ],
)
@pytest.mark.parametrize(
    'part',
    [
        'model.neck',
        *(
            pytest.param(part, marks=pytest.mark.slow)
            for part in ('model.roi_head', 'model.backbone', 'model')
        ),
    ],
)
def test_first_weights_are_files_that_run_no_code(
    call_fails, train_config, tmp_path, monkeypatch, part, checkpoint, words
):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, code=RunsCode(tmp_path / 'ran')), 'evil.pth')
    options = [f'{part}.init_cfg.type=Pretrained', f'{part}.init_cfg.checkpoint={checkpoint}']
    if part == 'model':
        options = [f'model.pretrained={checkpoint}']
    arguments = [train_config, '--work-dir', tmp_path / 'w', '--device', 'cpu']
    line = call_fails('train.py', *arguments, '--cfg-options', *options)
    logging.getLogger('mmdet').handlers.clear()
    assert re.search(words, line)
    assert not (tmp_path / 'ran').exists()


def test_a_work_dir_belongs_to_one_run(call_fails, train_config, tmp_path):
    other = PathLock(tmp_path / 'work')
    other.path.mkdir()
    assert other.acquire()
    arguments = ['train.py', train_config, '--work-dir', other.path, '--device', 'cpu']
    assert 'work: must belong to one run at a time' in call_fails(*arguments)
    other.release()


def test_the_users_config_is_not_replaced_by_its_dump(call, train_config, tmp_path):
    before = train_config.read_text()
    arguments = [train_config, '--work-dir', train_config.parent, '--device', 'cpu']
    call('train.py', *arguments, '--no-validate', '--cfg-options', 'runner.max_iters=1')
    logging.getLogger('mmdet').handlers.clear()
    assert train_config.read_text() == before
    (dump,) = train_config.parent.glob(f'{train_config.stem}_*.py')
    assert 'max_iters=1' in dump.read_text()


@pytest.mark.slow
def test_auto_resume_takes_the_newest_checkpoint_that_can_be_read(
    call, call_fails, train_config, tmp_path, monkeypatch
):
    forget_loggers(monkeypatch)
    work = tmp_path / 'work'
    arguments = ['train.py', train_config, '--work-dir', work, '--device', 'cpu', '--no-validate']
    options = ['--cfg-options', 'checkpoint_config.interval=1', 'runner.max_iters=2']
    call(*arguments, *options)
    newest = work / 'iter_2.pth'
    newest.write_bytes(newest.read_bytes()[:5000])
    assert latest_checkpoint(str(work)) == str(work / 'iter_1.pth')
    call(*arguments, '--auto-resume', *options)
    assert read_checkpoint(str(newest))['meta']['iter'] == 2
    call(*arguments, '--auto-resume', *options)
    logs = [path.read_text() for path in work.glob('*.log')]
    assert sum('the run has finished: it stands at iteration 2 of 2' in log for log in logs) == 1
    for path in work.glob('iter_*.pth'):
        path.write_bytes(b'torn')
    assert 'is no checkpoint, or a truncated one' in call_fails(*arguments, '--auto-resume')
    logging.getLogger('mmdet').handlers.clear()


def test_warnings_of_the_data_stand_in_the_log(
    call, train_config, train_files, tmp_path, monkeypatch
):
    forget_loggers(monkeypatch)
    path = train_files[0]
    content = json.loads(path.read_text())
    for entry in content['annotations']:
        entry['iscrowd'] = 1
    path.write_text(json.dumps(content))
    work = tmp_path / 'work'
    arguments = ['train.py', train_config, '--work-dir', work, '--device', 'cpu', '--no-validate']
    call(*arguments, '--cfg-options', 'runner.max_iters=1')
    (log,) = work.glob('*.log')
    logging.getLogger('mmdet').handlers.clear()
    assert 'has no instance: training sees background only' in log.read_text()


def test_results_are_json_by_name(call_fails, train_config, train_files, tmp_path):
    weights = tmp_path / 'w.pth'
    torch.save({}, weights)
    line = call_fails('test_vis.py', train_config, weights, '--out', tmp_path / 'r.pkl')
    assert 'r.pkl' in line
    assert '--out: must end in .json' in line


def test_an_older_sets_annotations_do_not_stand_beside_new_images(call, tmp_path, monkeypatch):
    out = tmp_path / 'set'
    size = ['--videos', '1', '--frames', '2', '--size', '48x32']
    call('data/make_synthetic.py', out, *size)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cv2, 'imwrite', killed)
    with pytest.raises(SystemExit):
        call('data/make_synthetic.py', out, *size, '--seed', '1')
    assert not (out / 'annotations.json').exists()


def test_videos_of_one_name_have_files_of_their_own(monkeypatch, tmp_path):
    """Folders become one part of a name, so that two videos may come to one."""
    monkeypatch.chdir(tmp_path)
    videos = [SimpleNamespace(id=n, name=name) for n, name in enumerate(('a/b', 'a_b'), start=1)]
    for form in ('masks', 'csv'):
        files = result_files(SimpleNamespace(videos=videos), {form: 'out'})
        paths = [each.masks or each.tables['csv'] for each in files]
        assert [Path(path).stem for path in paths] == ['a_b', 'a_b_2']
