"""Fixtures that many tests share; what they are built with is in ``builders.py``."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from builders import (
    TINY_IFC,
    TINY_SEQFORMER,
    annotation,
    build_for_training,
    from_seqformer,
    moving_square,
    noise_frames,
    tiny_tevit_config,
    write_frames,
)
from torch import nn

from tevit_vis.apis import init_model
from tevit_vis.utils.config import load_config

TOOLS = Path(__file__).parents[1] / 'tools'


@pytest.fixture
def tiny_config():
    """The config of tevit_msgshift with few channels, two stages and seven queries."""
    return tiny_tevit_config()


@pytest.fixture
def tiny_model(tiny_config):
    """A tiny TeViT whose boxes are spread over the frame."""
    torch.manual_seed(3)
    model = init_model(tiny_config, device='cpu')
    boxes = model.rpn_head.init_proposal_bboxes.weight
    with torch.inference_mode():
        boxes[:, :2] = torch.rand(len(boxes), 2)
        boxes[:, 2:] = 0.2 + 0.5 * torch.rand(len(boxes), 2)
    return model


@pytest.fixture(scope='session')
def tiny_files_once(tmp_path_factory):
    """The files of ``tiny_files``, which are made once for all tests."""
    folder = tmp_path_factory.mktemp('tiny')
    config = tiny_tevit_config()
    config.dump(str(folder / 'tiny.py'))
    model = build_for_training(config)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'tiny.pth')
    return folder


@pytest.fixture
def tiny_files(tiny_files_once, tmp_path):
    """A tiny config and a checkpoint that fits it, as files: (config path, checkpoint path)."""
    return tuple(
        Path(shutil.copy(tiny_files_once / name, tmp_path)) for name in ('tiny.py', 'tiny.pth')
    )


@pytest.fixture
def seqformer_config():
    """The config of the synthetic SeqFormer with fewer channels, layers and seven queries."""
    config = load_config('synthetic/seqformer_tiny')
    config.merge_from_dict(TINY_SEQFORMER)
    return config


@pytest.fixture
def ms_sts_config():
    """The same of the synthetic MS-STS, with a discriminator of few channels."""
    config = load_config('synthetic/ms_sts_tiny')
    config.merge_from_dict(TINY_SEQFORMER)
    config.adversary.loss.block_channels = [8, 8]
    return config


@pytest.fixture
def seqformer(seqformer_config):
    """A tiny SeqFormer whose boxes, classes and masks differ from query to query."""
    torch.manual_seed(3)
    model = init_model(seqformer_config, device='cpu')
    with torch.inference_mode():
        for branch in model.bbox_head.decoder.box_branches:
            branch[-1].weight.normal_(0, 0.3)
        for branch in model.bbox_head.class_branches:
            branch.bias.zero_()
        model.bbox_head.controller[-1].bias.normal_(0, 0.3)
    return model


@pytest.fixture
def ms_sts(seqformer, ms_sts_config, tmp_path):
    """A tiny MS-STS whose new layers do something."""
    model = from_seqformer(seqformer, ms_sts_config, tmp_path)
    with torch.inference_mode():
        for layer in model.bbox_head.encoder.layers:
            nn.init.normal_(layer.mixer.expansion.weight, 0.0, 0.3)
        for layer in model.bbox_head.decoder.layers:
            nn.init.normal_(layer.box_mixer.attn.output_proj.weight, 0.0, 0.3)
    return model


@pytest.fixture
def mask2former_config():
    """The config of the synthetic Mask2Former."""
    return load_config('synthetic/mask2former_tiny')


@pytest.fixture
def mask2former():
    """The small Mask2Former with random weights and unlike queries."""
    torch.manual_seed(3)
    model = init_model('synthetic/mask2former_tiny', device='cpu')
    with torch.inference_mode():
        model.panoptic_head.query_feat.weight.normal_(0, 3)
    return model


@pytest.fixture
def ifc_config():
    """The config of the synthetic IFC with fewer channels, layers and seven queries."""
    config = load_config('synthetic/ifc_tiny')
    config.merge_from_dict(TINY_IFC)
    return config


@pytest.fixture
def ifc(ifc_config):
    """A tiny IFC, most of whose queries see an object."""
    torch.manual_seed(3)
    model = init_model(ifc_config, device='cpu')
    with torch.inference_mode():
        model.bbox_head.class_branch[-1].weight.normal_(0, 0.3)
        model.bbox_head.class_branch[-1].bias[-1] = -0.5
    return model


@pytest.fixture
def train_files(tmp_path):
    """Two videos of 4 and 2 frames, 64x48, bright squares on noise: (annotation file, folder).

    In the first, an instance of category 3 is seen throughout and one of category 7 in the last
    two frames; in the second, one of category 7.
    """
    size = (48, 64)
    first, late = moving_square(4, size, 2), moving_square(4, size, 30)
    late[:2] = False
    second = moving_square(2, size, 8)
    images = tmp_path / 'frames'
    videos = []
    for index, tracks in enumerate([[first, late], [second]]):
        frames = noise_frames(len(tracks[0]), *size, seed=index) // 4
        for track, color in zip(tracks, (250, 150)):
            frames[track] = color
        write_frames(images / f'v{index}', frames)
        names = [f'v{index}/{t:05d}.png' for t in range(len(frames))]
        shape = dict(height=48, width=64, length=len(names))
        videos.append(dict(id=5 + index, file_names=names, **shape))
    content = dict(
        videos=videos,
        categories=[dict(id=3, name='cat'), dict(id=7, name='dog')],
        annotations=[
            annotation(1, 5, 3, first),
            annotation(2, 5, 7, late),
            annotation(3, 6, 7, second),
        ],
    )
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(content))
    return path, images


@pytest.fixture
def video_dataset(tmp_path):
    """Three videos of 3, 1 and 4 frames and three sizes: (annotation file, image folder)."""
    images = tmp_path / 'images'
    videos = []
    for index, (length, height, width) in enumerate([(3, 48, 80), (1, 51, 37), (4, 80, 48)]):
        name = f'video_{index}'
        write_frames(images / name, noise_frames(length, height, width, seed=index))
        videos.append(
            {
                'id': 10 + index,
                'height': height,
                'width': width,
                'length': length,
                'file_names': [f'{name}/{frame:05d}.png' for frame in range(length)],
            }
        )
    annotations = tmp_path / 'annotations.json'
    annotations.write_text(json.dumps({'videos': videos, 'categories': []}))
    return annotations, images


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a tool; returns what it printed, or raises the SystemExit of its error line."""

    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        runpy.run_path(str(TOOLS / tool), run_name='__main__')
        return capsys.readouterr().out

    return run


@pytest.fixture
def call_fails(call):
    """Run a tool that ends with an error; returns its line."""

    def run(tool, *arguments):
        with pytest.raises(SystemExit) as caught:
            call(tool, *arguments)
        return str(caught.value)

    return run


@dataclass
class Finished:
    """How a tool ended: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Runs a Python file as a command, but in this process, which saves its imports."""

    def run(path, *arguments):
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        capsys.readouterr()
        code, message = 0, ''
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as end:
            code, message = (end.code or 0, '') if not isinstance(end.code, str) else (1, end.code)
        printed = capsys.readouterr()
        return Finished(code, printed.out, f'{printed.err}{message}\n' if message else printed.err)

    return run
