"""What a detector predicts in a clip; arrays are tensors of torch, or numpy's where it is exported.

Letters: N instances, T frames, K classes, C channels, H and W pixels, h and w cells of a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .checks import check_shape

if TYPE_CHECKING:
    import torch


class ClipMasks(Protocol):
    """Small masks of a clip that become full-size one frame at a time (see `masks.py`)."""

    @property
    def logits(self) -> torch.Tensor:
        """The mask logits [N, T, h, w]."""

    @property
    def num_instances(self) -> int:
        """The number of instances, N."""

    @property
    def num_frames(self) -> int:
        """The number of frames, T."""

    @property
    def size(self) -> tuple[int, int]:
        """The (H, W) of the original frames."""

    @property
    def cells(self) -> tuple[float, float] | None:
        """The (y, x) cells of ``maps`` that the frame covers; None if it covers all of them."""

    def frame(self, index: int) -> torch.Tensor:
        """Returns the binary masks [N, H, W] (bool) of one frame."""

    def maps(self) -> torch.Tensor:
        """Returns logits [N, T, h, w], positive inside a mask, on maps that windows can add up."""


@dataclass(frozen=True)
class ClipPrediction:
    """The instances that a detector predicts in one clip.

    Args:
        queries: [N] int64, the query of each instance; one query may have several labels.
        labels: [N] int64 in 0..K-1.
        scores: [N] float in 0..1.
        class_scores: [N, K] float, the whole class vector of each instance's query.
        boxes: [N, T, 4] float, x1 y1 x2 y2 in pixels of the original frames.
        masks: the N instances in T frames.
        embeddings: [N, C] float, or [N, T, C] if each frame has its own: features of the
            instances, for trackers that compare them.

    Raises:
        ValueError: a field whose shape does not fit the others.
    """

    queries: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor
    class_scores: torch.Tensor
    boxes: torch.Tensor
    masks: ClipMasks
    embeddings: torch.Tensor | None = None

    def __post_init__(self) -> None:
        count, frames = self.masks.num_instances, self.masks.num_frames
        expected = {
            'queries': (count,),
            'labels': (count,),
            'scores': (count,),
            'class_scores': (count, self.class_scores.shape[-1]),
            'boxes': (count, frames, 4),
        }
        for name, shape in expected.items():
            check_shape('ClipPrediction', name, tuple(getattr(self, name).shape), shape)
        if self.embeddings is not None:
            shape = tuple(self.embeddings.shape)
            per_frame = (frames,) if len(shape) == 3 else ()
            check_shape('ClipPrediction', 'embeddings', shape, (count, *per_frame, *shape[-1:]))
