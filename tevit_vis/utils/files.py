"""Output files: where they may be written, and how they appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tevit_vis.utils.errors import InputError

YOUNG = 60.0  # seconds; a file of that age may be about to be locked by who made it
LONGEST_STEM = 200  # bytes of a name that an unfinished file takes over; names have 255 at most


def check_writable(path: str | os.PathLike, not_over: Sequence[str | os.PathLike] = ()) -> None:
    """Make the folder of a file to come, and check that the file can be written there.

    Args:
        path: the file. What stands there must be a regular file, not a folder or a device.
        not_over: inputs that it must not replace. Of a folder, no file that is there now.

    Raises:
        InputError: it cannot.

    Example:
        >>> check_writable('results.json', not_over=['results.json'])
        Traceback (most recent call last):
        tevit_vis.utils.errors.InputError: results.json: output must be another file than the input
    """
    path = os.fspath(path)
    if not path or '\0' in path:
        raise InputError(f'output must have a name without NUL, but it is {path!r}')
    real = os.path.realpath(path)
    for given in map(os.path.realpath, not_over):
        if given == real:
            raise InputError(f'{path}: output must be another file than the input')
        if os.path.isdir(given) and os.path.lexists(path) and real.startswith(f'{given}{os.sep}'):
            raise InputError(f'{path}: output must not replace a file of the input folder {given}')
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
    """Keeps other processes from a file or folder while this one works on it.

    The system lets it go when the process ends, however it ends. On a file system that knows no
    locks, everybody gets it.

    Args:
        path: file or folder, which is there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = PathLock(folder), PathLock(folder)
        ...     first.take(), second.take()
        (True, False)
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self) -> bool:
        """Returns whether this process has the path for itself now."""
        self.release()
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError:  # the file system knows no locks
            self.release()
        return True

    def release(self) -> None:
        """Let others take it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class UnfinishedFile:
    """A file that is made beside the one that it becomes: ``<path>.<token>.unfinished``.

    A killed process or a full disk leaves what was there before. Its name is new, so that no link
    planted there is followed and no other process writes to it; what a killed process left of the
    same ``path`` is removed by the next that comes a minute later.

    Args:
        path: file that it becomes.
        suffix: end of its name, where what writes it looks at that.
        alone: refuse to begin while another process makes the same file.

    Raises:
        InputError: it cannot be made, or another process is at it.

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
        stem = os.fsencode(name)[:LONGEST_STEM].decode('utf-8', 'ignore')
        stem = os.path.join(folder, stem)
        self.path = f'{stem}.{secrets.token_hex(4)}.unfinished{suffix}'
        with writing_faults(self.target):
            create = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(self.path, create, 0o666))
            self.lock = PathLock(self.path)
            while not self.lock.take():  # another process looks whether it is abandoned
                time.sleep(0.01)
        for other in glob.glob(f'{glob.escape(stem)}.????????.unfinished{glob.escape(suffix)}'):
            if other != self.path and not _remove_if_abandoned(other) and alone:
                self.discard()
                raise InputError(
                    f'{self.target}: must be written by one process at a time, but another one '
                    'is at it: give this one another name'
                )

    def publish(self) -> None:
        """Let it take the place of the file that it becomes, when it is on the disk.

        Raises:
            InputError: it cannot.
        """
        try:
            with writing_faults(self.target):
                with open(self.path, 'rb') as file:
                    os.fsync(file.fileno())
                os.replace(self.path, self.target)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove it, unless it has been published."""
        if os.path.lexists(self.path):
            os.remove(self.path)
        self.lock.release()


def _remove_if_abandoned(path: str) -> bool:
    """Remove an unfinished file that no process works on; returns whether none does.

    A young one may be about to be locked by the process that made it.
    """
    lock = PathLock(path)
    try:
        if os.path.islink(path) or not lock.take():
            return False
        # Without a lock of its own, nobody can tell whether it is abandoned.
        if lock.descriptor is not None and time.time() - os.stat(path).st_mtime > YOUNG:
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
    """Turn what a full disk or a missing right raises into an ``InputError``.

    Args:
        path: of the file, named in the error.
        kept: what the user still has, in words.

    Raises:
        InputError: an OSError was raised, by itself or below another error, as torch.save does.
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


def write_beside(path: str | os.PathLike, write: Callable[[str], object]) -> None:
    """Let ``write`` make a file beside ``path``, then rename it to that.

    A killed process or a full disk leaves what was there before.

    Args:
        path: file to write.
        write: is given the path of an empty file, and fills it.

    Raises:
        InputError: it cannot be written; nothing half-written stays.
    """
    unfinished = UnfinishedFile(path)
    try:
        with writing_faults(unfinished.target):
            write(unfinished.path)
        unfinished.publish()
    finally:
        unfinished.discard()


def link_beside(path: str, target: str) -> None:
    """Let ``path`` be a link to ``target``, in one step.

    Args:
        path: of the link; what is there is replaced.
        target: relative to the folder of the link.

    Raises:
        InputError: it cannot be made.
    """
    unfinished = f'{path}.{secrets.token_hex(4)}.unfinished'
    with writing_faults(path):
        os.symlink(target, unfinished)
        os.replace(unfinished, path)
