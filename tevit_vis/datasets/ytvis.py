"""A data set in YouTube-VIS layout: clips to train on, and videos to test on."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmdet.datasets import DATASETS

from tevit_vis.annotated_instances import parse_instances
from tevit_vis.annotated_videos import Video, parse_videos
from tevit_vis.annotations import read_annotation_file
from tevit_vis.evaluation.tubes import GroundTruth, parse_ground_truth
from tevit_vis.evaluation.ytvis_eval import evaluate
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.seeds import seeded
from tevit_vis.video.images import turned_hint

from .categories import choose_categories
from .clip_sampler import build_clip_sampler
from .frames import Frame, FramePipeline, TrainFrame
from .loader import SeededIndex, TrainClip

logger = logging.getLogger(__name__)


@DATASETS.register_module()
class YouTubeVISDataset:
    """The videos of a file in YouTube-VIS layout: YouTube-VIS 2019 to 2022, OVIS, own data.

    In training, an item is a clip around a key frame. Every frame that has an instance is a key
    frame, or every frame if the file has no instance at all. In testing, an item is a video.

    Args:
        ann_file: the JSON file.
        img_prefix: folder that ``file_names`` are relative to.
        pipeline: mmdet transforms of one frame; they draw the same random numbers for all frames
            of a clip.
        categories: name of a public table (``datasets/categories.py``) that the model was trained
            with, or None to take the file's own categories.
        clip_length: frames of a training clip.
        clip_sampler: rule that chooses these frames, see ``datasets/clip_sampler.py``.
        annotated_only: whether clips consist of frames with an instance only.
        test_mode: whether items are whole videos without annotations.

    Raises:
        InputError: the file or the folder is absent, or the file breaks the layout.
    """

    def __init__(
        self,
        ann_file: str,
        img_prefix: str,
        pipeline: Sequence[dict],
        categories: str | None = None,
        clip_length: int = 5,
        clip_sampler: Mapping = dict(type='tevit'),  # noqa: B006  (read only)
        annotated_only: bool = True,
        test_mode: bool = False,
    ) -> None:
        self.ann_file = ann_file
        self.img_prefix = img_prefix
        self.test_mode = test_mode
        self.clip_length = clip_length
        content = self.read_content()
        self.videos = parse_videos(content, ann_file)
        self.categories = choose_categories(content, ann_file, categories, must_agree=not test_mode)
        self.pipeline = FramePipeline(pipeline)
        if img_prefix and not os.path.isdir(img_prefix):
            raise InputError(f'{img_prefix}: image folder must be there, but it is not')
        if not test_mode:
            self.instances = parse_instances(content, ann_file, self.videos, self.label_to_category)
            self.clip_sampler = build_clip_sampler(clip_length, clip_sampler)
            self._list_key_frames(annotated_only)

    def read_content(self) -> dict:
        """Returns the content of the file in YouTube-VIS layout; other layouts override it."""
        return read_annotation_file(self.ann_file)

    def _list_key_frames(self, annotated_only: bool) -> None:
        """Lists the key frames of all videos, one video after the other, in flat arrays."""
        counts = [video.num_frames for video in self.videos]
        self.first_frame = np.cumsum([0, *counts])  # [V + 1], counted through all videos
        frames_per_video = [np.arange(count, dtype=np.int32) for count in counts]
        if annotated_only:
            annotated = [
                self.instances.annotated_frames(first, last).astype(np.int32)
                for first, last in zip(self.first_frame[:-1], self.first_frame[1:])
            ]
            if any(map(len, annotated)):
                frames_per_video = annotated
            else:
                logger.warning('%s: has no instance: training sees background only', self.ann_file)
        for video_index, frames_of_video in enumerate(frames_per_video):
            if len(frames_of_video):
                self._check_first_image(self.videos[video_index], int(frames_of_video[0]))
        self.key_frames = np.concatenate(frames_per_video)
        self.first_item = np.cumsum([0, *map(len, frames_per_video)])  # [V + 1]
        is_portrait = np.array([video.height > video.width for video in self.videos], np.uint8)
        # The orientation group of each item; the name is mmdet's.
        self.flag = np.repeat(is_portrait, np.diff(self.first_item))

    def _check_first_image(self, video: Video, index: int) -> None:
        path = self.frame_path(video, index)
        if not os.path.isfile(path):
            raise InputError(
                f'{self.ann_file}: video {video.id}: frame {index} must be an image in '
                f'{self.img_prefix}, but {path} is not there (tevit-vis data check lists '
                'all that is missing)'
            )

    @property
    def CLASSES(self) -> tuple[str, ...]:  # noqa: N802  (mmdet's name)
        """Class names in label order."""
        return tuple(self.categories.values())

    @property
    def label_to_category(self) -> list[int]:
        """Category id of each label."""
        return list(self.categories)

    def __len__(self) -> int:
        return len(self.videos) if self.test_mode else len(self.key_frames)

    def __getitem__(self, item: int | SeededIndex) -> TrainClip | dict:
        """Returns a training clip; in test mode a video, ``img [T, 3, H, W]`` and T ``img_metas``.

        Without a seed in ``item``, the random choices of a clip differ from call to call.
        """
        if self.test_mode:
            video = self.videos[int(item)]
            frames = [self.load_frame(video, index) for index in range(video.num_frames)]
            return dict(
                img=torch.stack([frame.img for frame in frames]),
                img_metas=[frame.meta for frame in frames],
            )
        if not isinstance(item, SeededIndex):
            item = SeededIndex(item, int(np.random.randint(2**31)))
        return self.load_clip(item)

    def get_cat_ids(self, item: int) -> list[int]:
        """Returns the labels in an item's key frame, for mmdet's ``ClassBalancedDataset``."""
        video_index = int(np.searchsorted(self.first_item, item, side='right')) - 1
        frame = int(self.first_frame[video_index]) + int(self.key_frames[item])
        return self.instances.labels_of_frame(frame).tolist()

    def load_clip(self, item: SeededIndex) -> TrainClip:
        """Returns the clip of a key frame; the seed determines all that is random about it."""
        video_index = int(np.searchsorted(self.first_item, item.index, side='right')) - 1
        frames_of_video = self.key_frames[
            self.first_item[video_index] : self.first_item[video_index + 1]
        ]
        key = item.index - int(self.first_item[video_index])
        frame_indices = self.clip_sampler(frames_of_video, key, np.random.default_rng(item.seed))
        frames = []
        for frame_index in frame_indices:
            with seeded(item.seed):  # all frames draw the same random numbers
                frames.append(self._load_train_frame(video_index, int(frame_index)))
        return TrainClip.from_frames(frames)

    def _load_train_frame(self, video_index: int, frame_index: int) -> TrainFrame:
        video = self.videos[video_index]
        size = video.height, video.width
        instances = self.instances.of_frame(int(self.first_frame[video_index]) + frame_index, size)
        path = self.frame_path(video, frame_index)
        image = self.pipeline.read(path)
        self._check_size(image['img'].shape, video, frame_index, path)
        return self.pipeline.train_frame(image, instances)

    def _check_size(self, shape: tuple[int, ...], video: Video, index: int, path: str) -> None:
        height, width = shape[:2]
        if (height, width) != (video.height, video.width):
            raise InputError(
                f'{path}: frame {index} of video {video.id} must be {video.width}x{video.height} '
                f'as {self.ann_file} says, but it is {width}x{height}'
                f'{turned_hint(path, (video.width, video.height))}'
            )

    def frame_path(self, video: Video, index: int) -> str:
        """Returns the path of a frame's image file."""
        return os.path.join(self.img_prefix, video.file_names[index])

    def load_frame(self, video: Video, index: int) -> Frame:
        """Reads a frame and prepares it for the network.

        Raises:
            InputError: the file is absent, is not an image, or does not have the video's size.
        """
        path = self.frame_path(video, index)
        frame = self.pipeline.from_file(path)
        self._check_size(frame.meta['ori_shape'], video, index, path)
        return frame

    def read_ground_truth(self) -> GroundTruth:
        """Reads what submissions are scored against.

        Raises:
            InputError: the file has no annotations.
        """
        return parse_ground_truth(self.read_content(), self.ann_file)

    def evaluate(self, results: Sequence[dict], metric: str = 'segm') -> dict[str, float]:
        """Returns the scores of a submission's entries as ``segm_AP`` and so on; mmdet's interface.

        Raises:
            InputError: the metric is another one, an entry cannot be scored, or the file has no
                annotations.
        """
        if metric != 'segm':
            raise InputError(f"evaluation.metric: must be 'segm', but got {metric!r}")
        evaluation = evaluate(self.read_ground_truth(), results)
        return {f'segm_{name}': value for name, value in evaluation.stats.items()}
