"""Work done ahead of its consumer, and items that do not wait for theirs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Condition, Event, Semaphore, Thread
from typing import TypeVar

LEAVING = 2.0  # seconds that a source may take to give its last item
Item = TypeVar('Item')
Result = TypeVar('Result')


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], num_workers: int, ahead: int
) -> Iterator[Result]:
    """Map ``function`` over ``items`` in order, by threads that run ahead of the consumer.

    One more thread goes through ``items``, so that a video is decoded while the model works, and
    the first result is given as soon as it is there. Threads suffice for frames, since OpenCV and
    ffmpeg work outside Python's lock, and they need no shared memory, of which containers often
    have little.

    Args:
        num_workers: threads that map; 0 works in the caller's thread.
        ahead: items that were taken at most, the one that the consumer has among them.

    Raises:
        Exception: of ``function`` or of ``items``, at its item's turn.

    Example:
        >>> list(prefetch(lambda x: x * x, range(4), num_workers=2, ahead=2))
        [0, 1, 4, 9]
    """
    if num_workers < 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix='prefetch')
    taken: SimpleQueue = SimpleQueue()  # futures in order, then None or the source's error
    room, stopped = Semaphore(ahead), Event()

    def take() -> None:
        source = None
        try:
            source = iter(items)
            while room.acquire() and not stopped.is_set():
                taken.put(pool.submit(function, next(source)))
        except StopIteration:
            taken.put(None)
        except BaseException as error:  # noqa: BLE001  (raised below, at its turn)
            taken.put(error)
        finally:
            getattr(source, 'close', lambda: None)()

    # A daemon: a source that never answers again must not keep Python from ending.
    taker = Thread(target=take, name='prefetch_source', daemon=True)
    taker.start()
    try:
        while (future := taken.get()) is not None:
            if isinstance(future, BaseException):
                raise future
            yield future.result()
            room.release()  # the consumer asks for the next one: it is done with this
    finally:
        stopped.set()
        room.release()
        pool.shutdown(wait=False, cancel_futures=True)
        taker.join(LEAVING)  # so that files are closed when the consumer has stopped


def newest(
    items: Iterable[Item], held: int, on_end: Callable[[int, int], object] = lambda *_: None
) -> Iterator[Item]:
    """The items of a source that does not wait, read by a thread of its own.

    Args:
        items: such as the frames of a camera.
        held: that wait for the consumer at most; when more come, the oldest are dropped.
        on_end: called with how many were dropped, and of how many.

    Raises:
        Exception: of the source, once what it gave before has been taken.
    """
    waiting: deque[Item] = deque(maxlen=held)
    news, ended, faults = Condition(), [], []
    num_read = num_taken = 0

    def read() -> None:
        nonlocal num_read
        try:
            for item in items:
                with news:
                    waiting.append(item)
                    num_read += 1
                    news.notify()
                if ended:
                    return
        except BaseException as error:  # noqa: BLE001  (raised again below)
            faults.append(error)
        with news:
            ended.append(True)
            news.notify()

    # A daemon: a camera that never answers again must not keep Python from ending.
    Thread(target=read, name='newest', daemon=True).start()
    try:
        while True:
            with news:
                news.wait_for(lambda: waiting or ended)
                if not waiting:
                    break
                item = waiting.popleft()
            num_taken += 1
            yield item
    finally:
        ended.append(True)
        on_end(num_read - num_taken, num_read)
    if faults:
        raise faults[0]
