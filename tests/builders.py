"""Small models, batches, videos and data sets that many tests are made of.

The real clips and larger goldens lie in ``../shared``; tests that need them skip where it is
absent.
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import torch
from manifest import override

import tevit_vis  # noqa: F401  (it must come before mmcv)

# isort: split
from mmcv import Config
from mmdet.core import BitmapMasks
from mmdet.models import build_detector

from tevit_vis.apis.build import build_model, prepare_for_inference
from tevit_vis.apis.options import TrainOptions
from tevit_vis.data_tools.synthetic_files import instance_entry
from tevit_vis.structures import ClipPrediction
from tevit_vis.utils.config import load_config

SHARED = Path(__file__).parents[2] / 'shared'
GOLDENS = Path(__file__).parent / 'goldens'  # small cases; SHARED has more of them
CHANNELS = 16
TINY_TEVIT = {
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
TINY_IFC = {
    **TINY_SEQFORMER,
    'model.test_cfg.windows.length': 3,
}


def tiny_tevit_config() -> Config:
    """Returns the config of tevit_msgshift with few channels, two stages and seven queries."""
    config = load_config('tevit/tevit_msgshift')
    for key, value in TINY_TEVIT.items():
        override(config._cfg_dict, key.split('.'), value)
    return config


def collect_without_resize() -> list[dict]:
    """Returns TeViT's training pipeline without its resizing."""
    pipeline = load_config('tevit/tevit_msgshift').data.train.pipeline
    return [step for step in pipeline if step.type != 'Resize']


def build_for_training(config: Config, seed: int = 3) -> torch.nn.Module:
    """Returns the model of a config in training mode, its weights drawn."""
    torch.manual_seed(seed)
    config.model.backbone.pop('init_cfg', None)
    model = build_detector(config.model)
    model.init_weights()
    return model.train()


@torch.inference_mode()
def predict_clip(model: torch.nn.Module, img: torch.Tensor, scale: float = 1.0) -> ClipPrediction:
    """Returns a model's prediction for a clip [1, T, 3, H, W] that was scaled from its frames."""
    height, width = img.shape[3:]
    metas = make_metas(img.shape[1], height, width, scale)
    return model.predict_clip(model.extract_feat(img), metas)


def random_video(count: int = 6) -> np.ndarray:
    """Frames [count, 48, 80, 3] of random pixels."""
    return np.random.default_rng(0).integers(0, 256, (count, 48, 80, 3), np.uint8)


def from_seqformer(seqformer, config, tmp_path):
    """A new MS-STS that starts from SeqFormer's checkpoint, as training would start it."""
    torch.save(dict(state_dict=seqformer.state_dict()), tmp_path / 'seqformer.pth')
    config.load_from = str(tmp_path / 'seqformer.pth')
    model = build_model(config, '12345', TrainOptions(''), logging.getLogger('test_ms_sts'))
    model.cfg = config
    return prepare_for_inference(model, torch.device('cpu'))


def batch(counts, height=64, width=128):
    """Clips with so many instances in each frame; the second clip is narrower."""
    generator = torch.Generator().manual_seed(0)
    clips = {name: [] for name in ('img_metas', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids')}
    for index, frames in enumerate(counts):
        shape = (height, width - 64 * (index % 2), 3)
        boxes = [torch.rand(n, 2, 2, generator=generator).sort(1).values for n in frames]
        size = torch.tensor([shape[1], height])
        bits = [np.zeros((n, *shape[:2]), np.uint8) for n in frames]
        for masks in bits:
            masks[:, 10:30, 10:30] = 1
        clips['img_metas'].append([dict(img_shape=shape) for _ in frames])
        clips['gt_bboxes'].append([(b * size).flatten(1) for b in boxes])
        clips['gt_labels'].append([torch.arange(n) % 5 for n in frames])
        clips['gt_masks'].append([BitmapMasks(m, *shape[:2]) for m in bits])
        clips['gt_ids'].append([torch.arange(n) for n in frames])
    img = torch.randn(len(counts), len(counts[0]), 3, height, width, generator=generator)
    return dict(img=img, **clips)


def make_metas(count, height=64, width=96, scale=1.0):
    shape = (height, width, 3)
    return [
        dict(
            img_shape=shape,
            pad_shape=shape,
            ori_shape=(round(height / scale), round(width / scale), 3),
            scale_factor=np.full(4, scale, np.float32),
        )
        for _ in range(count)
    ]


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
