"""R along an arc of a one-dimensional Γ, by quadrature.

Every 1-form on an arc is exact: R(y(s)) = −∫⟨mixed + normal regularization, dY⟩ along it, unique up to a constant.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from symbolic_sgd.regularizer.loops import CurveTracer
from symbolic_sgd.regularizer.one_form import RegularizationForm
from symbolic_sgd.regularizer.scatter import FloatManifold
from symbolic_sgd.theorem.derivation import Derivation

PIECES = 16
"""Segments on each side, at least."""


@dataclass(frozen=True, eq=False)
class RegularizerArc:
    """R at S points of an arc of Γ, with R = 0 at the point from which it was followed.

    Where the arc comes back to a point, round a closed curve, R need not: the difference is the integral round the curve.

    Args:
        points: S×D, in their order along the arc.
        lengths: S, the length of the arc from the first point, negative on one side.
        values: S, R.
        errors: S, bounds of the errors of R, from two quadratures of each segment.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> arc = sde.regularizer_along({u: 1, v: 1}, length=0.5)
    >>> arc.points.shape == (*arc.values.shape, 2), bool(arc.errors.max() < 1e-8)
    (True, True)
    """

    points: np.ndarray
    lengths: np.ndarray
    values: np.ndarray
    errors: np.ndarray

    def __repr__(self) -> str:
        low, high = float(self.lengths.min()), float(self.lengths.max())
        return (
            f"RegularizerArc({len(self.values)} points, lengths {low:.4g} to {high:.4g}, "
            f"R from {self.values.min():.6g} to {self.values.max():.6g})"
        )


def follow_arc(derivation: Derivation, start: np.ndarray, length: float) -> RegularizerArc:
    """The arc of this length on each side of a point, or as much of it as can be followed.

    Args:
        derivation: with D − M = 1.
        start: a point of Γ (parameters, then constants).
        length: of the arc on each side.
    """
    manifold = FloatManifold(derivation)
    tracer = CurveTracer(manifold, RegularizationForm.of(derivation))
    start = manifold.settle(start[None, :]).points[0]
    back, on = (_one_side(tracer, start, length, sign) for sign in (-1, 1))
    here = (start[: derivation.problem.dimension], 0.0, 0.0, 0.0)
    rows = [*((x, -s, r, e) for x, s, r, e in reversed(back)), here, *on]
    return RegularizerArc(*(np.array(column) for column in zip(*rows, strict=True)))


def _one_side(
    tracer: CurveTracer, start: np.ndarray, length: float, sign: int
) -> list[tuple[np.ndarray, float, float, float]]:
    """(x, s, R, error) at the ends of the segments."""
    segments = list(tracer.segments(start, length, length / PIECES, sign))
    ends = [segment.end[: tracer.d] for segment in segments]
    sums = (accumulate(part) for part in zip(*((s.length, -s.integral, s.error) for s in segments), strict=True))
    return list(zip(ends, *sums, strict=True)) if segments else []
