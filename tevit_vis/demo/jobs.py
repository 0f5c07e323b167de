"""The videos of a demo page: one after the other, each in a folder of its own."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

from tevit_vis.outputs import Outputs, Selection
from tevit_vis.outputs.predict_all import LIVE_STRIDE, LIVE_WINDOW
from tevit_vis.outputs.selection import DRAWN_OVERLAP
from tevit_vis.outputs.writing import VideoModel, write_video
from tevit_vis.utils.errors import InputError
from tevit_vis.video import open_source
from tevit_vis.video.source import FirstFrames
from tevit_vis.video.uploads import check_upload
from tevit_vis.visualization.draw import DrawStyle

DRAWN, LINES = 'found.mp4', 'found.jsonl'
LABELLED_SIDE = 640  # pixels; smaller frames are enlarged towards it, so that labels can be read
POLL_SECONDS = 0.5  # after which the worker looks whether it is to end
LOGGER = logging.getLogger('tevit_vis')


@dataclass(frozen=True)
class DemoOptions:
    """What a demo page allows.

    Args:
        max_bytes: of a video.
        max_frames: of a video that are looked at.
        max_pixels: of a frame.
        max_waiting: videos that are being received or wait; more are refused.
        max_kept: finished videos that stay on the disk; the oldest go first.
    """

    max_bytes: int = 200_000_000
    max_frames: int = 600
    max_pixels: int = 10_000_000
    max_waiting: int = 5
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
        model: finds the instances. Without windows it gets some, so that memory does not grow with
            a video's length and the page can tell how far it is.
        folder: where the folders of videos are made.
        options: what is allowed.
    """

    model: VideoModel
    folder: Path
    options: DemoOptions = field(default_factory=DemoOptions)

    def __post_init__(self) -> None:
        if self.model.inference_config.windows is None:
            self.model.change_windows(LIVE_WINDOW, LIVE_STRIDE)
        self.jobs: OrderedDict[str, DemoJob] = OrderedDict()
        self.queue: Queue[DemoJob] = Queue()
        self.places = threading.BoundedSemaphore(self.options.max_waiting)
        self.lock = threading.Lock()
        self.is_closing = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    @contextmanager
    def receive(self, name: str, score_thr: float) -> Iterator[DemoJob]:
        """Gives a job whose ``upload`` is to be written, and queues it at the end.

        Raises:
            Full: too many videos are being received or wait.
            InputError: the file is no video, or a larger one than is allowed.
        """
        if not self.places.acquire(blocking=False):
            raise Full
        identity = secrets.token_urlsafe(12)
        job = DemoJob(identity, name, self.folder / identity, score_thr)
        try:
            job.folder.mkdir(parents=True)
            yield job
            self._look_at(job)
            with self.lock:
                self.jobs[job.id] = job
                self._forget_oldest()
            self.queue.put(job)
        except BaseException:
            self.places.release()
            shutil.rmtree(job.folder, ignore_errors=True)
            raise

    def find(self, identity: str) -> DemoJob | None:
        """Returns a job by its id."""
        with self.lock:
            return self.jobs.get(identity)

    def close(self) -> None:
        """Ends the thread after the frame that it is at."""
        self.is_closing.set()
        self.thread.join()

    def _look_at(self, job: DemoJob) -> None:
        """Checks the file of a job, and notes its length and size."""
        width, height = check_upload(job.upload, self.options.max_pixels)
        source = FirstFrames(open_source(job.upload), self.options.max_frames)
        job.num_frames = source.num_frames
        job.zoom = max(1, LABELLED_SIDE // max(width, height))

    def _forget_oldest(self) -> None:
        ended = [job for job in self.jobs.values() if job.state in ('done', 'failed')]
        for old in ended[: max(0, len(ended) - self.options.max_kept)]:
            shutil.rmtree(self.jobs.pop(old.id).folder, ignore_errors=True)

    def _work(self) -> None:
        while not self.is_closing.is_set():
            try:
                job = self.queue.get(timeout=POLL_SECONDS)
            except Empty:
                continue
            self.places.release()
            self._run(job)

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
            if self.is_closing.is_set():
                raise InputError('the page was closed')

        try:
            source = FirstFrames(open_source(job.upload), self.options.max_frames)
            selection = Selection(max_overlap=DRAWN_OVERLAP)
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
