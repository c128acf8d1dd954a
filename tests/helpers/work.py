"""Work instead of time: how many functions an action calls, and an end to what would never end."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def calls(action: Callable[[], Any]) -> tuple[int, Any]:
    """How many functions are called, Python's own and those in C, until the action returns; and what it returns.

    The number is the same on a fast machine and on a slow one, and beside other processes.
    """
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        result = action()
    finally:
        sys.setprofile(before)
    return count, result


class NeverEnds(Exception):
    """The processor was at work for longer than any way to the answer takes that ends."""


@contextmanager
def that_ends(seconds: int = 120) -> Iterator[None]:
    """Stops what would go on for hours, as a search that backtracks over a million characters, after so much processor time.

    A limit of this process alone, far above what is needed: it says that something does not end, not how quickly it does.
    """

    def stop(number: int, frame: Any) -> None:
        raise NeverEnds(f"not done after {seconds} seconds of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
