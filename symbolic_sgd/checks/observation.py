"""What an independent computation in float64 shows, how accurate it is itself, and what a prediction is beside it."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from symbolic_sgd.checks.certificate import Check, verdict
from symbolic_sgd.errors import Diverged, FlowDidNotConverge

Observation = tuple[np.ndarray, float]
"""A value, and how far it may be off."""


def measured(
    name: str, predicted: np.ndarray, observed: np.ndarray, scale: float, accuracy: float, tolerance: float
) -> Check:
    """A prediction beside what was observed; the accuracy of that is relative to the scale, as the error is."""
    error = float(np.abs(predicted - observed).max() / scale)
    detail = f"relative to {scale:.3g}; the observation is accurate to {accuracy:.1e}"
    outcome = verdict(error, accuracy, tolerance)
    return Check(name, predicted.tolist(), observed.tolist(), error, tolerance, outcome, detail)


def natural_size(values: Iterable[np.ndarray], floor: float = 0.0) -> float:
    """The largest entry of some arrays, and something positive where they are zero."""
    return max(*(float(np.abs(value).max()) for value in values), floor, 1e-300)


def inaccuracy(seen: Iterable[Observation], scales: Iterable[float]) -> float:
    """The worst accuracy relative to its scale."""
    return max(accuracy / scale for (_, accuracy), scale in zip(seen, scales, strict=True))


def most_accurate(
    observe: Callable[[float], list[Observation]], reaches: Sequence[float], scales: Sequence[float], enough: float
) -> list[Observation]:
    """What is observed at the best of several reaches, tried in turn until an inaccuracy is small enough.

    Raises:
        FlowDidNotConverge, Diverged: nothing could be observed at any; the reason is that of the last.
    """
    best: list[Observation] = []
    failure: Exception = FlowDidNotConverge("no displacement was tried")
    for reach in reaches:
        try:
            seen = observe(reach)
        except (FlowDidNotConverge, Diverged) as reason:
            failure = reason
            continue
        if not best or inaccuracy(seen, scales) < inaccuracy(best, scales):
            best = seen
        if inaccuracy(best, scales) <= enough:
            break
    if not best:
        raise failure
    return best


def extrapolate(values: Sequence[np.ndarray] | np.ndarray, power: int) -> tuple[np.ndarray, float]:
    """The limit η → 0 of values at η, η/2, η/4, … with an error series in η^power (Richardson), and its accuracy.

    The entry of the triangle with the smallest disagreement with its two parents is the one returned.

    >>> limit, accuracy = extrapolate([np.array([1 + h + h**2]) for h in (1, 1/2, 1/4)], 1)
    >>> float(limit[0]), accuracy < 1
    (1.0, True)
    """
    previous = [np.asarray(values[0])]
    best, accuracy = previous[0], float("inf")
    for value in values[1:]:
        row = [np.asarray(value)]
        for j, parent in enumerate(previous, start=1):
            row.append(row[-1] + (row[-1] - parent) / (2.0 ** (power * j) - 1))
            disagreement = float(max(np.abs(row[-1] - row[-2]).max(), np.abs(row[-1] - parent).max()))
            if disagreement < accuracy:
                best, accuracy = row[-1], disagreement
        previous = row
    return best, accuracy
