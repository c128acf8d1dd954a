"""Losses that do not change when something is added to several of their inner polynomials, as that of softmax does not when
one number is added to all logits: F(z_1, …, z_r) = F(z_1 − n_1 z_r/n_r, …, 0) for F(z + sn) = F(z).

Written so, F is a function of as few expressions as it depends on.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from symbolic_sgd.algebra.graph import Graph
from symbolic_sgd.algebra.identities import zero_functions
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program, evaluate
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.manifold.affine_span import AffineSpan

SEED = 20241
MOST_INNER, MOST_LETTERS = 120, 40
"""Inner polynomials, and independent ones among them, up to which shifts are looked for."""

POINTS = 8
"""Random points beyond as many as there are letters, at which the slopes of F are computed."""

SAME = 1e-9
"""A singular value below this beside the largest counts as zero; what follows from it is proved."""

LARGEST_DENOMINATOR = 1000
"""Of ratios n_i/n_j."""


def in_fewest(expression: Expression, trained: set[sp.Symbol]) -> Expression:
    """An expression that is no polynomial, as a function of as few polynomials as linear relations among its slopes allow.

    >>> a, b = sp.symbols("a b", real=True)
    >>> in_fewest(sp.log(sp.exp(a) + sp.exp(b)) - b, {a, b})
    log(exp(a - b) + 1)
    """
    if not expression.free_symbols & trained or expression.is_polynomial(*trained):
        return expression
    inner: list[Any] = []
    rebuilt(expression, trained, lambda e: inner.append(e) or e)
    distinct = list(dict.fromkeys(inner))
    span = AffineSpan.of(distinct, trained) if len(distinct) <= MOST_INNER else None
    if span is None or not 1 < len(span.letters) <= MOST_LETTERS:
        return expression
    outer = rebuilt(expression, trained, lambda e: span.images[e])
    shifts = None if outer.free_symbols & trained else common_shifts(outer, span.letters)
    return expression if shifts is None else outer.xreplace(unshifted(span, shifts))


def rebuilt(e: Any, trained: set[sp.Symbol], f: Callable[[Any], Any]) -> Any:
    """e with f applied to the largest polynomials in it; the polynomial terms of a sum are one."""
    if not e.free_symbols & trained:
        return e
    if e.is_polynomial(*trained):
        return f(e)
    if e.is_Add:
        whole = [term for term in e.args if term.is_polynomial(*trained)]
        others = [rebuilt(term, trained, f) for term in e.args if term not in whole]
        return sp.Add(rebuilt(sp.Add(*whole), trained, f), *others)
    return e.func(*(rebuilt(a, trained, f) for a in e.args))


def unshifted(span: AffineSpan, shifts: Any) -> dict[Any, Any]:
    """What the letters may be replaced with: 0 for the last ones, z_i − Σ_k n_ki z_k for the others."""
    last = [max(i for i, a in enumerate(shifts[:, k]) if a) for k in range(shifts.cols)]
    moved = sp.Matrix(span.basis) - shifts * sp.Matrix([span.basis[k] for k in last])
    return {t: sp.expand(e) for t, e in zip(span.letters, moved, strict=True)}


def common_shifts(outer: Expression, letters: Sequence[sp.Symbol]) -> Any:
    """A basis of the n with F(t + sn) = F(t), as columns that are unit vectors in the last letters they can be; proved.

    None if there are none, or if they are not rational.
    """
    graph = Graph()
    slopes = [from_sympy(sp.diff(outer, t), graph) for t in letters]
    constants = sorted(outer.free_symbols - set(letters), key=str)
    rng = np.random.default_rng(SEED)
    points = rng.uniform(0.3, 1.2, (POINTS + 2 * len(letters), len(letters) + len(constants)))
    values = evaluate(Program.of({"slopes": Matrix.column(slopes)}), (*letters, *constants), points)["slopes"]
    values = values[np.isfinite(values).all(axis=1)]
    if len(values) < len(letters) + POINTS // 2:
        return None
    _, sizes, axes = np.linalg.svd(values, full_matrices=False)
    null = axes[sizes <= SAME * sizes.max()]
    basis = _echelon(null[:, ::-1])[:, ::-1]
    if not len(basis):
        return None
    exact: Any = sp.Matrix([[_rational(a) for a in row] for row in basis.tolist()])
    along = [graph.total(graph.lift(a.p) * s / a.q for a, s in zip(row, slopes, strict=True)) for row in exact.tolist()]
    return exact.T if all(zero_functions(along)) else None


def _rational(value: float) -> Any:
    fraction = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
    return sp.Rational(fraction.numerator, fraction.denominator)


def _echelon(rows: np.ndarray) -> np.ndarray:
    """The reduced row echelon form of independent rows."""
    rows = rows.copy()
    column = 0
    for k in range(len(rows)):
        while np.abs(rows[k:, column]).max() <= SAME:
            column += 1
        pivot = k + int(np.abs(rows[k:, column]).argmax())
        rows[[k, pivot]] = rows[[pivot, k]]
        rows[k] /= rows[k, column]
        others = np.arange(len(rows)) != k
        rows[others] -= np.outer(rows[others, column], rows[k])
    return rows
