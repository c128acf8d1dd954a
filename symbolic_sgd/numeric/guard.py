"""Is a point one where the formulas hold? The full examination, which says why a point is refused."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.algebra.arithmetic import RELATIONS
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.errors import ExpressionTooLarge, OffManifold, SingularPoint
from symbolic_sgd.numeric.feet import ELSEWHERE, Foot, Ground, check_digits
from symbolic_sgd.regular_point import are_far_apart, is_clear
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import Framed

ON_MANIFOLD = 1e-6
"""x is on Γ when |H†∇L| and |g|/|∇g| are at most this times 1 + |x|."""

INDEPENDENT = 1e-7
"""Smallest singular value of the frame with columns of length 1: below it, no digits of the result are left to trust."""

ROUNDING = 1e-10
"""What rounding may leave, in relative size, of a quantity that is zero on Γ."""

SLOPE = 1e3
"""How fast such a quantity may grow with the relative distance from Γ that the Newton steps leave."""

STRAIGHT = 1e-3
"""Distance from Γ, relative to 1 + |x|, times λ₁/λ_M: beyond it the normal directions at x need not be those of Γ."""

SETTLED = 1e-15
"""A relative distance from Γ at which no further Newton step is taken."""

SIMULATED = 1e-5
"""Relative error of the drift, and of the noise, that a simulation does not notice."""

SHOWN = 40
"""Operations of a condition that an error message quotes."""

KINK = 1e-12
"""An argument of |·|, √, log, … smaller than this beside the terms it is the sum of counts as zero."""


@dataclass(frozen=True)
class Stance:
    """How B points stand to Γ.

    Args:
        points: B rows, parameters then constants.
        values: the guard's outputs there.
        curvature: eigenvalues of H, ascending (B×D).
        axes: eigenvectors (B×D×D).
        newton: H†∇L (B×D), with H† on the M largest eigenvalues.
        distance: |H†∇L|/(1 + |x|) (B).
    """

    points: np.ndarray
    values: dict[str, np.ndarray]
    curvature: np.ndarray
    axes: np.ndarray
    newton: np.ndarray
    distance: np.ndarray

    def take(self, rows: np.ndarray) -> "Stance":
        """Some of the points."""
        values = {name: value[rows] for name, value in self.values.items()}
        own = (self.curvature, self.axes, self.newton, self.distance)
        return Stance(self.points[rows], values, *(a[rows] for a in own))


def stance(derivation: Derivation, points: np.ndarray) -> Stance:
    """Evaluate the guard at points; `OffManifold` where H is not finite."""
    d, rank = derivation.problem.dimension, derivation.codimension
    values = evaluate(derivation.guard, derivation.problem.symbols, points)
    hessian = values["hessian"].reshape(-1, d, d)
    infinite = ~np.isfinite(hessian).all(axis=(1, 2))
    _refuse(
        infinite,
        points,
        "a derivative of the loss is not a finite real number there, or not smooth, or overflows float64",
    )
    curvature, axes = np.linalg.eigh(hessian)
    normal = axes[:, :, -rank:]
    with np.errstate(all="ignore"):
        along = np.einsum("bij,bi->bj", normal, values["gradient"]) / curvature[:, -rank:]
    newton = np.einsum("bij,bj->bi", normal, along)
    distance = np.linalg.norm(newton, axis=1) / (1 + np.linalg.norm(points[:, :d], axis=1))
    return Stance(points, values, curvature, axes, newton, distance)


def check_points(derivation: Derivation, points: np.ndarray) -> dict[int, Foot]:
    """Raise unless every point (a row: parameters, then constants) is on Γ and the formulas hold there.

    Whether a point is near enough to Γ is decided where it is; everything else at the foot of its Newton steps, so
    that it does not depend on how near the point was. What vanishes on Γ may there be as large as rounding allows.

    Returns:
        Row → the point of Γ beside it to 120 digits, for the rows where float64 is not enough: terms are to be evaluated
        there.
    """
    if not len(points):
        return {}
    rank, here = derivation.codimension, stance(derivation, points)
    _check_domain(derivation, here.values["conditions"], points)
    doubtful = are_far_apart(here.curvature, rank)
    off = ~doubtful & ~(here.distance <= ON_MANIFOLD)
    _refuse(off, points, "|H†∇L|/(1 + |x|) there is {}, and at most 1e-6 is allowed", here.distance)
    doubtful |= here.distance * here.curvature[:, -1] > STRAIGHT * here.curvature[:, -rank]
    certain = np.flatnonzero(~doubtful)
    if len(certain):
        doubtful[certain] = ~_are_regular(derivation, here.take(certain))
    return {int(k): _foot(derivation, points[k], here.curvature[k]) for k in np.flatnonzero(doubtful)}


def _are_regular(derivation: Derivation, here: Stance) -> np.ndarray:
    """Which points are regular points of Γ beyond doubt; raises where the formulas do not hold at one of them."""
    d, rank, points = derivation.problem.dimension, derivation.codimension, here.points
    for _ in range(3):
        if here.distance.max(initial=0) <= SETTLED:
            break
        moved = here.points.copy()
        moved[:, :d] -= here.newton
        here = stance(derivation, moved)
    clear = is_clear(here.curvature, rank, here.distance)
    if clear.any():
        _check_part(derivation, points[clear], here.take(clear))
    return clear


def _check_part(derivation: Derivation, points: np.ndarray, here: Stance) -> None:
    """Raise unless regular points of Γ are on the part where the formulas hold; messages name the points as given."""
    d, rank = derivation.problem.dimension, derivation.codimension
    allowance = ROUNDING + SLOPE * here.distance
    equations, slopes = here.values["equations"], here.values["slopes"].reshape(len(points), -1, d)
    extent = 1 + np.linalg.norm(points[:, :d], axis=1)
    off = np.abs(equations) > (ON_MANIFOLD * extent)[:, None] * np.linalg.norm(slopes, axis=2) + np.finfo(float).tiny
    _refuse(off.any(axis=1), points, ELSEWHERE)
    _check_smooth(here.values["kinks"], points)
    if isinstance(derivation.normal_space, Framed):
        frame = here.values["frame"].reshape(len(points), d, -1)
        _check_frame(derivation, frame, here.axes[:, :, :-rank], allowance, points)


def _foot(derivation: Derivation, point: np.ndarray, curvature: np.ndarray) -> Foot:
    """The point of Γ beside a point that float64 leaves in doubt."""
    try:
        foot = Ground(derivation, ON_MANIFOLD).foot(point)
    except SingularPoint as error:
        raise _singular(derivation, point) from error
    except OffManifold as error:
        raise _off(point, f"{error} (eigenvalues {np.array2string(curvature, precision=3)})") from error
    symbols = derivation.problem.symbols
    row = np.array([[float(foot[s]) for s in symbols]])
    _check_smooth(evaluate(derivation.guard.select("kinks"), symbols, row)["kinks"], point[None])
    return foot


def _check_smooth(kinks: np.ndarray, points: np.ndarray) -> None:
    _refuse(~(kinks > KINK).all(axis=1), points, "the loss or the noise is not smooth there")


def check_starts(derivation: Derivation, points: np.ndarray) -> None:
    """The same for points where a simulation in float64 begins: it needs digits of the drift and of the noise.

    Raises:
        OffManifold: as `check_points`.
        SingularPoint: as `check_points`, and where float64 loses too many digits.
    """
    feet = check_points(derivation, points)
    for name in ("drift", "tangent_noise") if feet else ():
        program = derivation.program.select(name)
        values = evaluate(program, derivation.problem.symbols, points)[name]
        check_digits(derivation, program, feet, values, agreed=SIMULATED)


def check_finite(values: np.ndarray, name: str, points: np.ndarray) -> None:
    """Raise where a term is not a finite real number (the noise need not be real on all of Γ)."""
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        where = np.array2string(points[np.argmax(bad)], precision=6, threshold=8)
        raise SingularPoint(
            f"{name} is not a finite real number at x = {where}: the loss or the noise is not real and smooth there, or float64 overflows"
        )


def _check_domain(derivation: Derivation, values: np.ndarray, points: np.ndarray) -> None:
    for condition, value in zip(derivation.problem.conditions, values.T, strict=True):
        reason = f"the condition {condition} does not hold there"
        if condition in derivation.cell:
            reason = f"the formulas are for the cell in which {condition}; derive them with near= where you need them"
        _refuse(~RELATIONS[condition.rel_op](value, 0), points, reason)


def _check_frame(
    derivation: Derivation, frame: np.ndarray, tangent: np.ndarray, allowance: np.ndarray, points: np.ndarray
) -> None:
    """Raise where the columns of the frame are dependent, or are rounding and nothing else.

    A column that is not zero to rounding is normal to Γ; what its direction has along Γ is the error of the formulas.
    """
    with np.errstate(all="ignore"):
        unit = frame / np.linalg.norm(frame, axis=1, keepdims=True)
    unit[~np.isfinite(unit)] = 0
    weakest = np.linalg.svd(unit, compute_uv=False)[:, -1]
    along = np.abs(np.einsum("bij,bik->bjk", tangent, unit)).max(axis=(1, 2), initial=0)
    singular = (weakest < INDEPENDENT) | (along > 10 * allowance)
    if singular.any():
        raise _singular(derivation, points[np.argmax(singular)])


def _singular(derivation: Derivation, point: np.ndarray) -> SingularPoint:
    try:
        condition = "; ".join(map(str, derivation.conditions(budget=SHOWN)))
    except ExpressionTooLarge:
        condition = ""
    return SingularPoint(
        f"the formulas are singular at {_named(derivation, point)}: they hold where "
        f"{condition or 'the gradients that span the normal space are independent'}. Derive the SDE with near= there"
    )


def _named(derivation: Derivation, row: np.ndarray) -> str:
    return "(" + ", ".join(f"{s} = {a:.6g}" for s, a in zip(derivation.problem.symbols, row, strict=True)) + ")"


def _refuse(mask: Any, points: np.ndarray, reason: str, detail: np.ndarray | None = None) -> None:
    if mask.any():
        i = int(np.argmax(mask))
        shown = "" if detail is None else np.array2string(np.asarray(detail[i]), precision=3)
        raise _off(points[i], reason.format(shown))


def _off(point: np.ndarray, reason: str) -> OffManifold:
    return OffManifold(
        f"x = {np.array2string(point, precision=6, threshold=8)} is not on Γ: {reason}. "
        "Follow the gradient flow to its limit Φ(x) first, or use lambdify(check=False) at your own risk"
    )
