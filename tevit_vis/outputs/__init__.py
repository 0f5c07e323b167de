"""From a model that finds instances to the files that users ask for."""

from .files import Outputs, PredictionSummary
from .predict_all import check_outputs, file_stems, predict_all
from .selection import Selection
from .writing import VideoModel, write_instances, write_video

__all__ = [
    'Outputs',
    'PredictionSummary',
    'Selection',
    'VideoModel',
    'check_outputs',
    'file_stems',
    'predict_all',
    'write_instances',
    'write_video',
]
