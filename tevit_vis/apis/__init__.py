"""What users call."""

from .inference import inference_video, init_model
from .test import test_videos

__all__ = ['inference_video', 'init_model', 'test_videos']
