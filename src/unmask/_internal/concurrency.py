"""Run stages at the same time, in threads.

Threads serve, since decoding, finding and scoring all release Python's lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

import cv2

S = TypeVar("S")
T = TypeVar("T")

_END = object()


class Clock:
    """Adds up the seconds spent in a stage."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0

    def __enter__(self) -> None:
        self._since = perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += perf_counter() - self._since


@contextmanager
def one_opencv_thread(wanted: bool) -> Iterator[None]:
    """Limit OpenCV to one thread, if wanted.

    While several files are worked on at once, its own threads only get in each other's way.
    """
    before = cv2.getNumThreads()
    if wanted:
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def prefetch(items: Iterable[T], clock: Clock, depth: int = 3) -> Generator[T]:
    """The items, made in a thread of their own, at most `depth` ahead, the one in making included.

    `clock` counts the making, not the waiting.

    An error in the making is raised here, in its place. Closing the iterator stops the thread.
    """
    ready: queue.SimpleQueue[object] = queue.SimpleQueue()
    # taken before an item is made and not before it is handed over: none waits beyond the depth
    places = threading.Semaphore(depth)
    stopped = threading.Event()

    def make() -> None:
        iterator = iter(items)
        try:
            while places.acquire() and not stopped.is_set():
                with clock:
                    item = next(iterator, _END)
                ready.put(item)
                if item is _END:
                    break
                del item  # else it stays in memory while the next is made
        except BaseException as error:  # handed over, to be raised by the reader
            ready.put(error)
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    thread = threading.Thread(target=make, name="unmask-decode", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            places.release()
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        places.release()
        thread.join()


def ordered_map(work: Callable[[S], T], items: Iterable[S], jobs: int, ahead: int) -> Generator[T]:
    """`work` of each item, in order, `jobs` at a time and at most `ahead` results waiting.

    Closing the iterator drops what has not begun and does not wait for what has.
    """
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="unmask-scan")
    waiting: list[Future[T]] = []
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
