"""Resizing as the DETR family does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmdet.datasets import PIPELINES
from mmdet.datasets.pipelines import Resize

from tevit_vis.utils.sizes import short_side_size


@PIPELINES.register_module()
class ResizeShortSide(Resize):
    """Resizes a frame to a given length of its short side; extends mmdet's ``Resize``.

    When it shrinks, PIL's bilinear filter averages over all pixels; cv2's looks at four only.

    Args:
        short_sides: lengths in pixels, of which one is drawn.
        max_long_side: largest length of the long side; where it would be longer, the short side
            becomes shorter than drawn. None for no limit.
        backend: ``pillow`` or ``cv2``.
        round_long_side: whether the long side is rounded, as detectron2 does; otherwise fractions
            are cut off, as DETR does.
    """

    def __init__(
        self,
        short_sides: Sequence[int],
        max_long_side: int | None = None,
        backend: str = 'pillow',
        round_long_side: bool = False,
    ) -> None:
        sizes = [*short_sides, *([max_long_side] if max_long_side is not None else [])]
        if not short_sides or any(isinstance(s, bool) or s != int(s) or s < 1 for s in sizes):
            raise ValueError(
                'ResizeShortSide: short_sides and max_long_side must be pixels >= 1, '
                f'but got {list(short_sides)} and {max_long_side}'
            )
        # mmdet requires a scale; _random_scale replaces it by that of each image.
        super().__init__(img_scale=(1, 1), keep_ratio=False, backend=backend)
        self.short_sides = list(short_sides)
        self.max_long_side = max_long_side
        self.round_long_side = round_long_side

    def __call__(self, results: dict) -> dict:
        """Resizes a frame, even if an earlier transform has resized it already."""
        for key in ('scale', 'scale_factor'):
            results.pop(key, None)
        return super().__call__(results)

    def _random_scale(self, results: dict) -> None:
        height, width = results['img'].shape[:2]
        short_side = self.short_sides[np.random.randint(len(self.short_sides))]
        results['scale'] = short_side_size(
            width, height, short_side, self.max_long_side, self.round_long_side
        )
        results['scale_idx'] = None
