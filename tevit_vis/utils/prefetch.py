"""Work done ahead of its consumer, and items that do not wait for theirs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Thread
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], num_workers: int, ahead: int
) -> Iterator[Result]:
    """Map ``function`` over ``items`` in order, by threads that run ahead of the consumer.

    Threads suffice for frames, since OpenCV decodes and resizes outside Python's lock, and they
    need no shared memory, of which containers often have little.

    Args:
        num_workers: threads; 0 works in the caller's thread.
        ahead: results held at most.

    Raises:
        Exception: of ``function`` or of ``items``, at its item's turn.
    """
    if num_workers < 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(num_workers, thread_name_prefix='prefetch') as pool:
        waiting: deque = deque()
        fault = None
        try:
            source = iter(items)
            while True:
                try:
                    item = next(source)
                except StopIteration:
                    break
                except Exception as error:  # noqa: BLE001  (raised below, at its turn)
                    fault = error
                    break
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            if fault is not None:
                raise fault
        finally:
            for future in waiting:
                future.cancel()


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
        except Exception as error:  # noqa: BLE001  (raised again below)
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
