"""Losses that depend on x through exponentials e^{f_1}, …, e^{f_M} only, as logistic and softmax losses do.

L = h(E) with E_i = e^{f_i}: where ∇f_1, …, ∇f_M are independent, ∇L = 0 means ∂h = 0. So the minimizers are the level sets
f_i = ln q_i of the roots q of ∂h = 0, and this is an identity as soon as the q_i are rational: ∂h(q) = 0 is then checked
exactly. In f the Hessian of h is diag(k) there, if ∂²h(q) is diagonal, with k_i = q_i² ∂_i²h(q).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.manifold.precise import HIGH, PrecisePoint
from symbolic_sgd.problems.landscape import Landscape
from symbolic_sgd.problems.problem import Problem
from symbolic_sgd.rational.recognition import rational

LARGEST_DENOMINATOR = 10**9


@dataclass(frozen=True)
class ExponentialLevels:
    """Γ = {f_i = ln q_i} for a loss h(e^{f_1}, …, e^{f_M}).

    Args:
        levels: f_i − ln q_i.
        curvatures: k_i.
        values: (node, its value on Γ), for every exponent in the loss.
        unique: whether q is the only root: each ∂_ih is a function of E_i with one positive zero.
    """

    levels: tuple[Node, ...]
    curvatures: tuple[Node, ...]
    values: tuple[tuple[Node, Node], ...]
    unique: bool


def exponential_levels(
    problem: Problem, landscape: Landscape, points: Sequence[PrecisePoint], codimension: int
) -> ExponentialLevels | None:
    """Levels and curvatures of a loss that is a function of M exponentials with rational values on Γ; else None."""
    powers = _powers(problem)
    exponents = list(dict.fromkeys(f for f, _ in powers.values()))
    if len(exponents) != codimension:
        return None
    letters = dict(zip(exponents, sp.symbols(f"E1:{codimension + 1}", positive=True, cls=sp.Dummy), strict=True))
    outer = problem.loss.xreplace({e: letters[f] ** sign for e, (f, sign) in powers.items()})
    roots: list[Any] = [_value(f, landscape, points) for f in exponents]
    if outer.free_symbols - set(letters.values()) or None in roots:
        return None
    at = dict(zip(letters.values(), roots, strict=True))
    slopes = [sp.diff(outer, letter) for letter in letters.values()]
    bends = sp.Matrix(slopes).jacobian(list(letters.values())).xreplace(at)
    if any(slope.xreplace(at) != 0 for slope in slopes) or not bends.is_diagonal():
        return None
    graph = landscape.graph
    exact = lambda e: from_sympy(sp.sympify(e), graph)  # noqa: E731
    return ExponentialLevels(
        tuple(exact(f - sp.log(q)) for f, q in zip(exponents, roots, strict=True)),
        tuple(exact(bends[i, i] * q**2) for i, q in enumerate(roots)),
        tuple((exact(e.args[0]), exact(sign * sp.log(at[letters[f]]))) for e, (f, sign) in powers.items()),
        all(_has_one_root(slope, letter) for slope, letter in zip(slopes, letters.values(), strict=True)),
    )


def _has_one_root(slope: Any, letter: Any) -> bool:
    """Whether a rational function of one letter has exactly one positive zero (Sturm)."""
    if slope.free_symbols != {letter}:
        return False
    _, polynomial = sp.Poly(sp.numer(sp.together(slope)), letter).terms_gcd()
    return polynomial.count_roots(0, None) == 1


def _powers(problem: Problem) -> dict[Any, tuple[Any, int]]:
    """{e^{±f}: (f, ±1)} for the exponentials in the loss, one f for both signs."""
    found: dict[Any, tuple[Any, int]] = {}
    for e in sorted(problem.loss.atoms(sp.exp), key=sp.default_sort_key):
        f = sp.expand(e.args[0])
        found[e] = (sp.expand(-f), -1) if f.could_extract_minus_sign() else (f, 1)
    return found


def _value(exponent: Any, landscape: Landscape, points: Sequence[PrecisePoint]) -> Expression | None:
    """e^f where it is the same rational number at all points."""
    node = from_sympy(sp.exp(exponent), landscape.graph)
    with mp.workdps(HIGH):
        values = {rational(point.high([node])[0], LARGEST_DENOMINATOR) for point in points}
    (first, *others) = values
    return None if others or first is None else sp.Rational(first.numerator, first.denominator)
