"""What users call."""

from .inference import inference_video, init_model
from .test import score_submission, write_submission

__all__ = ['inference_video', 'init_model', 'score_submission', 'write_submission']
