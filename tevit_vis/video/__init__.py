"""Reading and writing of videos: sources of frames, and a writer of video files."""

from .formats import VideoEncoding
from .opening import expand_inputs, open_source
from .source import FrameSource, TimedFrame, VideoInput, VideoLook
from .streams import public_url
from .writer import VideoWriter

__all__ = [
    'FrameSource',
    'TimedFrame',
    'VideoInput',
    'VideoLook',
    'VideoEncoding',
    'VideoWriter',
    'expand_inputs',
    'open_source',
    'public_url',
]
