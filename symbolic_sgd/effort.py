"""How much processor time a search may take, and who is told what it does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from numbers import Real
from time import process_time
from typing import Any, TypeVar

from symbolic_sgd.errors import BadInput, BudgetSpent

Item = TypeVar("Item")

REGULARIZER, FIXED_POINTS, ATTRACTORS = 120.0, 30.0, 60.0
"""Seconds of processor time that a search may take unless it is told otherwise."""

Progress = Callable[[str], None]
"""Told in words what is being done."""


def silent(_: str) -> None:
    """Tell nobody."""


@dataclass
class Effort:
    """A budget of processor time (of this process, threads included), which begins when it is made.

    Args:
        seconds: the budget; ∞ for none.
        progress: told what is being done, whenever that changes.
        doing: what is being done.
        done: what has been finished, in order.

    >>> effort = Effort(1e9)
    >>> effort.begin("counting"); effort.check(); effort.begin("adding"); effort.doing, effort.done
    ('adding', ['counting'])
    """

    seconds: float = float("inf")
    progress: Progress = silent
    doing: str = ""
    done: list[str] = field(default_factory=list)
    started: float = field(default_factory=lambda: process_time())

    @property
    def spent(self) -> float:
        """Processor time since it was made, in seconds."""
        return process_time() - self.started

    def begin(self, doing: str) -> None:
        """Say what is done from now on.

        Raises:
            BudgetSpent: there is no time left for it.
        """
        self.check()
        self.finish()
        self.doing = doing
        self.progress(doing)

    def tell(self, detail: str) -> None:
        """Say how far it has come.

        Raises:
            BudgetSpent: as by `check`.
        """
        self.check()
        self.progress(f"{self.doing} ({detail})")

    def check(self) -> None:
        """
        Raises:
            BudgetSpent: the budget is used up; what it was used for.
        """
        if self.spent > self.seconds:
            raise BudgetSpent(self.words())

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, as long as the budget lasts."""
        for item in items:
            self.check()
            yield item

    def finish(self) -> None:
        """Say that what is being done is done."""
        if self.doing:
            self.done.append(self.doing)
        self.doing = ""

    def words(self) -> str:
        """How long it has taken, for what."""
        finished = ["tried to the end: " + "; ".join(self.done)] if self.done else []
        at_work = [f"at work when it stopped: {self.doing}"] if self.doing else []
        return f"{self.spent:.3g} s of processor time were used ({', '.join([*finished, *at_work]) or 'nothing was begun'})"


def checked_seconds(seconds: Any) -> float:
    """A budget that a user states.

    Raises:
        BadInput: no positive number.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not float(seconds) > 0:
        raise BadInput(
            f"seconds is {seconds!r}; give a positive number of seconds of processor time, float('inf') for no limit"
        )
    return float(seconds)


def checked_progress(progress: Progress | None) -> Progress:
    """Who is told.

    Raises:
        BadInput: no function.
    """
    if progress is not None and not callable(progress):
        raise BadInput(f"progress is {progress!r}; give a function that takes words, such as print")
    return progress or silent
