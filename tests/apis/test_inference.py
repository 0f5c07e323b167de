import pickle

import numpy as np
import pytest
import torch
from builders import noise_frames, write_frames

from tevit_vis.apis import inference_video, init_model
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter


@pytest.mark.parametrize('shape', [(1, 48, 80), (3, 51, 37), (2, 80, 48)])
def test_one_frame_odd_sizes_and_portrait_work(tiny_model, shape):
    instances = inference_video(tiny_model, noise_frames(*shape))
    assert len(instances) == 10
    assert instances.num_frames == shape[0]
    assert instances.size == shape[1:]
    assert instances.segmentations[0][0]['size'] == list(shape[1:])


def test_folders_lists_and_arrays_give_the_same(tiny_model, tmp_path):
    frames = noise_frames(3, 48, 80)
    paths = write_frames(tmp_path / 'clip', frames)
    results = [inference_video(tiny_model, v) for v in (frames, paths, str(tmp_path / 'clip'))]
    for other in results[1:]:
        assert (other.scores == results[0].scores).all()
        assert other.segmentations == results[0].segmentations


def test_a_video_file_works_and_counts_its_frames(tiny_model, tmp_path):
    with VideoWriter(str(tmp_path / 'a.mp4'), 5) as writer:
        for frame in noise_frames(4, 48, 80):
            writer.write(frame)
    seen = []
    instances = inference_video(tiny_model, tmp_path / 'a.mp4', on_frame=lambda: seen.append(1))
    assert len(seen) == instances.num_frames == 4


def test_boxes_outside_the_frame_give_empty_masks(tiny_model):
    with torch.inference_mode():
        tiny_model.rpn_head.init_proposal_bboxes.weight[:, :2] = 40.0
    instances = inference_video(tiny_model, noise_frames(2, 48, 80))
    assert (instances.boxes[:, :, :2] > 100).any()
    assert len(instances) == 10


def test_a_checkpoint_gives_the_same_model_again(tiny_files):
    config, checkpoint = tiny_files
    frames = noise_frames(2, 48, 80)
    first, second = (inference_video(init_model(config, checkpoint), frames) for _ in range(2))
    assert (first.scores == second.scores).all()


def test_class_names_come_from_the_checkpoint_or_the_config(tiny_files):
    config, checkpoint = tiny_files
    assert init_model(config, checkpoint).CLASSES[:2] == ('person', 'giant_panda')
    content = torch.load(checkpoint)
    content['meta']['CLASSES'] = tuple(f'class {index}' for index in range(40))
    torch.save(content, checkpoint)
    assert init_model(config, checkpoint).CLASSES[1] == 'class 1'


class Harmless:
    """Something that only a trusted checkpoint may hold."""


def damage_checkpoint(path, kind):
    content = torch.load(path)
    state = content['state_dict']
    if kind == 'truncated':
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == 'no checkpoint':
        path.write_text('hello')
    elif kind == 'absent':
        path.unlink()
    elif kind == 'a list':
        torch.save([1, 2], path)
    elif kind == 'other model':
        state['backbone.conv1.weight'] = state.pop('backbone.msg_tokens')
        torch.save(content, path)
    elif kind == 'other shape':
        state['backbone.msg_tokens'] = torch.zeros(1, 16, 3)
        torch.save(content, path)
    elif kind == 'objects':
        torch.save({**content, 'meta': {'run': Harmless()}}, path)
    elif kind == 'truncated pickle':
        path.write_bytes(pickle.dumps({'a': list(range(999))})[:100])


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('truncated', 'tiny.pth: is no checkpoint, or a truncated one'),
        ('truncated pickle', 'tiny.pth: is no checkpoint, or a truncated one'),
        ('no checkpoint', 'tiny.pth: is no checkpoint, or a truncated one'),
        ('absent', 'tiny.pth: checkpoint must be a file, but there is none'),
        ('a list', 'checkpoint must hold a dict of weights, but got list'),
        (
            'other model',
            r'does not fit the model: 1 keys missing \(first: backbone.msg_tokens\); '
            r'1 keys left over \(first: backbone.conv1.weight\)',
        ),
        (
            'other shape',
            r'of another shape \(first: backbone.msg_tokens \[1, 16, 3\] for \[1, 32, 3\]',
        ),
        ('objects', 'holds Python objects besides weights.*--trust-checkpoint'),
    ],
)
def test_bad_checkpoints_are_named(tiny_files, kind, message):
    config, checkpoint = tiny_files
    damage_checkpoint(checkpoint, kind)
    with pytest.raises(InputError, match=message) as caught:
        init_model(config, checkpoint)
    assert '\n' not in str(caught.value)


def test_a_trusted_checkpoint_may_hold_objects(tiny_files):
    config, checkpoint = tiny_files
    damage_checkpoint(checkpoint, 'objects')
    assert init_model(config, checkpoint, trust_checkpoint=True).num_classes == 40


def test_checkpoints_of_mmcv_load_without_trust(tiny_files):
    config, checkpoint = tiny_files
    content = torch.load(checkpoint)
    content['meta'] = {'epoch': 3, 'lr': np.float64(0.1), 'scores': np.arange(3)}
    torch.save(content, checkpoint)
    assert init_model(config, checkpoint).num_classes == 40


@pytest.mark.parametrize(
    ('device', 'message'),
    [('cuda:99', 'device cuda:99 was asked for, but'), ('abacus', 'must be cpu, cuda or')],
)
def test_absent_devices_are_named(tiny_config, device, message):
    with pytest.raises(InputError, match=message):
        init_model(tiny_config, device=device)
