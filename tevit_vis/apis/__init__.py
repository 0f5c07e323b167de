"""What users call."""

from . import hooks, runner  # they register what configs name
from .inference import inference_video, init_model
from .test import score_submission, write_submission
from .train import TrainOptions, scale_schedule, train

__all__ = [
    'TrainOptions',
    'hooks',
    'inference_video',
    'init_model',
    'runner',
    'scale_schedule',
    'score_submission',
    'train',
    'write_submission',
]
