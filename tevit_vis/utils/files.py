"""Output files: where they may be written, and how they appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from tevit_vis.utils.errors import InputError

MIN_ABANDONED_AGE = 60.0  # seconds; the process that made a younger file may be about to lock it
MAX_STEM_BYTES = 200  # of the target's name in that of an unfinished file; 255 are allowed in all


def check_writable(path: str | os.PathLike, not_over: Sequence[str | os.PathLike] = ()) -> None:
    """Makes the folder of an output file and checks that the file can be written there.

    Args:
        path: the output file. If it exists, it must be a regular file, no folder or device.
        not_over: inputs that it must not replace: files, or folders with all files in them.

    Raises:
        InputError: the file cannot be written, or would replace an input.

    Example:
        >>> check_writable('results.json', not_over=['results.json'])
        Traceback (most recent call last):
        tevit_vis.utils.errors.InputError: results.json: output must be another file than the input
    """
    path = os.fspath(path)
    if not path or '\0' in path:
        raise InputError(f'output must have a name without NUL, but it is {path!r}')
    real_path = os.path.realpath(path)
    for protected in map(os.path.realpath, not_over):
        if protected == real_path:
            raise InputError(f'{path}: output must be another file than the input')
        is_inside = os.path.isdir(protected) and real_path.startswith(f'{protected}{os.sep}')
        if is_inside and os.path.lexists(path):
            raise InputError(
                f'{path}: output must not replace a file of the input folder {protected}'
            )
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, 'it is a folder')
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(errno.EINVAL, 'it is a device or a pipe, which would be replaced')
        if len(os.fsencode(os.path.basename(path))) > os.pathconf(folder, 'PC_NAME_MAX'):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f'{path}: output must be writable, but: {error.strerror}') from None


class PathLock:
    """A lock that keeps other processes off a file or folder while this one works on it.

    The system releases it when the process ends, even if it is killed. On a file system without
    locks, every process gets it.

    Args:
        path: an existing file or folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = PathLock(folder), PathLock(folder)
        ...     first.acquire(), second.acquire()
        (True, False)
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = path
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        """Tries to take the lock; returns whether this process has it now."""
        self.release()
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError:  # the file system has no locks
            self.release()
        return True

    def release(self) -> None:
        """Releases the lock, if this process has it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class UnfinishedFile:
    """A file that is written beside its target as ``<path>.<token>.unfinished``, then renamed.

    If the process is killed or the disk is full, the target stays as it was. The token is random,
    so that no planted link is followed and no other process writes to the file. A file that a
    killed process left is removed by the next process that writes ``path`` a minute later.

    Args:
        path: the target.
        suffix: end of the unfinished file's name, for writers that look at it.
        alone: whether to refuse while another process writes the same target.

    Raises:
        InputError: the file cannot be made, or another process writes the same target.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = UnfinishedFile(f'{folder}/a.txt')
        ...     _ = open(file.path, 'w').write('whole')
        ...     file.publish()
        ...     os.listdir(folder)
        ['a.txt']
    """

    def __init__(self, path: str | os.PathLike, suffix: str = '', alone: bool = False) -> None:
        self.target = os.fspath(path)
        folder, name = os.path.split(self.target)
        stem = os.fsencode(name)[:MAX_STEM_BYTES].decode('utf-8', 'ignore')
        stem = os.path.join(folder, stem)
        self.path = f'{stem}.{secrets.token_hex(4)}.unfinished{suffix}'
        with writing_faults(self.target):
            create = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(self.path, create, 0o666))
            self.lock = PathLock(self.path)
            while not self.lock.acquire():  # another process checks whether it is abandoned
                time.sleep(0.01)
        for other in glob.glob(f'{glob.escape(stem)}.????????.unfinished{glob.escape(suffix)}'):
            if other != self.path and not _remove_if_abandoned(other) and alone:
                self.discard()
                raise InputError(
                    f'{self.target}: must be written by one process at a time, but another one '
                    'is at it: give this one another name'
                )

    def publish(self) -> None:
        """Renames the file to its target, after its content has reached the disk.

        Raises:
            InputError: the target cannot be written.
        """
        try:
            with writing_faults(self.target):
                with open(self.path, 'rb') as file:
                    os.fsync(file.fileno())
                os.replace(self.path, self.target)
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes the file, unless it has been published, and releases its lock."""
        if os.path.lexists(self.path):
            os.remove(self.path)
        self.lock.release()


def _remove_if_abandoned(path: str) -> bool:
    """Removes an unfinished file that no process writes; returns whether none does.

    A young file stays, since the process that made it may be about to lock it.
    """
    lock = PathLock(path)
    try:
        if os.path.islink(path) or not lock.acquire():
            return False
        # Where there are no locks, nobody can tell whether it is abandoned.
        if lock.descriptor is not None and time.time() - os.stat(path).st_mtime > MIN_ABANDONED_AGE:
            os.remove(path)
    except FileNotFoundError:  # it was published meanwhile
        pass
    finally:
        lock.release()
    return True


@contextmanager
def writing_faults(
    path: str | os.PathLike, kept: str = 'what was there before is untouched'
) -> Iterator[None]:
    """Turns the error of a full disk or a missing permission into an ``InputError``.

    Args:
        path: path of the file, for the error.
        kept: words for the error that say what the user still has.

    Raises:
        InputError: an OSError was raised, or was the cause of another error, as in torch.save.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None:
            raise
        reason = cause.strerror or str(cause)
        raise InputError(f'{os.fspath(path)}: cannot be written: {reason}; {kept}') from error


def write_atomically(path: str | os.PathLike, write: Callable[[str], object]) -> None:
    """Writes a file beside ``path``, then renames it to ``path``.

    If the process is killed or the disk is full, the file that was there before stays.

    Args:
        path: file to write.
        write: function that fills the empty file whose path it is given.

    Raises:
        InputError: the file cannot be written; nothing half-written stays.
    """
    unfinished = UnfinishedFile(path)
    try:
        with writing_faults(unfinished.target):
            write(unfinished.path)
        unfinished.publish()
    finally:
        unfinished.discard()


def write_lines(path: str | os.PathLike, lines: Iterable[str]) -> None:
    """Writes a text file, a line for each text; it appears when it is complete.

    Raises:
        InputError: the file cannot be written.
    """

    def write(unfinished: str) -> None:
        with open(unfinished, 'w', encoding='utf-8') as file:
            file.writelines(f'{line}\n' for line in lines)

    write_atomically(path, write)


@contextmanager
def unfinished_folder(target: str | os.PathLike) -> Iterator[str]:
    """Gives a new folder beside ``target`` to fill, which takes its place when it is complete.

    A folder that is there is replaced; whether it may be is for the caller to check. After an error
    the new folder is removed, and the old one stays.

    Args:
        target: path of the folder.

    Raises:
        InputError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with unfinished_folder(f'{parent}/pages') as folder:
        ...         _ = open(f'{folder}/index.html', 'w').write('page')
        ...     os.listdir(f'{parent}/pages')
        ['index.html']
    """
    path = os.path.realpath(target)  # a link keeps pointing where it does
    unfinished = f'{path}.{secrets.token_hex(4)}.unfinished'
    old = f'{unfinished}.old'
    try:
        with writing_faults(target):
            os.makedirs(unfinished)
            yield unfinished
            if os.path.isdir(path):
                os.rename(path, old)
            os.rename(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def link_atomically(path: str, target: str) -> None:
    """Makes ``path`` a symbolic link to ``target`` in one step.

    Args:
        path: path of the link; a file that is there is replaced.
        target: path relative to the folder of the link.

    Raises:
        InputError: the link cannot be made.
    """
    unfinished = f'{path}.{secrets.token_hex(4)}.unfinished'
    with writing_faults(path):
        os.symlink(target, unfinished)
        os.replace(unfinished, path)
