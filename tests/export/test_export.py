"""An exported model finds what the model finds, and says what is wrong with it."""

import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

onnx = pytest.importorskip('onnx')

from conftest import SIZE, seeded_model  # noqa: E402

from tevit_vis.apis import (  # noqa: E402
    TorchVideoModel,
    inference_video,
    init_model,
    stream_video,
)
from tevit_vis.data_tools.synthetic_files import make_synthetic  # noqa: E402
from tevit_vis.data_tools.synthetic_world import SyntheticWorld  # noqa: E402
from tevit_vis.deploy import Preparation, load_model, sessions  # noqa: E402
from tevit_vis.deploy.folder import content_digest  # noqa: E402
from tevit_vis.export import (  # noqa: E402
    ExportOptions,
    export_model,
    exporter,
    onnx_files,
    sample_videos,
)
from tevit_vis.export.agreement import compare, mask_ious, tried_videos  # noqa: E402
from tevit_vis.export.reduced import calibrate_graph, reduce_graph  # noqa: E402
from tevit_vis.export.sample_videos import read_clips, shapes_video, start_of_video  # noqa: E402
from tevit_vis.export.steps import check_steps, preparation_steps  # noqa: E402
from tevit_vis.outputs import VideoModel  # noqa: E402
from tevit_vis.structures import VideoInstances  # noqa: E402
from tevit_vis.utils.errors import InputError  # noqa: E402
from tevit_vis.video import open_source  # noqa: E402
from tevit_vis.video.arrays import FrameArray  # noqa: E402

NEWER_THAN_17 = {'GroupNormalization', 'Gelu', 'ConstantOfShape21', 'GridSample'}
WITHOUT_TORCH = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'mmcv', 'mmdet'):
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, Blocker())
import tevit_vis.deploy
assert not {'torch', 'mmcv', 'mmdet'} & set(sys.modules)
runpy.run_module('tevit_vis.deploy', run_name='__main__')
"""


def assert_same(expected, found, at_least=1):
    assert len(expected) >= at_least
    agreement = compare(expected, found)
    assert agreement.is_close, str(agreement)
    assert np.abs(expected.boxes.sum() - found.boxes.sum()) < 1e-2 * max(1, expected.boxes.max())


def test_graphs_have_standard_operators_only(exported):
    for file in exported.glob('*.onnx'):
        model = onnx.load(str(file))
        onnx.checker.check_model(model)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [('', 18)]
        assert model.ir_version <= 9  # what onnxruntime 1.17 reads
        assert {node.domain for node in model.graph.node} == {''}
        assert not {node.op_type for node in model.graph.node} & NEWER_THAN_17


@pytest.mark.parametrize('num_frames', [1, 3, 4, 9])
def test_windows_find_the_same_tracks(ifc, exported, num_frames):
    video = shapes_video(num_frames, SIZE)
    model = load_model(exported)
    expected = inference_video(ifc, video)
    assert_same(expected, model.inference_video(video))
    frames = list(stream_video(ifc, video))
    found = list(model.stream_video(video))
    assert [instances.frame for _, instances in found] == list(range(num_frames))
    for (image, own), (other_image, other) in zip(frames, found):
        assert (image == other_image).all()
        assert own.tracks == other.tracks
        np.testing.assert_allclose(own.class_scores, other.class_scores, atol=1e-4)


def test_a_whole_video_as_one_clip(ifc, exported, monkeypatch):
    model = load_model(exported)
    model.test_cfg['windows'] = None
    monkeypatch.setitem(ifc.test_cfg, 'windows', None)
    video = shapes_video(5, SIZE)
    assert_same(inference_video(ifc, video), model.inference_video(video))


def test_frames_of_another_size_that_are_resized_to_the_same(ifc, exported):
    video = shapes_video(4, (320, 192))
    found = load_model(exported).inference_video(video)
    assert found.size == (192, 320)
    assert_same(inference_video(ifc, video), found)


def test_both_are_models_of_videos(ifc, exported):
    def takes(model: VideoModel):
        return list(model.CLASSES), model.inference_config.windows

    assert takes(TorchVideoModel(ifc)) == takes(load_model(exported))


def test_it_runs_without_torch(ifc, exported, tmp_path):
    """The module as a program, in a Python that cannot import torch, mmcv and mmdet."""
    from PIL import Image

    frames = tmp_path / 'frames'
    frames.mkdir()
    for t, image in enumerate(shapes_video(6, SIZE)):
        Image.fromarray(image[..., ::-1]).save(frames / f'{t}.png')
    program, out = tmp_path / 'program.py', tmp_path / 'found.json'
    program.write_text(WITHOUT_TORCH)
    options = ['--no-video', '--json', str(out), '--max-overlap', '1', '--score-thr', '0']
    done = subprocess.run(
        [sys.executable, str(program), str(exported), str(frames), *options],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    expected = inference_video(ifc, open_source(str(frames)))
    instances = VideoInstances(
        labels=np.array([ifc.CLASSES.index(each['category']) for each in found['instances']]),
        scores=np.array([each['score'] for each in found['instances']]),
        boxes=np.array([each['boxes'] for each in found['instances']]),
        segmentations=[each['segmentations'] for each in found['instances']],
        size=(found['height'], found['width']),
    )
    assert_same(expected, instances, at_least=10)


def test_code_of_the_docs_runs(exported, tmp_path, monkeypatch, capsys):
    from tevit_vis.video import VideoWriter

    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported, 'exported')
    with VideoWriter('video.mp4', 10) as writer:
        for image in shapes_video(12, SIZE):
            writer.write(image)
    page = Path(__file__).parents[2] / 'docs' / 'deployment.md'
    blocks = re.findall(r'^```python\n(.*?)^```', page.read_text(), flags=re.S | re.M)
    assert blocks
    for block in blocks:
        exec(compile(block, 'block', 'exec'), {})
    assert capsys.readouterr().out.count('FrameInstances(frame') == 12


def altered(exported, tmp_path, **changes):
    folder = tmp_path / 'altered'
    shutil.copytree(exported, folder)
    description = json.loads((folder / 'model.json').read_text())
    description.update(changes)
    (folder / 'model.json').write_text(json.dumps(description))
    return folder


def test_folders_that_are_not_whole(exported, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r'must be a folder of tevit-vis export'):
        load_model(tmp_path)
    with pytest.raises(InputError, match=r'"format" must be 1, but is 2: it is of another version'):
        load_model(altered(exported, tmp_path, format=2))
    shutil.rmtree(tmp_path / 'altered')
    with pytest.raises(InputError, match=r'model.json: was altered: copy the folder'):
        load_model(altered(exported, tmp_path, classes=['one']))
    for changes, message in (
        (dict(graphs=[{}]), 'cannot be read'),
        (dict(files={'../x': '', **files_of(exported)}), 'must lie in the folder'),
        (dict(files={}), '"files" must list'),
    ):
        shutil.rmtree(tmp_path / 'altered')
        content = json.loads((exported / 'model.json').read_text())
        digest = content_digest({**content, **changes})
        with pytest.raises(InputError, match=message):
            load_model(altered(exported, tmp_path, **changes, digest=digest))
    shutil.rmtree(tmp_path / 'altered')
    folder = altered(exported, tmp_path)
    graph = next(folder.glob('predictions*'))
    graph.write_bytes(graph.read_bytes()[:-9])
    with pytest.raises(InputError, match='was altered or is not whole'):
        load_model(folder)
    graph.unlink()
    with pytest.raises(InputError, match='must be there, but is not'):
        load_model(folder)
    with pytest.raises(InputError, match='cuda needs CUDAExecutionProvider, but this onnxruntime'):
        load_model(exported, device='cuda')
    monkeypatch.setattr(sessions, 'LOWEST_VERSION', '99.0')
    with pytest.raises(InputError, match=r'onnxruntime: must be 99.0 or later'):
        load_model(exported)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(InputError, match='must be installed to run an exported model'):
        load_model(exported)


def files_of(folder):
    return json.loads((Path(folder) / 'model.json').read_text())['files']


def test_frames_that_the_graphs_do_not_take(exported):
    model = load_model(exported)
    with pytest.raises(InputError, match='export it with --size 200x150 as well'):
        model.inference_video(shapes_video(2, (200, 150)))
    model.test_cfg['windows'] = None
    with pytest.raises(InputError, match='to stream a video'):
        list(model.stream_video(shapes_video(2, SIZE)))


@pytest.mark.slow
def test_what_does_not_agree_is_not_written(ifc, tmp_path, monkeypatch):
    def spoiled(graph, example, path, names, any_number):
        export_graph(graph, example, path, names, any_number)
        model = onnx.load(str(path))
        for weight in model.graph.initializer:
            if weight.data_type == onnx.TensorProto.FLOAT and len(weight.raw_data) > 1000:
                weight.raw_data = bytes(np.frombuffer(weight.raw_data, np.float32) * 1.1)
        onnx.save(model, str(path))

    export_graph = exporter.export_graph
    monkeypatch.setattr(exporter, 'export_graph', spoiled)
    with pytest.raises(InputError, match='differs from the model by .* so nothing was written'):
        export_model(ifc, tmp_path / 'out', ExportOptions([SIZE]))
    assert not list(tmp_path.iterdir())


def test_pipelines():
    with pytest.raises(InputError, match='the step PhotoMetricDistortion cannot be exported'):
        preparation_steps([dict(type='LoadImageFromFile'), dict(type='PhotoMetricDistortion')])
    with pytest.raises(InputError, match='"preparation" must have steps of'):
        Preparation([dict(step='turn')])
    norm = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
    ends = [dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img'])]
    for middle in (
        [dict(type='Resize', img_scale=(160, 96)), dict(type='Normalize', **norm),
         dict(type='Pad', size_divisor=32)],
        [dict(type='Resize', img_scale=(90, 50), keep_ratio=False), dict(type='Normalize', **norm)],
        [dict(type='ResizeShortSide', short_sides=[60]), dict(type='RandomFlip', flip_ratio=0.0),
         dict(type='Pad', size_divisor=32, pad_val=dict(img=(128, 128, 128))),
         dict(type='Normalize', **norm)],
        [dict(type='ResizeShortSide', short_sides=[60], max_long_side=70, round_long_side=True),
         dict(type='Normalize', mean=[1.5, 2.0, 3.0], std=[1.0] * 3, to_rgb=False)],
    ):  # fmt: skip
        flip = [] if any(step['type'] == 'RandomFlip' for step in middle) else [
            dict(type='RandomFlip', flip_ratio=0.0)
        ]  # fmt: skip
        pipeline = [dict(type='LoadImageFromFile'), *middle[:1], *flip, *middle[1:], *ends]
        steps = preparation_steps(pipeline)
        check_steps(steps, pipeline, [(96, 160), (75, 133), (200, 90)])
    steps[-1]['mean'] = [1.0, 2.0, 3.0]
    with pytest.raises(InputError, match='its frames of 160x96 are not those of the exported'):
        check_steps(steps, pipeline, [(96, 160)])


def test_differences_are_seen():
    mask, empty = {'size': [2, 2], 'counts': '04'}, {'size': [2, 2], 'counts': '4'}
    one = VideoInstances(np.array([1]), np.array([0.5]), np.zeros((1, 1, 4)), [[mask]], (2, 2))
    none = one.select(np.zeros(0, int))
    other = VideoInstances(np.array([2]), np.array([0.5]), np.zeros((1, 1, 4)), [[mask]], (2, 2))
    assert compare(one, one).is_close
    assert not any(compare(a, b).is_near for a, b in ((one, none), (one, other)))
    assert not any(compare(a, b).is_close for a, b in ((none, one), (one, none), (one, other)))
    assert 'nothing was found' in str(compare(none, none))
    assert '0 of 0 instances are the same, 1 more were found' in str(compare(none, one))
    assert mask_ious([mask, empty, None], [mask, mask, None]).tolist() == [1.0, 0.0]
    labels, scores = np.array([1, 2]), np.array([0.9, 0.1])
    expected, found = (
        VideoInstances(labels, scores, np.zeros((2, 1, 4)), masks, (2, 2))
        for masks in ([[mask], [mask]], [[mask], [empty]])
    )
    assert compare(expected, found).mask_iou == pytest.approx(0.9)  # weighted by scores


def test_the_command(call, call_fails, tmp_path, capsys):
    out = tmp_path / 'out'
    arguments = ('export.py', 'synthetic/tevit_tiny', 'configs/synthetic/tevit_tiny.pth')
    call_fails(*arguments, '--out', out, '--size', '640')
    message = "--size: must be WIDTHxHEIGHT in pixels, such as 640x360, but got '640'"
    assert message in capsys.readouterr().err
    out.mkdir()
    (out / 'mine.txt').write_text('')
    assert '--overwrite replaces it' in call_fails(*arguments, '--out', out)
    assert 'is not replaced' in call_fails(*arguments, '--out', out, '--overwrite')
    assert (out / 'mine.txt').exists()


SYSTEMS = ['tevit_tiny', 'seqformer_tiny', 'ms_sts_tiny', 'mask2former_tiny', 'tevit_tiny_images']


@pytest.mark.slow
@pytest.mark.parametrize('name', SYSTEMS)
def test_every_system(name, tmp_path):
    """Whole and in windows, with padding on one side."""
    model = seeded_model(name)
    size = (160, 90)
    agreements = export_model(model, tmp_path / 'out', ExportOptions([size]))
    assert all(agreement.is_close for agreement in agreements)
    assert sum(agreement.num_expected for agreement in agreements)
    exported = load_model(tmp_path / 'out')
    for num_frames, windows in ((5, None), (7, dict(length=3, stride=2))):
        video = shapes_video(num_frames, size)
        tracker = dict(type='SoftIoUStitcher', min_iou=0.01, min_score=0.05)
        for test_cfg in (model.test_cfg, exported.test_cfg):
            test_cfg['windows'] = windows
            test_cfg['tracker'] = test_cfg.get('tracker') or tracker
        expected = inference_video(model, video)
        agreement = compare(expected, exported.inference_video(video))
        assert agreement.is_close, str(agreement)


@pytest.mark.slow
def test_a_trained_model(tmp_path):
    """One whose queries have several classes, each with masks of its own."""
    model = init_model('synthetic/tevit_tiny', 'configs/synthetic/tevit_tiny.pth', device='cpu')
    agreements = export_model(model, tmp_path / 'out', ExportOptions([SIZE]))
    assert all(agreement.is_close for agreement in agreements)
    assert [agreement.num_expected > 5 for agreement in agreements] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize('form', ['fp32', 'fp16', 'int8'])
def test_smaller_forms_and_weights_in_files_of_their_own(
    ifc, exported, tmp_path, form, monkeypatch
):
    monkeypatch.setattr(onnx_files, 'LARGEST_FILE', 1000)  # as if they were above 2 GB
    agreements = export_model(ifc, tmp_path / 'out', ExportOptions([SIZE], form=form))
    assert all(agreement.num_expected > 10 for agreement in agreements)
    sizes = [sum(f.stat().st_size for f in d.iterdir()) for d in (tmp_path / 'out', exported)]
    assert sizes[0] < {'fp32': 1.1, 'fp16': 0.7, 'int8': 0.9}[form] * sizes[1]
    model = load_model(tmp_path / 'out')
    model.inference_video(shapes_video(3, SIZE))
    if form == 'int8':
        assert_7_bits(tmp_path / 'out')
    weights = next((tmp_path / 'out').glob('*.data'))
    weights.unlink()
    with pytest.raises(InputError, match='must be there, but is not'):
        load_model(tmp_path / 'out')


def assert_7_bits(folder):
    """Sums of products of 8 bits saturate on x86 CPUs without VNNI."""
    for file in folder.glob('*.onnx'):
        whole = [
            onnx.numpy_helper.to_array(weight, str(folder))
            for weight in onnx.load(str(file)).graph.initializer
            if weight.data_type == onnx.TensorProto.INT8
        ]
        assert 0 < max(np.abs(weight.astype(int)).max() for weight in whole) <= 64


@pytest.mark.slow
def test_ranges_measured_on_videos(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, 'LARGEST_FILE', 1000)  # as if they were above 2 GB
    _, images = make_synthetic(tmp_path / 'data', 4, 0, SyntheticWorld(SIZE))
    model = init_model('synthetic/tevit_tiny', 'configs/synthetic/tevit_tiny.pth', device='cpu')
    options = ExportOptions([SIZE], 4, 'int8', sorted(map(str, images.iterdir())))
    agreements = export_model(model, tmp_path / 'out', options)
    assert [agreement.num_expected > 5 for agreement in agreements] == [True]
    assert all(agreement.mask_iou > 0.7 for agreement in agreements)
    exported = load_model(tmp_path / 'out')
    assert exported.folder.test_cfg['tracker']['memory'] == 0  # written out for other runtimes
    for file in (tmp_path / 'out').glob('*.onnx'):
        assert {opset.domain for opset in onnx.load(str(file)).opset_import} == {''}
    graph = onnx.load(str(next((tmp_path / 'out').glob('features*.onnx')))).graph
    weights = {weight.name: weight.data_type for weight in graph.initializer}
    producers = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == 'Conv']
    assert convolutions
    for node in convolutions:
        weight = producers[node.input[1]]
        assert weight.op_type == 'DequantizeLinear'
        assert weights[weight.input[0]] == onnx.TensorProto.INT8
        assert producers[node.input[0]].op_type == 'DequantizeLinear'
    products = [node for node in graph.node if node.op_type in ('MatMul', 'Gemm')]
    assert not any(node.input[1] in weights for node in products)
    assert any(producers[node.input[1]].op_type == 'DequantizeLinear' for node in products)
    assert_7_bits(tmp_path / 'out')


def test_ranges_are_for_8_bits_and_of_files(ifc, tmp_path, monkeypatch):
    with pytest.raises(InputError, match='--calibrate: is for --int8, but the form is fp16'):
        ExportOptions([SIZE], form='fp16', calibration=['walk.mp4'])
    with pytest.raises(InputError, match="must be a list of videos, but is 'walk.mp4'"):
        ExportOptions([SIZE], form='int8', calibration='walk.mp4')

    def measured_on(video):
        with pytest.raises(InputError) as error:
            export_model(ifc, tmp_path / 'o', ExportOptions([SIZE], None, 'int8', [video]))
        assert not list(tmp_path.iterdir())
        return str(error.value)

    assert 'none.mp4' in measured_on(str(tmp_path / 'none.mp4'))
    monkeypatch.setattr(FrameArray, 'is_live', True)
    monkeypatch.setattr(sample_videos, 'open_source', lambda _: FrameArray(shapes_video(2, SIZE)))
    assert measured_on('rtsp://walk') == (
        '--calibrate: must be files or folders of images, but rtsp://walk is live'
    )


@pytest.mark.parametrize('form', ['fp16', 'int8', 'calibrated'])
def test_a_disk_that_is_full(exported, tmp_path, form):
    path = Path(shutil.copy(next(exported.glob('features*.onnx')), tmp_path))

    def reduce():
        if form == 'calibrated':
            calibrate_graph(path, [shapes_video(1, SIZE)], load_model(exported).prepare)
        else:
            reduce_graph(path, form)

    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, most))
    try:
        with pytest.raises(InputError, match=r'features.*onnx: cannot be written: '):
            reduce()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))


def test_clips_of_videos(tmp_path, monkeypatch):
    first, second = tmp_path / 'first', tmp_path / 'second'
    for folder, num_frames in ((first, 40), (second, 2)):
        folder.mkdir()
        for t in range(num_frames):
            cv2.imwrite(str(folder / f'{t:05}.png'), np.full((6, 8, 3), t, np.uint8))
    clips = read_clips([str(first), str(second)], 3, (16, 8))
    assert {clip.shape for clip in clips} == {(3, 8, 16, 3)}
    assert [clip[:, 0, 0, 0].tolist() for clip in clips] == [
        [0, 1, 2], [16, 17, 18], [32, 33, 34], [0, 1, 1],
    ]  # fmt: skip
    assert start_of_video(str(second), 4, (8, 6))[:, 0, 0, 0].tolist() == [0, 1, 1, 1]
    assert len(read_clips([str(first)] * 30, 3, (16, 8))) == 30  # one of each, however many
    monkeypatch.setattr(sample_videos, 'NUM_CLIPS', 2)  # half of the video apart
    assert [clip[0, 0, 0, 0] for clip in read_clips([str(first)], 3, (16, 8))] == [0, 20]


def test_shapes_are_compared_where_nothing_is_found_in_what_was_measured(tmp_path):
    cv2.imwrite(str(tmp_path / '00000.png'), np.ones((6, 8, 3), np.uint8))
    options = ExportOptions([SIZE], None, 'int8', [str(tmp_path)])
    measured, shapes = tried_videos(2, SIZE, options)
    assert measured.shape == (2, SIZE[1], SIZE[0], 3)
    assert (measured == 1).all()
    assert np.array_equal(shapes, shapes_video(2, SIZE))


def test_onnxruntime_writes_into_the_unfinished_folder(exported, tmp_path, monkeypatch):
    path = Path(shutil.copy(next(exported.glob('features*.onnx')), tmp_path))
    elsewhere = tmp_path / 'temporary'
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(elsewhere))
    folders = []

    def make_folder(*args, **options):
        folders.append(Path(folder := mkdtemp(*args, **options)).parent)
        return folder

    mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, 'mkdtemp', make_folder)
    calibrate_graph(path, [shapes_video(1, SIZE)], load_model(exported).prepare)
    assert set(folders) == {tmp_path}
    assert tempfile.tempdir == str(elsewhere)
    assert sorted(tmp_path.iterdir()) == sorted([path, elsewhere])


@pytest.mark.slow
def test_a_fixed_number_of_frames(ifc, tmp_path):
    export_model(ifc, tmp_path / 'out', ExportOptions([SIZE], num_frames=4))
    model = load_model(tmp_path / 'out')
    assert model.test_cfg['windows'] == dict(length=4, stride=2)
    video = shapes_video(9, SIZE)
    assert_same(inference_video(ifc, video), model.inference_video(video))
    # A shorter video goes on with its last frame.
    still = np.concatenate([video[:3], video[2:3]])
    found, longer = (model.inference_video(frames) for frames in (video[:3], still))
    assert found.num_frames == 3
    assert found.scores.tolist() == longer.scores.tolist()
    model.change_windows(5, 1)
    with pytest.raises(InputError, match='takes clips of 4 frames, but this one has 5'):
        model.inference_video(video)


class OneProvider:
    """A session that onnxruntime gave another provider than was asked for."""

    def __init__(self, *_):
        pass

    def get_providers(self):
        return ['CPUExecutionProvider']


def test_a_device_that_only_seems_to_be_there(exported, monkeypatch):
    import onnxruntime

    names = ['CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: names)
    monkeypatch.setattr(onnxruntime, 'InferenceSession', OneProvider)
    with pytest.raises(InputError, match='cuda cannot be used: onnxruntime took CPUExecution'):
        load_model(exported, device='cuda')


@pytest.mark.parametrize('threads', ['', '2,1', 'x'])
def test_threads_of_the_environment(exported, monkeypatch, threads):
    monkeypatch.setenv('OMP_NUM_THREADS', threads)
    load_model(exported)


def test_frames_too_narrow(exported):
    with pytest.raises(InputError, match='frames of 2000x1 would be 160x0 after resizing'):
        load_model(exported).inference_video(np.zeros((1, 1, 2000, 3), np.uint8))
