"""Iterators with threads: results computed ahead of time, and the newest items of a source."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Condition, Event, Semaphore, Thread
from typing import TypeVar

CLOSE_TIMEOUT = 2.0  # seconds that the thread of a source gets to end
LOGGER = logging.getLogger('tevit_vis')
Item = TypeVar('Item')
Result = TypeVar('Result')


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], num_workers: int, ahead: int
) -> Iterator[Result]:
    """Maps ``function`` over ``items`` in order, by threads that run ahead of the consumer.

    One more thread goes through ``items``, so that a video is decoded while the model works, and
    the first result is yielded as soon as it is ready. Threads suffice for frames, since OpenCV and
    ffmpeg work outside Python's lock, and they need no shared memory, of which containers often
    have little.

    Args:
        num_workers: threads that call ``function``; 0 calls it in the caller's thread.
        ahead: most items in work at a time, including the one that the consumer has.

    Raises:
        Exception: any error of ``function`` or ``items``, when the turn of its item comes.

    Example:
        >>> list(prefetch(lambda x: x * x, range(4), num_workers=2, ahead=2))
        [0, 1, 4, 9]
    """
    if num_workers < 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix='prefetch')
    futures: SimpleQueue = SimpleQueue()  # in order, then None or the source's error
    free_slots, stopped = Semaphore(ahead), Event()

    def submit_items() -> None:
        source = None
        try:
            source = iter(items)
            while free_slots.acquire() and not stopped.is_set():
                futures.put(pool.submit(function, next(source)))
        except StopIteration:
            futures.put(None)
        except BaseException as error:  # noqa: BLE001  (raised below, at its turn)
            futures.put(error)
        finally:
            getattr(source, 'close', lambda: None)()

    # A daemon: a source that never answers again must not keep Python from ending.
    submitter = Thread(target=submit_items, name='prefetch_source', daemon=True)
    submitter.start()
    try:
        while (future := futures.get()) is not None:
            if isinstance(future, BaseException):
                raise future
            yield future.result()
            free_slots.release()  # the consumer is done with a result when it asks for the next
    finally:
        stopped.set()
        free_slots.release()
        pool.shutdown(wait=False, cancel_futures=True)
        submitter.join(CLOSE_TIMEOUT)  # so that files are closed when this function returns


def newest_items(
    items: Iterable[Item], max_waiting: int, on_end: Callable[[int, int], object] = lambda *_: None
) -> Iterator[Item]:
    """Yields the newest items of a live source, which a thread of its own reads without a pause.

    Args:
        items: the source, such as the frames of a camera.
        max_waiting: most items that wait for the consumer; when more come, the oldest are dropped.
        on_end: called at the end with the number of dropped items and the number of items read.

    Raises:
        Exception: any error of the source, after the items that came before it.

    Example:
        >>> list(newest_items(range(3), 3))
        [0, 1, 2]
    """
    waiting: deque[Item] = deque(maxlen=max_waiting)
    changed, ended, errors = Condition(), [], []
    num_read = num_taken = 0

    def read() -> None:
        nonlocal num_read
        try:
            for item in items:
                with changed:
                    waiting.append(item)
                    num_read += 1
                    changed.notify()
                if ended:
                    return
        except BaseException as error:  # noqa: BLE001  (raised again below)
            errors.append(error)
        with changed:
            ended.append(True)
            changed.notify()

    # A daemon: a camera that never answers again must not keep Python from ending.
    Thread(target=read, name='newest_items', daemon=True).start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended)
                if not waiting:
                    break
                item = waiting.popleft()
            num_taken += 1
            yield item
    finally:
        ended.append(True)
        on_end(num_read - num_taken, num_read)
    if errors:
        raise errors[0]


def log_dropped(num_dropped: int, num_frames: int) -> None:
    """Says how many frames of a live source were left out, for ``newest_items``."""
    if num_dropped:
        LOGGER.warning(
            '%d of %d frames were left out: they came faster than the model is',
            *(num_dropped, num_frames),
        )
