"""Is a point one where the formulas hold? The full examination, which says why a point is refused."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isqrt
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from symbolic_sgd.algebra.arithmetic import RELATIONS
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.errors import ExpressionTooLarge, OffManifold, SingularPoint
from symbolic_sgd.numeric.feet import ELSEWHERE, Foot, Ground, check_digits
from symbolic_sgd.numeric.matrix_guard import INDEPENDENT, ON_MANIFOLD, check_stages
from symbolic_sgd.regular_point import CLEAR, are_far_apart, is_clear
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import Framed, Frameless

DIGITS = 1e-8
"""Relative error of a term that float64 may leave."""

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

LARGEST = 10_000
"""Operations of a term that is evaluated to many digits only to see whether float64 is enough."""

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
    if derivation.in_matrices is not None:
        check_stages(derivation.in_matrices, points)
        return {}
    doubtful, curvature = _doubtful(derivation, points)
    doubtful |= is_delicate(derivation)
    return {int(k): _foot(derivation, points[k], curvature[k]) for k in np.flatnonzero(doubtful)}


def _doubtful(derivation: Derivation, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points float64 leaves in doubt, and the curvatures; raises where it is certain that the formulas do not hold."""
    rank, here = derivation.codimension, stance(derivation, points)
    _check_domain(derivation, here.values["conditions"], points)
    doubtful = are_far_apart(here.curvature, rank, least=least_curvature(derivation))
    off = ~doubtful & ~(here.distance <= ON_MANIFOLD)
    _refuse(off, points, "|H†∇L|/(1 + |x|) there is {}, and at most 1e-6 is allowed", here.distance)
    with np.errstate(invalid="ignore"):  # where there is doubt already, the distance may be infinite
        doubtful |= here.distance * here.curvature[:, -1] > STRAIGHT * here.curvature[:, -rank]
    certain = np.flatnonzero(~doubtful)
    if len(certain):
        doubtful[certain] = ~_are_regular(derivation, here.take(certain))
    return doubtful, here.curvature


_DELICATE: WeakKeyDictionary[Derivation, bool] = WeakKeyDictionary()


def is_delicate(derivation: Derivation) -> bool:
    """Whether float64 loses digits of a term at one of the derivation's own points that it has no doubt about.

    The program may subtract what is nearly equal, or the loss may bend so fast that the rounding of a point, which moves it
    off Γ, is felt. Other points are then left to many digits as well. Terms of more than `LARGEST` operations are not tried.
    """
    known = _DELICATE.get(derivation)
    if known is None:
        with np.errstate(all="ignore"):  # what is not finite has lost its digits
            known = _DELICATE[derivation] = _loses_digits(derivation)
    return known


def _loses_digits(derivation: Derivation) -> bool:
    symbols = derivation.problem.symbols
    ground = Ground(derivation, ON_MANIFOLD)
    rows = np.array([[float(point[s]) for s in symbols] for point in derivation.points])
    feet: dict[int, Foot] = {}
    for k, row in enumerate(rows):
        with suppress(OffManifold, SingularPoint):
            if not _doubtful(derivation, row[None])[0][0]:
                feet[k] = ground.foot(row)
    for name in derivation.program.names:
        program = derivation.program.select(name)
        if feet and program.operations <= LARGEST:
            try:
                check_digits(derivation, program, feet, evaluate(program, symbols, rows)[name])
            except SingularPoint:
                return True
    return False


def least_curvature(derivation: Derivation) -> float:
    """λ_M/λ₁ from which float64 keeps the digits of the formulas.

    Without a frame they divide by e_M(H) = λ₁⋯λ_M, a sum of products up to λ₁^M, which costs a factor (λ₁/λ_M)^{M−1}.
    """
    powers = derivation.codimension - 1 if isinstance(derivation.normal_space, Frameless) else 1
    return max(CLEAR, DIGITS ** (1 / max(1, powers)))


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
        if isinstance(derivation.normal_space, Framed):
            clear[clear] = _has_frame(rank, here.take(clear))
    return clear


def _check_part(derivation: Derivation, points: np.ndarray, here: Stance) -> None:
    """Raise unless regular points of Γ are on the part where the formulas hold; messages name the points as given."""
    d = derivation.problem.dimension
    equations, slopes = here.values["equations"], here.values["slopes"].reshape(len(points), -1, d)
    extent = 1 + np.linalg.norm(points[:, :d], axis=1)
    off = np.abs(equations) > (ON_MANIFOLD * extent)[:, None] * np.linalg.norm(slopes, axis=2) + np.finfo(float).tiny
    _refuse(off.any(axis=1), points, ELSEWHERE)
    _check_smooth(here.values["kinks"], points)
    _check_stable(derivation, here.values, points)


def _check_stable(derivation: Derivation, values: Mapping[str, np.ndarray], points: np.ndarray) -> None:
    """Raise where the optimizer does not stay near Γ: where the matrix of its stability is not positive definite."""
    if derivation.stable is None:
        return
    matrices = values["stability"]
    size = isqrt(matrices.shape[1])
    lowest = np.linalg.eigvalsh(matrices.reshape(-1, size, size))[:, 0]
    unstable = ~(lowest > 0)
    if unstable.any():
        where = _named(derivation, points[np.argmax(unstable)])
        raise SingularPoint(
            f"{derivation.optimizer.label} does not stay near Γ at {where}, beyond its edge of stability. The formulas hold where "
            f"{_shown_conditions(derivation) or 'it is stable'}; make the learning rate smaller, or change what else stands there"
        )


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
    if derivation.stable is not None:
        _check_stable(derivation, evaluate(derivation.guard.select("stability"), symbols, row), point[None])
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


def _has_frame(rank: int, here: Stance) -> np.ndarray:
    """Where the columns of the frame are independent beyond the doubts of float64, and normal to Γ.

    A column that is not zero to rounding is normal to Γ; what its direction has along Γ is the error of the formulas.
    """
    count, d = here.points.shape[0], here.curvature.shape[1]
    frame = here.values["frame"].reshape(count, d, -1)
    with np.errstate(all="ignore"):
        unit = frame / np.linalg.norm(frame, axis=1, keepdims=True)
    unit[~np.isfinite(unit)] = 0
    weakest = np.linalg.svd(unit, compute_uv=False)[:, -1]
    along = np.abs(np.einsum("bij,bik->bjk", here.axes[:, :, :-rank], unit)).max(axis=(1, 2), initial=0)
    return (weakest >= INDEPENDENT) & (along <= 10 * (ROUNDING + SLOPE * here.distance))


def _singular(derivation: Derivation, point: np.ndarray) -> SingularPoint:
    condition = _shown_conditions(derivation)
    return SingularPoint(
        f"the formulas are singular at {_named(derivation, point)}: they hold where "
        f"{condition or 'the gradients that span the normal space are independent'}. Derive the SDE with near= there"
    )


def _shown_conditions(derivation: Derivation) -> str:
    """The conditions under which the formulas hold, where they are short."""
    try:
        return "; ".join(map(str, derivation.conditions(budget=SHOWN)))
    except ExpressionTooLarge:
        return ""


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
