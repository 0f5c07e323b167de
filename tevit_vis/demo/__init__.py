"""A local page on which a video is dropped, watched and downloaded: ``tevit-vis demo``."""

from .jobs import DemoJob, DemoJobs, DemoOptions
from .server import DemoServer

__all__ = ['DemoJob', 'DemoJobs', 'DemoOptions', 'DemoServer']
