"""Makes a data set of what a model finds: sure tracks are labels, unsure ones are left open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tevit_vis.apis.inference import inference_video
from tevit_vis.formats import ContentBuilder, ConversionLog
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.outputs import Selection
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction
from tevit_vis.video import open_source

from .cut_frames import cut_frames, frames_on_disk


@dataclass(frozen=True)
class Thresholds:
    """Which tracks become labels.

    Args:
        sure: least score of a track that becomes an annotation.
        unsure: least score of one that becomes a region to be ignored (a crowd); others are
            dropped.

    Raises:
        InputError: they are not from 0 to 1, or in the wrong order.
    """

    sure: float
    unsure: float

    def __post_init__(self) -> None:
        check_fraction('--sure', self.sure)
        check_fraction('--unsure', self.unsure)
        if self.unsure > self.sure:
            raise InputError(
                f'--unsure: must be at most --sure, {self.sure:g}, but is {self.unsure:g}'
            )


@dataclass
class PseudoLabels:
    """Collects videos and the tracks that a model found in them.

    Args:
        class_names: of the model; categories count from 1.
        thresholds: which tracks become labels.
    """

    class_names: Sequence[str]
    thresholds: Thresholds
    log: ConversionLog = field(default_factory=ConversionLog)

    def __post_init__(self) -> None:
        self.builder = ContentBuilder(dict(enumerate(self.class_names, start=1)), self.log)

    def add(self, name: str, files: Sequence[str], instances: VideoInstances) -> tuple[int, int]:
        """Adds a video; returns how many tracks are sure, and how many are unsure.

        Args:
            name: of the video.
            files: names of its T frames.
            instances: that were found in it.
        """
        height, width = instances.size
        video = self.builder.add_video(name, width, height, files)
        counts = [0, 0]
        for n, score in enumerate(instances.scores.tolist()):
            if score < self.thresholds.unsure:
                continue
            is_sure = score >= self.thresholds.sure
            counts[not is_sure] += 1
            masks = {t: m for t, m in enumerate(instances.segmentations[n]) if m is not None}
            label = self.class_names[instances.labels[n]]
            marks = {'iscrowd': int(not is_sure), 'score': round(score, 4)}
            self.builder.add_track(video, label, masks, f'{name}: track {n}', **marks)
        return counts[0], counts[1]

    def content(self) -> Mapping[str, Any]:
        """Returns the data set in YouTube-VIS layout."""
        return self.builder.content()


def label_video(
    model: ClipDetector,
    video: str,
    name: str,
    root: str,
    labels: PseudoLabels,
    selection: Selection,
    on_frame: Callable[[], object] = lambda: None,
) -> tuple[int, int]:
    """Finds the instances of a video and adds them to the labels.

    Args:
        model: of ``init_model``.
        video: file, or folder of images.
        name: of the video.
        root: folder of all frames; those of a video that does not lie there are cut out.
        labels: get the video and its tracks.
        selection: which instances are looked at.
        on_frame: called for each frame.

    Returns:
        How many tracks are sure, and how many are unsure.

    Raises:
        InputError: the video cannot be read, or its frames cannot be written.
    """
    source = open_source(video)
    instances = selection.select_video(inference_video(model, source, on_frame), model.CLASSES)
    files = frames_on_disk(video, root) or cut_frames(open_source(video), root, name)
    if len(files) != instances.num_frames and len(instances):
        raise InputError(
            f'{video}: must have as many images as frames were read, {instances.num_frames}, but '
            f'has {len(files)}'
        )
    return labels.add(name, files, instances)
