"""The limiting SDE as numeric functions: float64, batched, and guarded against points where it does not hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.arithmetic import RELATIONS
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.derive.derivation import TERMS, Derivation
from symbolic_sgd.derive.stratonovich import stratonovich_program
from symbolic_sgd.errors import BadInput, BadPoint, ExpressionTooLarge, OffManifold, SingularPoint

BLOCK = 4096
"""Points evaluated at a time, so that memory does not grow with the batch beyond the result itself."""

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
class NumericFunctions:
    """The terms of a limiting SDE on float64 points.

    Every method takes x of shape (..., D) and the constants by keyword (numbers, or arrays that broadcast against the
    batch), and returns (..., D), (..., D, Ξ) for the diffusion, (..., D, D) for the D×D matrices.

    Args:
        derivation: what is evaluated.
        check: whether each point is tested first.

    Raises:
        BadPoint: wrong last dimension; not real or not finite.
        OffManifold: a point off Γ.
        SingularPoint: a point of Γ where `valid_where` fails.
    """

    derivation: Derivation
    check: bool = True

    def drift(self, x: Any, /, **constants: Any) -> np.ndarray:
        """½∂²Φ[Σ], (..., D)."""
        return self.term("drift", x, **constants)

    def diffusion(self, x: Any, /, **constants: Any) -> np.ndarray:
        """∂Φ σ, (..., D, Ξ)."""
        return self.term("tangent_noise", x, **constants)

    def tangent_noise_compensation(self, x: Any, /, **constants: Any) -> np.ndarray:
        """−½ H† T[Σ_∥], (..., D)."""
        return self.term("tangent_noise_compensation", x, **constants)

    def mixed_regularization(self, x: Any, /, **constants: Any) -> np.ndarray:
        """−∂Φ T[H†Σ_⊥∥], (..., D)."""
        return self.term("mixed_regularization", x, **constants)

    def normal_regularization(self, x: Any, /, **constants: Any) -> np.ndarray:
        """−½ ∂Φ T[𝓛_H⁻¹(Σ_⊥)], (..., D)."""
        return self.term("normal_regularization", x, **constants)

    def stratonovich_drift(self, x: Any, /, **constants: Any) -> np.ndarray:
        """The drift in Stratonovich's sense, ½∂²Φ[Σ] − ½ Σ_k (∂A_k)A_k with A = ∂Φ σ, (..., D)."""
        if "stratonovich_drift" not in self._parts:
            self._parts["stratonovich_drift"] = stratonovich_program(self.derivation)
        return self._evaluated("stratonovich_drift", x, constants)

    def term(self, name: str, x: Any, /, **constants: Any) -> np.ndarray:
        """Any term of the theorem, by its name."""
        names = [term.name for term in TERMS]
        if name not in names:
            raise BadInput(f"{name!r} is no term of the theorem; they are {', '.join(names)}")
        if name not in self._parts:
            self._parts[name] = self.derivation.program.select(name)
        return self._evaluated(name, x, constants)

    def _evaluated(self, name: str, x: Any, constants: Mapping[str, Any]) -> np.ndarray:
        problem = self.derivation.problem
        points = as_points(x, problem.dimension)
        given = constant_columns(problem.constants, constants, points.shape[:-1])
        flat = points.reshape(-1, problem.dimension)
        program = self._parts[name]
        (output,) = program.outputs
        rows, width = output.shape
        result = np.empty((len(flat), rows * width))
        for start in range(0, len(flat), BLOCK):
            block = np.concatenate([part[start : start + BLOCK] for part in (flat, *given)], axis=1)
            if self.check:
                check_points(self.derivation, block)
            result[start : start + BLOCK] = evaluate(program, problem.symbols, block)[name]
            if self.check:
                check_finite(result[start : start + BLOCK], name, block)
        return result.reshape(
            *points.shape[:-1], *((rows,) if width == 1 and name != "tangent_noise" else (rows, width))
        )

    @cached_property
    def _parts(self) -> dict[str, Program]:
        return {}


def as_points(x: Any, dimension: int) -> np.ndarray:
    """x as float64 of shape (..., D), or `BadPoint`."""
    if isinstance(x, np.ma.MaskedArray) and x.mask.any():
        raise BadPoint("x has masked entries: fill or drop them first")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise BadPoint(f"x is no array of numbers: {error}") from error
    if array.dtype == object:
        array = _from_objects(array)
    if array.dtype.kind not in "fiu":
        raise BadPoint(f"x has entries of type {array.dtype}; the parameters are real numbers")
    if array.ndim == 0 or array.shape[-1] != dimension:
        raise BadPoint(
            f"x has shape {array.shape}; its last dimension has to be {dimension}, one entry a parameter, as in (..., {dimension})"
        )
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise BadPoint(f"x is not finite: entry {bad} is {array[bad]}")
    return array.astype(float, copy=False)


def _from_objects(array: np.ndarray) -> np.ndarray:
    try:
        return array.astype(float)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadPoint("x has entries that are no real numbers") from error


def constant_columns(
    declared: tuple[sp.Symbol, ...], given: Mapping[str, Any], batch: tuple[int, ...]
) -> list[np.ndarray]:
    """One column a constant, as many rows as points."""
    names = [s.name for s in declared]
    unknown = [name for name in given if name not in names]
    if unknown:
        known = f"the constants are {', '.join(names)}" if names else "the problem has no constants"
        raise BadInput(f"{unknown[0]!r} is no constant of this problem: {known}")
    missing = [name for name in names if name not in given]
    if missing:
        raise BadInput(f"no value for the constant {missing[0]}: pass it by keyword, e.g. {missing[0]}=1.0")
    return [_constant(name, given[name], batch) for name in names]


def _constant(name: str, value: Any, batch: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=float)
        spread = np.broadcast_to(array, batch)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(
            f"the constant {name} is not real, or does not broadcast against the batch {batch}: {error}"
        ) from error
    if not np.isfinite(array).all():
        raise BadInput(f"the constant {name} is not finite")
    return spread.reshape(-1, 1)


# --- is a point one where the formulas hold? ------------------------------------------------


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
    elsewhere = (here.values["assumed"] > (100 * allowance[:, None]) ** 2).any(axis=1)
    _refuse(elsewhere, points, ELSEWHERE)


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
        _refuse(~RELATIONS[condition.rel_op](value, 0), points, f"the condition {condition} does not hold there")


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
