"""Is a point one where the formulas hold? The full examination, which says why a point is refused."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic_sgd.algebra.arithmetic import RELATIONS
from symbolic_sgd.algebra.program import evaluate
from symbolic_sgd.derive.derivation import Derivation
from symbolic_sgd.errors import ExpressionTooLarge, OffManifold, SingularPoint

ON_MANIFOLD = 1e-6
"""x is on Γ when |H†∇L| and |g|/|∇g| are at most this times 1 + |x|."""

STEEP = 1e-8
"""The M-th eigenvalue of H must be larger than this beside the largest: H† costs the digits that it has not."""

INDEPENDENT = 1e-7
"""Smallest singular value of the frame with columns of length 1: below it, no digits of the result are left to trust."""

ROUNDING = 1e-10
"""What rounding may leave, in relative size, of a quantity that is zero on Γ."""

SLOPE = 1e3
"""How fast such a quantity may grow with the relative distance from Γ that the Newton steps leave."""

SETTLED = 1e-15
"""A relative distance from Γ at which no further Newton step is taken."""

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


def stance(derivation: Derivation, points: np.ndarray) -> Stance:
    """Evaluate the guard at points; `OffManifold` where H is not finite, or has not rank M."""
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
    steep, normal = curvature[:, -rank:], axes[:, :, -rank:]
    _refuse(steep[:, 0] <= STEEP * np.abs(curvature).max(axis=1), points, _wrong_rank(rank), curvature)
    along = np.einsum("bij,bi->bj", normal, values["gradient"]) / steep
    newton = np.einsum("bij,bj->bi", normal, along)
    distance = np.linalg.norm(newton, axis=1) / (1 + np.linalg.norm(points[:, :d], axis=1))
    return Stance(points, values, curvature, axes, newton, distance)


def check_points(derivation: Derivation, points: np.ndarray) -> None:
    """Raise unless every point (a row: parameters, then constants) is on Γ and the formulas hold there.

    Whether a point is near enough to Γ is decided where it is; everything else at the foot of its Newton steps, so
    that it does not depend on how near the point was. What vanishes on Γ may there be as large as rounding allows.
    """
    if not len(points):
        return
    d, rank = derivation.problem.dimension, derivation.codimension
    here = stance(derivation, points)
    _check_domain(derivation, here.values["conditions"], points)
    _refuse(
        ~(here.distance <= ON_MANIFOLD),
        points,
        "|H†∇L|/(1 + |x|) there is {}, and at most 1e-6 is allowed",
        here.distance,
    )
    for _ in range(3):
        if here.distance.max(initial=0) <= SETTLED:
            break
        moved = here.points.copy()
        moved[:, :d] -= here.newton
        here = stance(derivation, moved)
    allowance = ROUNDING + SLOPE * here.distance
    flat = np.abs(here.curvature[:, :-rank]).max(axis=1, initial=0)
    _refuse(flat > 10 * allowance * here.curvature[:, -1], points, _wrong_rank(rank), here.curvature)
    equations, slopes = here.values["equations"], here.values["slopes"].reshape(len(points), -1, d)
    extent = 1 + np.linalg.norm(points[:, :d], axis=1)
    off = np.abs(equations) > (ON_MANIFOLD * extent)[:, None] * np.linalg.norm(slopes, axis=2) + np.finfo(float).tiny
    _refuse(off.any(axis=1), points, ELSEWHERE)
    _refuse(~(here.values["kinks"] > KINK).all(axis=1), points, "the loss or the noise is not smooth there")
    if "frame" in here.values:
        frame = here.values["frame"].reshape(len(points), d, -1)
        _check_frame(derivation, frame, here.axes[:, :, :-rank], allowance, points)


def _wrong_rank(rank: int) -> str:
    return f"the Hessian is not positive semidefinite of rank {rank} there (eigenvalues {{}})"


ELSEWHERE = "it may be on another part of Γ than the formulas were derived for; derive them with near= there"


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
        try:
            condition = "; ".join(map(str, derivation.conditions(budget=SHOWN)))
        except ExpressionTooLarge:
            condition = ""
        raise SingularPoint(
            f"the formulas are singular at {_named(derivation, points[np.argmax(singular)])}: they hold where "
            f"{condition or 'the gradients that span the normal space are independent'}. Derive the SDE with near= there"
        )


def _named(derivation: Derivation, row: np.ndarray) -> str:
    return "(" + ", ".join(f"{s} = {a:.6g}" for s, a in zip(derivation.problem.symbols, row, strict=True)) + ")"


def _refuse(mask: Any, points: np.ndarray, reason: str, detail: np.ndarray | None = None) -> None:
    if mask.any():
        i = int(np.argmax(mask))
        shown = "" if detail is None else np.array2string(np.asarray(detail[i]), precision=3)
        raise OffManifold(
            f"x = {np.array2string(points[i], precision=6, threshold=8)} is not on Γ: {reason.format(shown)}. "
            "Follow the gradient flow to its limit Φ(x) first, or use lambdify(check=False) at your own risk"
        )
