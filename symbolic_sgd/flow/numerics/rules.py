"""What holds wherever a flow is followed, in float64 or to many digits: when it is given up, and the words for it."""

from collections.abc import Sequence

import numpy as np

from symbolic_sgd.algebra.arithmetic import PreciseNumber

FAR = 1e8
"""A flow that gets this many times farther than max(1, |x|) is taken to diverge."""

FIRST_LENGTH = 0.5
"""Length of the first step times the largest |curvature|."""

UNSTABLE_LENGTH = 1.0
"""Longest step times the most negative curvature: the flow itself grows by e."""

MOST_TANGENT = 1e-7
"""Largest ratio to the largest curvature of those that may be zero."""

FADED = 0.8
"""Loss of curvature during the last Newton steps by which a degenerate minimum is known; on Γ it is of their size, 10⁻⁹."""

ROUNDED = 1e-7
"""Coordinates below this, beside the largest, are written as 0 in words."""


def number(value: float) -> str:
    """With four digits."""
    return f"{value:.4g}".replace("-", "−")


def in_words(x: np.ndarray | Sequence[PreciseNumber], distance: float = 0.0) -> str:
    """The point, to within a distance, with components that are rounding written as 0."""
    values = np.array([float(value) for value in x])
    rounding = np.abs(values) < max(ROUNDED * (1 + np.abs(values).max()), distance)
    return "(" + ", ".join(number(value) for value in np.where(rounding, 0.0, values)) + ")"


def span(curvature: np.ndarray) -> str:
    """From which to which curvature the eigenvalues run."""
    return f"(the Hessian there has eigenvalues from {number(curvature[0])} to {number(curvature[-1])})"


def not_finite(x: np.ndarray | Sequence[PreciseNumber]) -> str:
    """The words for a flow that leaves the numbers."""
    return f"the loss is not finite along the flow, near {in_words(x)}"


def diverging(limit: float, time: float) -> str:
    """The words for a flow that has gone too far."""
    return f"the flow diverges: |x| passes {number(limit)} after t = {number(time)}"
