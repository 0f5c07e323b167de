"""Results of a running test, kept on disk so that an interruption loses nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import PathLock, check_writable, writing_faults
from tevit_vis.utils.json_files import json_text, write_json


class ResultsJournal:
    """Stores the results of finished videos in ``<results>.partial/``, beside the results file.

    Each process of each run writes a file of its own, one line per finished video.

    Args:
        out: path of the results file, which ``finish`` writes.
        identity: values that must be equal for a run to be resumed, such as hashes of its inputs.
    """

    def __init__(self, out: str, identity: dict[str, str]) -> None:
        self.out = Path(out)
        self.folder = Path(f'{out}.partial')
        self.identity = identity
        self.lock = PathLock(self.folder)

    def begin(self, resume: bool) -> dict[int, list[dict]]:
        """Prepares the folder and keeps other runs out of it.

        Args:
            resume: continue an interrupted run.

        Returns:
            {video id: its entries} of the finished videos.

        Raises:
            InputError: the folder cannot be written, or holds another run's videos.
        """
        check_writable(self.out)
        self._lock_out_others()
        try:
            return self._start(resume)
        except BaseException:
            self.release()
            raise

    def _start(self, resume: bool) -> dict[int, list[dict]]:
        """Stores the run's identity and returns the finished videos; see ``begin``."""
        finished = self.read_finished()
        if finished and not resume:
            raise InputError(
                f'{self.folder}: holds {len(finished)} finished videos of an interrupted '
                'run: add --resume to continue it, or remove the folder to start anew'
            )
        if finished:
            self._check_identity()
        write_json(self.identity, self.folder / 'run.json')
        return finished

    def _lock_out_others(self) -> None:
        """Locks the results against other runs; the system releases the lock with the process.

        Raises:
            InputError: another run holds the lock.
        """
        with writing_faults(self.folder):
            self.folder.mkdir(exist_ok=True)
            is_ours = self.lock.acquire()
        if not is_ours:
            raise InputError(
                f'{self.out}: must be written by one run at a time, but another run is writing '
                'it: give this run another --out'
            )

    def release(self) -> None:
        """Let other runs write to the same results."""
        self.lock.release()

    def _check_identity(self) -> None:
        """Checks that the interrupted run had the same identity."""
        try:
            saved = json.loads((self.folder / 'run.json').read_text(encoding='utf-8'))
            saved_value = saved.get
        except (OSError, ValueError, AttributeError):
            raise InputError(
                f'{self.folder}: must say in run.json which run its videos are of, but does not: '
                'remove the folder to start anew'
            ) from None
        changed = sorted(key for key in self.identity if saved_value(key) != self.identity[key])
        if changed:
            raise InputError(
                f'{self.folder}: --resume must find the same {" and ".join(changed)} as the '
                'interrupted run had, but it changed: remove the folder to start anew'
            )

    def read_finished(self) -> dict[int, list[dict]]:
        """Returns {video id: its entries} of the finished videos.

        A line that is incomplete, since a process was killed or a disk was lost, is skipped.
        """
        videos = {}
        for path in sorted(self.folder.glob('*.jsonl')):
            for line in path.read_bytes().split(b'\n'):
                try:
                    video = json.loads(line)
                    videos[video['video_id']] = video['entries']
                except (ValueError, LookupError, TypeError):
                    continue
        return videos

    def add(self, writer: str, video_id: int, entries: list[dict]) -> None:
        """Stores a finished video.

        Args:
            writer: name of the file that this process of this run writes.
        """
        line = json_text({'video_id': video_id, 'entries': entries}, self.out) + '\n'
        path = self.folder / f'{writer}.jsonl'
        kept = 'finished videos are kept: go on with --resume'
        with writing_faults(path, kept), open(path, 'a', encoding='utf-8') as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Removes the files of an interrupted run, and the folder or the link to it."""
        for path in [*self.folder.glob('*.jsonl'), self.folder / 'run.json']:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder holds other files, or is not there
            self.folder.unlink() if self.folder.is_symlink() else self.folder.rmdir()

    def finish(self, video_ids: Iterable[int]) -> int:
        """Write the results file, its videos in the given order, and remove the folder.

        Returns:
            Number of entries.
        """
        finished = self.read_finished()
        entries = [entry for video_id in video_ids for entry in finished[video_id]]
        write_json(entries, self.out)
        self.discard()
        self.release()
        return len(entries)
