"""Points at which the theorem applies, by numbers alone: on Γ, smooth, H ≥ 0 of rank M, on a manifold of minimizers.

Nothing of the package is used. A point is regular for equations g: R^D → R^M of a part of Γ when

    g = 0, ∇L = 0,  λ_M > 0 = λ_{M+1} = … = λ_D for the eigenvalues of H = ∇²L, at 60 digits,  ∇L = 0 beside it on {g = 0},

and no |·|, max, min, sign, root or logarithm of the loss is evaluated where it has no derivative. Then {∇L = 0} is
{g = 0} near the point: the first contains the second, and rank H = M bounds its dimension by D − M.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mpmath as mp
import numpy as np
import sympy as sp
from theorem_literal import gradient_and_spectrum, point_by_gradient, point_on_manifold

DIGITS = 30
"""Points are good to twice as many digits."""

LEAST, ROUNDED = mp.mpf(10) ** -30, mp.mpf(10) ** -42
"""Beside the largest eigenvalue of H, M of them are above the first and the others below the second."""

STATIONARY = mp.mpf(10) ** -45
"""|∇L| beside |H| (1 + |x|)."""

FLAT = mp.mpf(10) ** -25
"""The largest eigenvalue of H beside the second differences of L a tenth of |x_i| away, at least."""

KINK = mp.mpf(10) ** -25
"""An argument of |·|, √, … that is smaller than this counts as zero."""

BESIDE = 1e-3
"""How far the neighbour on {g = 0} is, relative to |x_i| and the point's own scale."""

FLOAT_STEPS = 40


@dataclass(frozen=True, eq=False)
class Place:
    """A regular point of Γ: D mpf, and M."""

    point: tuple[mp.mpf, ...]
    codimension: int

    @property
    def floats(self) -> np.ndarray:
        return np.array([float(a) for a in self.point])


class Irregular(ValueError):
    """Why the theorem does not apply at a point."""


def regular_place(
    loss: sp.Expr,
    parameters: Sequence[sp.Symbol],
    equations: Sequence[sp.Expr],
    start: Sequence,
    *,
    settle: bool = False,
    beside: bool = True,
) -> Place:
    """The regular point of {g = 0} that Newton's method finds from a start.

    Args:
        start: D numbers.
        settle: first go to {g = 0} in float64, for starts far from it.
        beside: also examine ∇L beside the point on {g = 0}; once for each g is enough.

    Raises:
        Irregular: there is no zero of g near, or the theorem does not apply there.
    """
    if len(equations) == len(parameters):
        raise Irregular("as many equations as parameters: an isolated point")
    try:
        begin = settled(equations, parameters, start) if settle else start
        point = point_on_manifold(equations, parameters, begin, digits=DIGITS)
    except (ValueError, ZeroDivisionError, TypeError, OverflowError) as error:
        raise Irregular(f"no point of the equations: {error}") from error
    _require_regular(loss, parameters, point, len(equations))
    if beside:
        neighbour = _neighbour(equations, parameters, point)
        gradient, spectrum = gradient_and_spectrum(loss, parameters, neighbour, DIGITS)
        if not _is_stationary(gradient, spectrum, neighbour):
            raise Irregular("the gradient does not vanish beside it on the equations")
    return Place(tuple(point), len(equations))


def regular_place_by_gradient(
    loss: sp.Expr, parameters: Sequence[sp.Symbol], start: Sequence, codimension: int
) -> Place:
    """The regular point of {∇L = 0} near a start, where no equations are known; M is given.

    That {∇L = 0} is a manifold there is seen by a step along the kernel of H, which Newton's method completes.

    Raises:
        Irregular: as `regular_place`.
    """
    try:
        point = point_by_gradient(loss, parameters, start, digits=DIGITS, codimension=codimension)
        _require_regular(loss, parameters, point, codimension)
        _, spectrum = gradient_and_spectrum(loss, parameters, point, DIGITS)
        kernel = [float(a) for a in spectrum.vectors[:, len(parameters) - 1]]
        moved = [a + mp.mpf(BESIDE * _scale(point) * b) for a, b in zip(point, kernel, strict=True)]
        beside = point_by_gradient(loss, parameters, moved, digits=DIGITS, codimension=codimension)
        _require_regular(loss, parameters, beside, codimension)
    except Irregular:
        raise
    except (ValueError, ZeroDivisionError, TypeError, OverflowError) as error:
        raise Irregular(f"no zero of the gradient: {error}") from error
    return Place(tuple(point), codimension)


def is_smooth_at(expression: sp.Basic, parameters: Sequence[sp.Symbol], point: Sequence[mp.mpf]) -> bool:
    """Whether no |·|, max, min, sign, root or logarithm in an expression is evaluated where it has no derivative."""
    zeros = _kink_arguments(expression)
    if not zeros:
        return True
    with mp.workdps(2 * DIGITS):
        try:
            values = sp.lambdify(tuple(parameters), zeros, "mpmath", cse=True)(*point)
        except (ZeroDivisionError, ValueError):
            return False
        return all(mp.im(value) == 0 and abs(value) > KINK for value in values)


def _kink_arguments(expression: sp.Basic) -> list[sp.Expr]:
    """Expressions at whose zeros something in an expression is not smooth."""
    zeros = [e.args[0] for e in expression.atoms(sp.Abs, sp.sign, sp.log)]
    zeros += [e.base for e in expression.atoms(sp.Pow) if not e.exp.is_integer and e.base.free_symbols]
    for extreme in expression.atoms(sp.Max, sp.Min):
        zeros += [a - b for i, a in enumerate(extreme.args) for b in extreme.args[:i]]
    return [zero for zero in zeros if zero.free_symbols]


def _require_regular(loss: sp.Expr, parameters: Sequence, point: Sequence[mp.mpf], codimension: int) -> None:
    if not is_smooth_at(loss, parameters, point):
        raise Irregular("the loss is not smooth there")
    gradient, spectrum = gradient_and_spectrum(loss, parameters, point, DIGITS)
    if not _is_stationary(gradient, spectrum, point):
        raise Irregular(f"the gradient has norm {mp.nstr(mp.norm(gradient), 5)}")
    largest, values = spectrum.values[0], spectrum.values
    if not largest > FLAT * _roughness(loss, parameters, point):
        raise Irregular(f"H has not rank {codimension}: it vanishes beside the differences of L")
    if not (values[codimension - 1] > LEAST * largest and max(map(abs, values[codimension:])) < ROUNDED * largest):
        raise Irregular(f"H has not rank {codimension} and no negative eigenvalue: {[mp.nstr(a, 5) for a in values]}")


def _roughness(loss: sp.Expr, parameters: Sequence, point: Sequence[mp.mpf]) -> mp.mpf:
    """The largest |L(y) − L(x)|/|y − x|² for y a tenth of |x_i| away along an axis: parameters have units of their own."""
    function, scale = sp.lambdify(tuple(parameters), loss, "mpmath", cse=True), mp.mpf(_scale(point))
    found = [mp.mpf(0)]
    for i in range(len(point)):
        reach = (abs(point[i]) or scale) / 10
        for sign in (1, -1):
            try:
                there = function(*[a + sign * reach * (k == i) for k, a in enumerate(point)])
                found.append(abs(there - function(*point)) / reach**2)
            except (ValueError, ZeroDivisionError, OverflowError):
                continue  # the loss need not be real there
    return max(found)


def _is_stationary(gradient: mp.matrix, spectrum, point: Sequence[mp.mpf]) -> bool:
    size = max(map(abs, spectrum.values)) * (1 + max(map(abs, point)))
    return mp.isfinite(size) and size > 0 and mp.norm(gradient) <= STATIONARY * size


def _scale(point: Sequence[mp.mpf]) -> float:
    return float(max(map(abs, point))) or 1.0


def _neighbour(equations: Sequence[sp.Expr], parameters: Sequence, point: Sequence[mp.mpf]) -> list:
    """A point of {g = 0} beside a point."""
    rng, scale = np.random.default_rng(7), _scale(point)
    moved = [a + mp.mpf(BESIDE * (abs(float(a)) + 0.1 * scale) * rng.standard_normal()) for a in point]
    try:
        return point_on_manifold(equations, parameters, moved, digits=DIGITS)
    except (ValueError, ZeroDivisionError, TypeError) as error:
        raise Irregular(f"the equations have no zero beside it: {error}") from error


def settled(
    equations: Sequence[sp.Expr], parameters: Sequence, start: Sequence, *, dependent: float | None = None
) -> np.ndarray:
    """A zero of g by Gauss–Newton steps in float64, with differences for derivatives, each cut to 1 + |x|.

    Args:
        dependent: singular values of ∂g that count as zero, beside the largest, where there are more equations than their rank.

    Raises:
        ValueError: the steps diverge.
    """
    function = sp.lambdify(tuple(parameters), list(equations), "math", cse=True)
    x = np.array([float(a) for a in start])
    for _ in range(FLOAT_STEPS):
        here, steps = np.array(function(*x), dtype=float), 1e-6 * np.maximum(np.abs(x), 1e-3 * _scale(x))
        jacobian = np.array(
            [np.subtract(function(*(x + e)), function(*(x - e))) / (2 * e.sum()) for e in np.diag(steps)]
        )
        if not np.isfinite(jacobian).all():
            break
        move = np.linalg.lstsq(jacobian.T, here, rcond=dependent)[0]
        length = np.linalg.norm(move)
        x = x - move * min(1.0, (1 + np.linalg.norm(x)) / length if length else 1.0)
        if length < 1e-9 * np.linalg.norm(x):
            return x
    raise ValueError("Newton's method did not settle")


def connected(
    equations: Sequence[sp.Expr], parameters: Sequence, begin: Sequence[float], end: Sequence[float], pieces: int = 24
) -> bool:
    """Whether the straight way from one point of {g = 0} to another, put on {g = 0}, is a path between them.

    False means that it was not seen: the way may lead round.
    """
    begin, end = np.array(begin, dtype=float), np.array(end, dtype=float)
    x, stride = begin, np.linalg.norm(end - begin) / pieces
    try:
        for i in range(1, pieces + 1):
            target = x + (end - x) / (pieces + 1 - i)
            following = settled(equations, parameters, target)
            if np.linalg.norm(following - x) > 4 * stride + 1e-9 * np.linalg.norm(x):
                return False
            x = following
    except (ValueError, ZeroDivisionError, OverflowError):
        return False
    return bool(np.linalg.norm(x - end) <= 1e-6 * (np.linalg.norm(end) + stride))
