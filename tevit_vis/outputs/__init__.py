"""From a model that finds instances to the files that users ask for."""

from .files import Outputs, PredictionSummary
from .selection import Selection
from .writing import VideoModel, write_instances, write_video

__all__ = [
    'Outputs',
    'PredictionSummary',
    'Selection',
    'VideoModel',
    'write_instances',
    'write_video',
]
