"""Work that releases the GIL, done in threads a little ahead of who consumes it."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """`map(work, items)`, computed in that many threads; never more than one result beyond theirs waits to be taken.

    When the consumer stops early, what has begun is finished, and nothing else begins.
    """
    if len(items) < 2:
        yield from map(work, items)
        return
    pool, begun = ThreadPoolExecutor(threads), deque[Future[Result]]()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) > threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
