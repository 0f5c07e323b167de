"""Tiny builders: a TeViT of few channels, clips of coloured noise, data sets of a few frames.

The real clips and larger goldens lie in ``../shared``; tests that need them skip where it is
absent.
"""

from __future__ import annotations

import json
import logging
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from manifest import override
from torch import nn

from tevit_vis.apis import init_model
from tevit_vis.apis.build import build_model, prepare_for_inference
from tevit_vis.apis.options import TrainOptions
from tevit_vis.data_tools.synthetic_files import instance_entry
from tevit_vis.utils.config import load_config

SHARED = Path(__file__).parents[2] / 'shared'
GOLDENS = Path(__file__).parent / 'goldens'  # small cases; SHARED has more of them
CHANNELS = 16
TINY = {
    'model.backbone.embed_dims': 8,
    'model.neck.in_channels': [8, 16, 40, 64],
    'model.neck.out_channels': CHANNELS,
    'model.rpn_head.num_proposals': 7,
    'model.rpn_head.proposal_feature_channel': CHANNELS,
    'model.roi_head.num_stages': 2,
    'model.roi_head.stage_loss_weights': [1, 1],
    'model.roi_head.proposal_feature_channel': CHANNELS,
    'model.roi_head.bbox_roi_extractor.out_channels': CHANNELS,
    'model.roi_head.mask_roi_extractor.out_channels': CHANNELS,
    'model.roi_head.bbox_head.__len__': 2,
    'model.roi_head.bbox_head.*.in_channels': CHANNELS,
    'model.roi_head.bbox_head.*.feedforward_channels': 32,
    'model.roi_head.bbox_head.*.dynamic_conv_cfg.in_channels': CHANNELS,
    'model.roi_head.bbox_head.*.dynamic_conv_cfg.out_channels': CHANNELS,
    'model.roi_head.bbox_head.*.dynamic_conv_cfg.feat_channels': 8,
    'model.roi_head.mask_head.__len__': 2,
    'model.roi_head.mask_head.*.in_channels': CHANNELS,
    'model.roi_head.mask_head.*.conv_out_channels': CHANNELS,
    'model.roi_head.mask_head.*.dynamic_conv_cfg.in_channels': CHANNELS,
    'model.roi_head.mask_head.*.dynamic_conv_cfg.out_channels': CHANNELS,
    'model.roi_head.mask_head.*.dynamic_conv_cfg.feat_channels': 8,
    'model.train_cfg.rcnn.__len__': 2,
    'data.test.pipeline.1.img_scale': [96, 64],
}
TOOLS = Path(__file__).parents[1] / 'tools'


@pytest.fixture
def tiny_config():
    """The config of tevit_msgshift with few channels, two stages and seven queries."""
    config = load_config('tevit/tevit_msgshift')
    for key, value in TINY.items():
        override(config._cfg_dict, key.split('.'), value)
    return config


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


@pytest.fixture
def tiny_files(tiny_config, tmp_path):
    """A tiny config and a checkpoint that fits it, as files: (config path, checkpoint path)."""
    from mmdet.models import build_detector

    torch.manual_seed(3)
    config = tmp_path / 'tiny.py'
    tiny_config.dump(str(config))
    tiny_config.model.backbone.pop('init_cfg')
    model = build_detector(dict(tiny_config.model, train_cfg=None))
    model.init_weights()
    checkpoint = tmp_path / 'tiny.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, checkpoint)
    return config, checkpoint


TINY_SEQFORMER = {
    'model.backbone.embed_dims': 8,
    'model.backbone.drop_path_rate': 0.0,
    'model.backbone.num_layers': [1, 1, 1, 1],
    'model.neck.in_channels': [16, 40, 64],
    'model.neck.out_channels': 32,
    'model.neck.num_groups': 8,
    'model.bbox_head.embed_dims': 32,
    'model.bbox_head.encoder.feedforward_channels': 48,
    'model.bbox_head.decoder.feedforward_channels': 48,
    'model.bbox_head.decoder.num_layers': 2,
    'model.bbox_head.decoder.num_queries': 7,
}


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


def from_seqformer(seqformer, config, tmp_path):
    """A new MS-STS that starts from SeqFormer's checkpoint, as training would start it."""
    torch.save(dict(state_dict=seqformer.state_dict()), tmp_path / 'seqformer.pth')
    config.load_from = str(tmp_path / 'seqformer.pth')
    model = build_model(config, '12345', TrainOptions(''), logging.getLogger('test_ms_sts'))
    model.cfg = config
    return prepare_for_inference(model, torch.device('cpu'))


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
def ifc_config():
    """The config of the synthetic IFC with fewer channels, layers and seven queries."""
    config = load_config('synthetic/ifc_tiny')
    config.merge_from_dict(
        {
            'model.backbone.embed_dims': 8,
            'model.backbone.num_layers': [1, 1, 1, 1],
            'model.neck.in_channels': [16, 40, 64],
            'model.neck.out_channels': 32,
            'model.bbox_head.embed_dims': 32,
            'model.bbox_head.encoder.feedforward_channels': 48,
            'model.bbox_head.decoder.feedforward_channels': 48,
            'model.bbox_head.decoder.num_layers': 2,
            'model.bbox_head.decoder.num_queries': 7,
            'model.test_cfg.windows.length': 3,
        }
    )
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


def noise_frames(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth coloured noise that drifts: [T, H, W, 3] uint8."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.stack([np.roll(image, 2 * index, axis=1) for index in range(count)])


def write_frames(folder: Path, frames: np.ndarray) -> list[Path]:
    """PNG files of frames."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f'{index:05d}.png' for index in range(len(frames))]
    for path, frame in zip(paths, frames):
        cv2.imwrite(str(path), frame)
    return paths


def moving_square(length: int, size: tuple[int, int], start: int, side: int = 20) -> np.ndarray:
    """Masks [T, H, W] of a square that moves right by 4 pixels a frame."""
    height, width = size
    masks = np.zeros((length, height, width), bool)
    for t in range(length):
        masks[t, 10 : 10 + side, start + 4 * t : start + 4 * t + side] = True
    return masks


def annotation(index: int, video: int, category: int, masks: np.ndarray, **fields) -> dict:
    """An entry of an annotation file from masks [T, H, W]."""
    ids = dict(id=index, video_id=video, category_id=category)
    return {**ids, **instance_entry(masks), **fields}


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
