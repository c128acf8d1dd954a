"""R on all fibres, as a sum of terms that are not negative: that of a model whose labels are moved until it fits them.

With residuals f_i that know of F only, ∇²L = Σ_i k_i ∇f_i∇f_iᵀ where they vanish, and their gradients do not know of the labels. So
R = (c/4) Σ_i k_i ‖∇f_i‖² for Σ_⊥ = c∇²L, (s²/4) ln det(FᵀF) for Σ_⊥ = s²(I − ∂Φ), and (√κ/2) Σ_p (Σ_i k_i (∂_pf_i)²)^½ where second
moments have settled (RMSprop, Adam), say what R is on every fibre.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from symbolic_sgd.algebra.precision import mp
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import ExpressionTooLarge, NoClosedForm
from symbolic_sgd.optimizers.second_moments import SlowSecondMoments
from symbolic_sgd.regularizer.joint_potential import quasi_static_regularizer
from symbolic_sgd.regularizer.regularizer import find_regularizer
from symbolic_sgd.theorem.derivation import Derivation
from symbolic_sgd.theorem.normal_space import ComposedFrame

LARGEST_POLYNOMIAL = 9
"""Parameters of a characteristic polynomial that is written out."""

LARGEST_MINORS = 400
"""Minors of F whose squares are written as terms."""


@dataclass(frozen=True)
class Natural:
    """R as terms, and what it is on fibres.

    Args:
        terms: not negative anywhere; their sum is R, or what the logarithm is taken of.
        logarithm: (a, b) where R = a ln(Σ terms) + b, else None.
        levels: f_i, of which the loss is a function; () where R is only known on Γ.
        words: what this R is off the β of the data.
    """

    terms: tuple[Expression, ...]
    logarithm: tuple[Expression, Expression] | None
    levels: tuple[Expression, ...]
    words: str


ON_FIBRES = "R is that of the same model with labels that x fits: for β that the data allow it is the R of this problem"
ON_MANIFOLD = "R is written as it is on Γ, so that R̂ is what the limit descends only for β that the data allow"


def natural_regularizer(derivation: Derivation) -> Natural:
    """R of a derivation.

    Raises:
        Undecided: R was neither found nor excluded.
        NoClosedForm: there is no R.
    """
    known = _weighted_levels(derivation)
    if known is not None:
        levels, weights = known
        terms = _of_noise(derivation, levels, weights)
        if terms is not None and _agrees(derivation, levels, weights):
            return Natural(*terms, levels, ON_FIBRES)
    expression = _stated(derivation)
    return Natural((expression,), None, (), ON_MANIFOLD)


def _stated(derivation: Derivation) -> Expression:
    """The regularizer that was found.

    Raises:
        NoClosedForm: there is none.
    """
    if isinstance(derivation.optimizer, SlowSecondMoments):
        settled = quasi_static_regularizer(derivation)
        assert settled is not None
        return settled
    found = find_regularizer(derivation)
    if found.expression is None:
        raise NoClosedForm(
            f"there is no R of which a least value on fibres could be asked: {found.words}. Give one of your own as regularizer=…"
        )
    return found.expression


def trained_parameters(derivation: Derivation) -> tuple[sp.Symbol, ...]:
    """x, without slow second moments."""
    own = derivation.optimizer
    parameters = derivation.problem.parameters
    return tuple(own.parted(derivation.problem)[0]) if isinstance(own, SlowSecondMoments) else parameters


def levels_of(derivation: Derivation) -> tuple[Expression, ...]:
    """f_i of which the loss is a function, where they are known."""
    known = _weighted_levels(derivation)
    return () if known is None else known[0]


def _weighted_levels(derivation: Derivation) -> tuple[tuple[Expression, ...], tuple[Expression, ...]] | None:
    """f_i and k_i > 0 with ∇²L = Σ k_i ∇f_i∇f_iᵀ on Γ; None where they are not known."""
    problem = derivation.problem
    trained = set(problem.parameters)
    if problem.residuals:
        return problem.residuals, (sp.Rational(1, len(problem.residuals)),) * len(problem.residuals)
    space = derivation.normal_space
    if not isinstance(space, ComposedFrame) or "levels" not in derivation.equations.names:
        return None
    try:
        curvature = space.curvature.expand("curvature")
        levels = tuple(derivation.equations.expand("levels").flat())
    except ExpressionTooLarge:
        return None
    weights = tuple(curvature.diagonal())
    plain = (
        curvature.is_diagonal() and not any(w.free_symbols & trained for w in weights) and len(levels) == len(weights)
    )
    return (levels, weights) if plain and all(w.is_positive for w in weights) else None


def _of_noise(
    derivation: Derivation, levels: Sequence[Expression], weights: Sequence[Expression]
) -> tuple[tuple[Expression, ...], tuple[Expression, Expression] | None] | None:
    """(terms, logarithm) by what the noise and the optimizer are; None where R is none of these."""
    parameters = trained_parameters(derivation)
    slopes = [[_slope(f, p) for p in parameters] for f in levels]
    squares = [
        sp.Add(*[w * row[j] ** 2 for w, row in zip(weights, slopes, strict=True)]) for j in range(len(parameters))
    ]
    optimizer, proportion, isotropy = derivation.optimizer, derivation.proportion, derivation.isotropy
    if isinstance(optimizer, SlowSecondMoments):
        _stated(derivation)  # which says why there is none
        own = optimizer.second_moments(derivation.problem)
        moments = own.of(lambda i, j: proportion * _product(weights, slopes, i, j)) if own is not None else []
        total = optimizer.primitive(moments) / 4
        return tuple(t for t in sp.Add.make_args(total) if t != 0), None
    if not derivation.response.is_lyapunov or optimizer.metric(derivation.problem) is not None:
        return None
    if "mixed_regularization" not in derivation.zeros or optimizer.curvature_regularizes:
        return None
    if proportion is not None and proportion.is_positive:
        return tuple(proportion / 4 * s for s in squares if s != 0), None
    if isotropy is not None and isotropy.is_positive:
        m = derivation.codimension
        product = _squared_minors(slopes, m) if len(levels) == m else _symmetric_function(slopes, m)
        return None if product is None else (product, (isotropy / 4, sp.S.Zero))
    return None


def _slope(level: Expression, parameter: sp.Symbol) -> Expression:
    """∂_p f; over one denominator where f is no polynomial, so that what cancels does."""
    slope = sp.diff(level, parameter)
    return slope if slope.is_polynomial() else sp.factor(sp.together(slope))


def _product(weights: Sequence[Expression], slopes: Sequence[Sequence[Expression]], i: int, j: int) -> Expression:
    return sp.Add(*[w * row[i] * row[j] for w, row in zip(weights, slopes, strict=True)])


def _squared_minors(slopes: Sequence[Sequence[Expression]], m: int) -> tuple[Expression, ...] | None:
    """det(FᵀF) as a sum of squares (Cauchy and Binet)."""
    count = len(slopes[0])
    if comb(count, m) > LARGEST_MINORS:
        return None
    matrix: Any = sp.Matrix(slopes)
    minors = (
        sp.factor_terms(sp.expand(matrix[:, list(c)].det(method="berkowitz"))) for c in combinations(range(count), m)
    )
    return tuple(minor**2 for minor in minors if minor != 0)


def _symmetric_function(slopes: Sequence[Sequence[Expression]], m: int) -> tuple[Expression, ...] | None:
    """e_m of the eigenvalues of FᵀF where gradients are dependent, as monomials that are squares; None where some are not."""
    matrix: Any = sp.Matrix(slopes)
    symbols = sorted(matrix.free_symbols, key=str)
    if matrix.cols > LARGEST_POLYNOMIAL or not all(e.is_polynomial(*symbols) for e in matrix):
        return None
    coefficients = DomainMatrix.from_Matrix((matrix.T * matrix).applyfunc(sp.expand)).to_field().charpoly()
    domain = DomainMatrix.from_Matrix((matrix.T * matrix).applyfunc(sp.expand)).to_field().domain
    product = sp.Poly(sp.cancel(domain.to_sympy(coefficients[m]) * (-1) ** m), *symbols)
    even = all(c.is_positive and not any(k % 2 for k in powers) for powers, c in product.terms())
    return sp.Add.make_args(product.as_expr()) if even else None


def _agrees(derivation: Derivation, levels: Sequence[Expression], weights: Sequence[Expression]) -> bool:
    """Whether Σ k_i‖∇f_i‖² is tr ∇²L at the points of the derivation, to 40 digits.

    It is so by the formulas above; a mistake in reading f_i or k_i would be seen here.
    """
    parameters, loss = trained_parameters(derivation), derivation.problem.loss
    lengths = [w * sp.diff(f, p) ** 2 for w, f in zip(weights, levels, strict=True) for p in parameters]
    trace, apart = sp.Add(*[sp.diff(loss, p, 2) for p in parameters]), sp.Add(*lengths)
    for point in derivation.points:
        at: Mapping[Any, Any] = {s: sp.Float(mp.nstr(v, 60), 60) for s, v in point.items()}
        known = sp.N(trace.xreplace(dict(at)), 50)
        if abs(sp.N(apart.xreplace(dict(at)), 50) - known) > sp.Float(10) ** -40 * abs(known):
            return False
    return True
