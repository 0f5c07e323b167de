"""What users call."""

from .inference import inference_video, init_model
from .test import write_submission

__all__ = ['inference_video', 'init_model', 'write_submission']
