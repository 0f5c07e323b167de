import threading
import time

import pytest

from tevit_vis.utils.prefetch import newest_items, prefetch


@pytest.mark.parametrize('num_workers', [0, 1, 3])
def test_results_come_in_order(num_workers):
    assert list(prefetch(lambda x: x * x, range(20), num_workers, ahead=4)) == [
        x * x for x in range(20)
    ]


def test_no_more_is_taken_than_asked_for():
    fifth, seen = threading.Event(), []

    def items():
        for number in range(100):
            seen.append(number)
            if number == 4:
                fifth.set()
            yield number

    results = prefetch(lambda x: x, items(), num_workers=2, ahead=5)
    assert next(results) == 0
    assert fifth.wait(10)  # while the consumer has the first
    time.sleep(0.05)
    assert seen == list(range(5))
    results.close()


def test_the_first_result_waits_for_no_other():
    gate = threading.Event()

    def items():
        yield 0
        assert gate.wait(10)
        yield 1

    results = prefetch(lambda x: x, items(), num_workers=2, ahead=64)
    assert next(results) == 0  # while the source has not given the second
    gate.set()
    assert list(results) == [1]


def test_the_source_runs_beside_the_consumer_and_is_let_go():
    threads, released = set(), threading.Event()

    def items():
        try:
            while True:
                threads.add(threading.get_ident())
                yield 1
        finally:
            released.set()

    results = prefetch(lambda x: x, items(), num_workers=1, ahead=2)
    assert next(results) == 1
    results.close()
    assert released.wait(10)
    assert threading.get_ident() not in threads


def test_an_error_comes_at_its_turn():
    def fail_at_three(x):
        if x == 3:
            raise ValueError('three')
        return x

    results = prefetch(fail_at_three, range(9), num_workers=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match='three'):
        next(results)


def test_work_runs_beside_the_consumer():
    threads = set(prefetch(lambda _: threading.get_ident(), range(4), num_workers=1, ahead=2))
    assert threading.get_ident() not in threads


class Broken:
    def __iter__(self):
        raise ValueError('no source')


@pytest.mark.parametrize('num_workers', [0, 2])
def test_a_source_that_cannot_begin_says_so(num_workers):
    with pytest.raises(ValueError, match='no source'):
        list(prefetch(lambda x: x, Broken(), num_workers, ahead=4))


def test_items_that_do_not_wait_are_dropped_from_the_oldest_on():
    read = threading.Event()

    def camera():
        yield from range(5)
        read.set()
        gate.wait(0.5)  # the consumer may need the sixth before it opens the gate
        yield 5

    gate = threading.Event()
    frames = newest_items(camera(), max_waiting=2)
    first = next(frames)
    assert read.wait(10)
    rest = [next(frames), next(frames)]
    gate.set()
    assert rest in ([3, 4], [4, 5])  # the first came before or after all five were there
    assert first in (0, 1, 2, 3)
    assert list(frames) in ([5], [])


def test_a_source_that_fails_says_so_after_what_it_gave():
    def camera():
        yield 1
        raise ValueError('pulled')

    frames = newest_items(camera(), max_waiting=2)
    assert next(frames) == 1
    with pytest.raises(ValueError, match='pulled'):
        next(frames)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_what_came_before_a_fault_of_the_source_is_given(num_workers):
    def source():
        yield from range(3)
        raise ValueError('cut off')

    results = prefetch(lambda x: x, source(), num_workers, ahead=64)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match='cut off'):
        next(results)


def test_a_source_is_let_go_when_nobody_asks_any_more():
    released, dropped = threading.Event(), []

    def camera():
        try:
            while True:
                yield 1
        finally:
            released.set()

    frames = newest_items(camera(), max_waiting=2, on_end=lambda *counts: dropped.append(counts))
    assert next(frames) == 1
    frames.close()
    assert released.wait(10)
    ((left, of),) = dropped
    assert 0 <= left < of


@pytest.mark.parametrize('error', [SystemExit, KeyboardInterrupt, MemoryError])
def test_whatever_a_source_raises_reaches_the_consumer(error):
    def source():
        yield 1
        raise error('the end')

    for items in (prefetch(str, source(), 2, 4), newest_items(source(), 4)):
        with pytest.raises(error, match='the end'):
            list(items)
