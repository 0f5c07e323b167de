"""The functions and classes that users call."""

import tevit_vis.utils.training_stack  # noqa: F401  (says what is missing)
from tevit_vis import datasets, layers, models  # they register the types that configs name
from tevit_vis.outputs import Outputs, Selection

from . import hooks, runner  # and so do they
from .build import init_model
from .inference import inference_video, stream_video
from .options import TrainOptions
from .predict import TorchVideoModel, predict_to_files
from .schedule import scale_schedule
from .testing import score_submission, write_submission
from .training import train

__all__ = [
    'Outputs',
    'Selection',
    'TorchVideoModel',
    'TrainOptions',
    'hooks',
    'inference_video',
    'init_model',
    'predict_to_files',
    'runner',
    'scale_schedule',
    'score_submission',
    'stream_video',
    'train',
    'write_submission',
]
