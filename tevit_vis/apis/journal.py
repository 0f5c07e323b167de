"""Results of a running test, kept on disk so that an interruption loses nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import PathLock, check_writable, writing_faults
from tevit_vis.utils.json_files import json_text, write_json


class ResultsJournal:
    """Finished videos beside the results file, in ``<results>.partial/``.

    Each process of each run writes a file of its own, one line per finished video.

    Args:
        out: the results file to come.
        identity: what must be the same for a run to be continued, e.g. hashes of its inputs.
    """

    def __init__(self, out: str, identity: dict[str, str]) -> None:
        self.out = Path(out)
        self.folder = Path(f'{out}.partial')
        self.identity = identity
        self.lock = PathLock(self.folder)

    def begin(self, resume: bool) -> dict[int, list[dict]]:
        """Prepare the folder.

        Args:
            resume: take up finished videos of an interrupted run.

        Returns:
            {video id: its entries} of the finished videos.

        Raises:
            InputError: the place cannot be written, or holds another run's videos.
        """
        check_writable(self.out)
        self._lock_out_others()
        try:
            return self._take_up(resume)
        except BaseException:
            self.release()
            raise

    def _take_up(self, resume: bool) -> dict[int, list[dict]]:
        finished = self.finished()
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
        """Keep other runs from writing the same results; the system ends it with the process.

        Raises:
            InputError: one is at it.
        """
        with writing_faults(self.folder):
            self.folder.mkdir(exist_ok=True)
            is_ours = self.lock.take()
        if not is_ours:
            raise InputError(
                f'{self.out}: must be written by one run at a time, but another one is at it: '
                'give this one another --out'
            )

    def release(self) -> None:
        """Let other runs write to the same results."""
        self.lock.release()

    def _check_identity(self) -> None:
        try:
            before = json.loads((self.folder / 'run.json').read_text(encoding='utf-8'))
            of_before = before.get
        except (OSError, ValueError, AttributeError):
            raise InputError(
                f'{self.folder}: must say in run.json which run its videos are of, but does not: '
                'remove the folder to start anew'
            ) from None
        changed = sorted(key for key in self.identity if of_before(key) != self.identity[key])
        if changed:
            raise InputError(
                f'{self.folder}: --resume must find the same {" and ".join(changed)} as the '
                'interrupted run had, but it changed: remove the folder to start anew'
            )

    def finished(self) -> dict[int, list[dict]]:
        """Returns {video id: its entries}; a line that a killed process or a lost disk left torn is
        no video.
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
        """Record a finished video.

        Args:
            writer: name of the file of this process and run.
        """
        line = json_text({'video_id': video_id, 'entries': entries}, self.out) + '\n'
        path = self.folder / f'{writer}.jsonl'
        kept = 'finished videos are kept: go on with --resume'
        with writing_faults(path, kept), open(path, 'a', encoding='utf-8') as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Forget an interrupted run: remove its files, and the folder or the link to one."""
        for path in [*self.folder.glob('*.jsonl'), self.folder / 'run.json']:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody's own file lies there, or there is none
            self.folder.unlink() if self.folder.is_symlink() else self.folder.rmdir()

    def finish(self, video_ids: Iterable[int]) -> int:
        """Write the results file, its videos in the given order, and remove the folder.

        Returns:
            Number of entries.
        """
        finished = self.finished()
        entries = [entry for video_id in video_ids for entry in finished[video_id]]
        write_json(entries, self.out)
        self.discard()
        self.release()
        return len(entries)


def file_digest(path: str) -> str:
    """SHA-256 of a file, as hexadecimal text."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
