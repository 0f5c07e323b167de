"""What users call."""

from . import hooks, runner  # they register what configs name
from .build import init_model
from .inference import inference_video, stream_video
from .schedule import scale_schedule
from .test import score_submission, write_submission
from .train import TrainOptions, train

__all__ = [
    'TrainOptions',
    'hooks',
    'inference_video',
    'init_model',
    'runner',
    'scale_schedule',
    'score_submission',
    'stream_video',
    'train',
    'write_submission',
]
