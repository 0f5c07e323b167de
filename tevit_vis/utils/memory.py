"""How this process allocates memory on the CPU."""

from __future__ import annotations

import ctypes

# Names and numbers of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
KEPT_BYTES = 1 << 30  # of freed memory, kept at the heap's end


def keep_freed_memory() -> None:
    """Make glibc's malloc reuse large blocks instead of giving each back to the system.

    On the CPU torch asks malloc for every temporary. By default each large one is mapped anew and
    its pages are cleared at first touch, which costs a third of TeViT's backbone. Where there is
    no glibc, nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
