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
        Exception: of ``function``, at its item's turn.
    """
    if num_workers < 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(num_workers, thread_name_prefix='prefetch') as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def newest(items: Iterable[Item], held: int) -> Iterator[Item]:
    """The items of a source that does not wait, read by a thread of its own.

    Args:
        items: such as the frames of a camera.
        held: that wait for the consumer at most; when more come, the oldest are dropped.

    Raises:
        Exception: of the source, once what it gave before has been taken.
    """
    waiting: deque[Item] = deque(maxlen=held)
    news, ended, faults = Condition(), [], []

    def read() -> None:
        try:
            for item in items:
                with news:
                    waiting.append(item)
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
            yield item
    finally:
        ended.append(True)
    if faults:
        raise faults[0]
