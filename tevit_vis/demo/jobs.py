"""The videos of a demo page: one after the other, each in a folder of its own."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

from tevit_vis.outputs import Outputs, Selection
from tevit_vis.outputs.writing import VideoModel, write_video
from tevit_vis.utils.errors import InputError
from tevit_vis.video import open_source
from tevit_vis.video.source import FirstFrames
from tevit_vis.visualization.draw import DrawStyle

DRAWN, LINES = 'found.mp4', 'found.jsonl'
MOST_WAITING = 5  # videos in the queue
LABELLED_SIDE = 640  # pixels; smaller frames are enlarged towards it, so that labels can be read
LOGGER = logging.getLogger('tevit_vis')


@dataclass(frozen=True)
class DemoOptions:
    """What a demo page allows.

    Args:
        max_bytes: of a video.
        max_frames: of a video that are looked at.
        max_kept: finished videos that stay on the disk; the oldest go first.
    """

    max_bytes: int = 200_000_000
    max_frames: int = 600
    max_kept: int = 10


@dataclass
class DemoJob:
    """A video that somebody dropped on the page.

    Args:
        id: by which the page asks for it; it cannot be guessed.
        name: of the file, as the visitor has it.
        folder: of its files.
        score_thr: least score of what is drawn.
        state: ``waiting``, ``running``, ``done`` or ``failed``.
        num_done: frames that were processed.
        num_frames: of the video; None if it does not say.
        zoom: factor that makes labels of small frames readable.
        message: what was found, or why it failed.
    """

    id: str
    name: str
    folder: Path
    score_thr: float
    state: str = 'waiting'
    num_done: int = 0
    num_frames: int | None = None
    zoom: int = 1
    message: str = ''

    @property
    def upload(self) -> Path:
        """The file as it came."""
        return self.folder / 'upload'

    def to_json(self) -> dict[str, Any]:
        """Returns what the page shows of it."""
        shown = ('id', 'name', 'state', 'num_done', 'num_frames', 'message')
        return {key: getattr(self, key) for key in shown}


@dataclass
class DemoJobs:
    """Runs the model on videos, one at a time, in a thread of its own.

    Args:
        model: finds the instances.
        folder: where the folders of videos are made.
        options: what is allowed.
    """

    model: VideoModel
    folder: Path
    options: DemoOptions = field(default_factory=DemoOptions)

    def __post_init__(self) -> None:
        self.jobs: OrderedDict[str, DemoJob] = OrderedDict()
        self.queue: Queue[DemoJob] = Queue(MOST_WAITING)
        self.lock = threading.Lock()
        threading.Thread(target=self._work, daemon=True).start()

    def new(self, name: str, score_thr: float) -> DemoJob:
        """Returns a job for a video that is to be received."""
        identity = secrets.token_urlsafe(12)
        job = DemoJob(identity, name, self.folder / identity, score_thr)
        job.folder.mkdir(parents=True)
        return job

    def submit(self, job: DemoJob) -> None:
        """Queues a video that was received.

        Raises:
            InputError: it is none, or too many videos are waiting.
        """
        source = FirstFrames(open_source(job.upload), self.options.max_frames)
        job.num_frames = source.num_frames
        height, width = next(iter(source)).shape[:2]
        job.zoom = max(1, LABELLED_SIDE // max(height, width))
        if self.queue.full():
            raise InputError(f'{MOST_WAITING} videos are waiting already: try again later')
        with self.lock:
            self.jobs[job.id] = job
            self.queue.put(job)
            ended = [j for j in self.jobs.values() if j.state in ('done', 'failed')]
            for old in ended[: -self.options.max_kept or None]:
                self.discard(self.jobs.pop(old.id))

    def find(self, identity: str) -> DemoJob | None:
        """Returns a job by its id."""
        with self.lock:
            return self.jobs.get(identity)

    def discard(self, job: DemoJob) -> None:
        """Removes the files of a job."""
        shutil.rmtree(job.folder, ignore_errors=True)

    def _work(self) -> None:
        while True:
            self._run(self.queue.get())

    def _run(self, job: DemoJob) -> None:
        job.state = 'running'
        outputs = Outputs(
            video=str(job.folder / DRAWN),
            jsonl=str(job.folder / LINES),
            score_thr=job.score_thr,
            drawing=DrawStyle(zoom=job.zoom),
        )

        def count() -> None:
            job.num_done += 1

        try:
            source = FirstFrames(open_source(job.upload), self.options.max_frames)
            selection = Selection(max_overlap=0.7)
            job.message = str(write_video(self.model, source, outputs, selection, count))
            job.state = 'done'
        except InputError as error:
            job.message = str(error).replace(str(job.upload), job.name)
            job.state = 'failed'
        except Exception:
            # A bug: the page says so, the next video gets its turn, the log has the traceback.
            LOGGER.exception('%s: cannot be done', job.name)
            job.message = 'an error that is not yours: the log of tevit-vis demo has it'
            job.state = 'failed'
        finally:
            job.upload.unlink(missing_ok=True)
