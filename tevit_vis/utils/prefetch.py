"""Work done ahead of its consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
