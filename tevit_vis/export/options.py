"""How a model is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tevit_vis.utils.errors import InputError

FORMS = ('fp32', 'fp16', 'int8')


@dataclass(frozen=True)
class ExportOptions:
    """How a model is exported.

    Args:
        sizes: (W, H) of the frames of videos; graphs are made for each.
        num_frames: of a clip or window; None makes graphs for any number.
        form: of the weights, one of ``FORMS``: ``fp32``, ``fp16`` or ``int8``.
        calibration: videos or folders of images on whose frames ranges of values are measured, so
            that convolutions of the first graph compute in 8 bits, too; only with ``int8``.

    Raises:
        InputError: a number is not possible.
    """

    sizes: Sequence[tuple[int, int]] = ((640, 360),)
    num_frames: int | None = None
    form: str = 'fp32'
    calibration: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.sizes or any(side < 1 for size in self.sizes for side in size):
            raise InputError(f'--size: must be WIDTHxHEIGHT in pixels, but got {self.sizes}')
        if self.num_frames is not None and self.num_frames < 1:
            raise InputError(f'--frames: must be at least 1, but got {self.num_frames}')
        if self.form not in FORMS:
            raise InputError(f'form: must be {", ".join(FORMS)}, but got {self.form!r}')
        if self.calibration and self.form != 'int8':
            raise InputError(
                f'--calibrate: is for --int8, but the form is {self.form}: ask for int8, or leave '
                'it out'
            )
        if isinstance(self.calibration, str):
            raise InputError(f'calibration: must be a list of videos, but is {self.calibration!r}')
