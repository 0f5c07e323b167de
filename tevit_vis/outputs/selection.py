"""Which of the instances that were found are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tevit_vis.structures import FrameInstances, VideoInstances
from tevit_vis.tracking import OverlapFilter, drop_overlaps
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction, did_you_mean

# IoU above which the lower-scored of two tracks is not drawn, as it shows the same object.
DRAWN_OVERLAP = 0.7
FramesWithTracks = Iterator[tuple[np.ndarray, FrameInstances]]


@dataclass(frozen=True)
class Selection:
    """Selects instances by class and overlap.

    Args:
        classes: names of the classes to keep; None keeps all.
        max_overlap: IoU above which the track with the lower score is dropped; None keeps all.

    Raises:
        InputError: ``max_overlap`` is not from 0 to 1.
    """

    classes: Sequence[str] | None = None
    max_overlap: float | None = None

    def __post_init__(self) -> None:
        if self.max_overlap is not None:
            check_fraction('--max-overlap', self.max_overlap)

    def check(self, class_names: Sequence[str]) -> None:
        """Checks that the model has the classes.

        Raises:
            InputError: the model lacks one of them.
        """
        for name in self.classes or ():
            if name not in class_names:
                hint = did_you_mean(name, class_names, most=1, cutoff=0.5)
                raise InputError(
                    f'--classes: must be of {", ".join(class_names)}, but got {name!r}{hint}'
                )

    def select_video(self, instances: VideoInstances, class_names: Sequence[str]) -> VideoInstances:
        """Returns the selected instances of a whole video."""
        if self.classes is not None:
            kept_labels = [class_names.index(name) for name in self.classes]
            instances = instances.select(np.flatnonzero(np.isin(instances.labels, kept_labels)))
        if self.max_overlap is not None:
            instances = drop_overlaps(instances, self.max_overlap)
        return instances

    def select_frames(
        self, frames: FramesWithTracks, class_names: Sequence[str]
    ) -> FramesWithTracks:
        """Yields the frames with their selected tracks, one by one."""
        overlaps = OverlapFilter(self.max_overlap) if self.max_overlap is not None else None
        kept_labels = [class_names.index(name) for name in self.classes or class_names]
        for image, instances in frames:
            if self.classes is not None:
                labels = np.zeros(0, int)
                if len(instances.tracks):
                    labels = instances.class_scores.argmax(1)
                instances = instances.select(np.flatnonzero(np.isin(labels, kept_labels)).tolist())
            yield image, overlaps(instances) if overlaps else instances
