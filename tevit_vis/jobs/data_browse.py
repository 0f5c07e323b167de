"""Show what training sees: clips after sampling and augmentation, with their annotations."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from tevit_vis.datasets import SeededIndex, TrainClip, build_dataset
from tevit_vis.rle import encode_masks
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.config import build, load_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable, write_atomically
from tevit_vis.utils.seeds import mixed_seed
from tevit_vis.video import VideoWriter
from tevit_vis.visualization.draw import draw_frame

GAP = 4  # pixels between frames
SMALLEST_HEIGHT = 240  # smaller frames are enlarged, so that labels can be read


def clip_images(clip: TrainClip) -> list:
    """Returns the frames as images [H, W, 3] (uint8, BGR), with normalisation undone."""
    images = []
    for img, meta in zip(clip.img, clip.img_metas):
        norm = meta['img_norm_cfg']
        image = img.permute(1, 2, 0).numpy() * norm['std'] + norm['mean']
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        images.append(image[..., ::-1].copy() if norm['to_rgb'] else image)
    return images


def clip_instances(clip: TrainClip) -> VideoInstances:
    """Returns the annotations of a clip as one track for each id."""
    ids = sorted({int(i) for frame in clip.gt_ids for i in frame})
    num_frames = len(clip.img)
    tracks = [[None] * num_frames for _ in ids]
    boxes = np.zeros((len(ids), num_frames, 4), np.float32)
    labels = np.zeros(len(ids), np.int64)
    for t in range(num_frames):
        rles = encode_masks(torch.from_numpy(clip.gt_masks[t].masks.astype(bool)))
        gt = zip(clip.gt_ids[t], rles, clip.gt_bboxes[t], clip.gt_labels[t])
        for gt_id, rle, box, label in gt:
            n = ids.index(int(gt_id))
            tracks[n][t], boxes[n, t], labels[n] = rle, box.numpy(), int(label)
    size = tuple(clip.img.shape[-2:])
    return VideoInstances(labels, np.ones(len(ids), np.float32), boxes, tracks, size)


def drawn_clip(clip: TrainClip, class_names: tuple) -> list:
    """Returns the frames of a clip with their annotations drawn, enlarged where they are small."""
    instances = clip_instances(clip)
    zoom = -(-SMALLEST_HEIGHT // clip.img.shape[2])
    return [
        draw_frame(image, instances, t, class_names, zoom=zoom)
        for t, image in enumerate(clip_images(clip))
    ]


def clip_sheet(clips: list) -> np.ndarray:
    """Returns one image that has a row of frames for each clip."""
    height = max(image.shape[0] for clip in clips for image in clip) + GAP
    width = max(image.shape[1] for clip in clips for image in clip) + GAP
    canvas = np.full((height * len(clips), width * max(map(len, clips)), 3), 255, np.uint8)
    for row, clip in enumerate(clips):
        for column, image in enumerate(clip):
            y, x = row * height, column * width
            canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    return canvas


def run_data_browse(args: argparse.Namespace) -> None:
    check_writable(args.out)
    suffix = Path(args.out).suffix.lower()
    if suffix not in ('.png', '.jpg', '.mp4'):
        raise InputError(f'{args.out}: must end in .png, .jpg or .mp4')
    config = load_config(args.config, args.cfg_options)
    dataset = build('data.train', lambda: build_dataset(config.data.train))
    rng = np.random.default_rng(args.seed)
    indices = rng.permutation(len(dataset))[: args.clips].tolist()
    clips = [
        drawn_clip(dataset[SeededIndex(index, mixed_seed(args.seed, index))], dataset.CLASSES)
        for index in indices
    ]
    if suffix == '.mp4':
        with VideoWriter(args.out, args.fps) as writer:
            height = max(image.shape[0] for clip in clips for image in clip)
            width = max(image.shape[1] for clip in clips for image in clip)
            for image in (image for clip in clips for image in clip):
                bottom, right = height - image.shape[0], width - image.shape[1]
                border = (0, bottom, 0, right, cv2.BORDER_CONSTANT)
                writer.write(cv2.copyMakeBorder(image, *border, value=(255, 255, 255)))
    else:
        content = cv2.imencode(suffix, clip_sheet(clips))[1].tobytes()
        write_atomically(args.out, lambda unfinished: Path(unfinished).write_bytes(content))
    print(f'{args.out}: {len(clips)} clips of {len(dataset)}')
