"""A model of torch behind the interface by which videos are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tevit_vis.inference_config import InferenceConfig
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.outputs import Outputs, PredictionSummary, Selection, write_video
from tevit_vis.outputs.selection import FramesWithTracks
from tevit_vis.structures import VideoInstances
from tevit_vis.tracking import set_windows
from tevit_vis.video import FrameSource

from .inference import inference_video, stream_video


@dataclass(frozen=True)
class TorchVideoModel:
    """A detector as ``outputs.VideoModel``.

    Args:
        detector: of ``init_model``.
    """

    detector: ClipDetector

    @property
    def CLASSES(self) -> Sequence[str]:  # noqa: N802  (mmdet's name for it)
        """The name of each label."""
        return self.detector.CLASSES

    @property
    def inference_config(self) -> InferenceConfig:
        """The checked ``test_cfg``."""
        return self.detector.inference_config

    def inference_video(
        self, video: FrameSource, on_frame: Callable[[], object] = lambda: None
    ) -> VideoInstances:
        """Returns the instances of a video."""
        return inference_video(self.detector, video, on_frame)

    def stream_video(self, video: FrameSource) -> FramesWithTracks:
        """Yields the frames of a video and their tracks."""
        return stream_video(self.detector, video)

    def change_windows(self, window: int | None = None, stride: int | None = None) -> None:
        """Changes the windows in ``test_cfg``."""
        set_windows(self.detector.test_cfg, window, stride)


def predict_to_files(
    model: ClipDetector,
    source: FrameSource,
    outputs: Outputs,
    selection: Selection | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> PredictionSummary:
    """Finds the instances of a video and writes them to files.

    With windows, the files are written while the video runs. Without, the whole video is processed
    first, and the source is read a second time to draw.

    Args:
        model: of ``init_model``.
        source: of ``open_source``.
        outputs: files to write.
        selection: which instances are written, the same for all files.
        on_frame: called for each frame that was processed.

    Returns:
        Counts of frames and tracks. With windows, Ctrl-C ends the video early, and the files keep
        the frames until then.

    Raises:
        InputError: the video cannot be read, or a file cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from tevit_vis.apis import init_model
        >>> from tevit_vis.video import open_source
        >>> model = init_model('synthetic/tevit_tiny', device='cpu')  # its weights are random
        >>> source = open_source(np.zeros((2, 32, 48, 3), np.uint8))  # or open_source('video.mp4')
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outputs = Outputs(json=f'{folder}/video.json', score_thr=0.3)
        ...     predict_to_files(model, source, outputs).num_frames
        2
    """
    return write_video(TorchVideoModel(model), source, outputs, selection, on_frame)
