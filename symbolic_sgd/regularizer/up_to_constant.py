"""R is defined up to a constant: without what only adds one.

Where Γ is an orbit of linear symmetries, f is constant on each of its components if f′ = (Xx)ᵀ∇f ≡ 0 for every generator X. A factor f
with f′ = wf for a number w has the weight w, and a product of powers of such factors is constant where Σk_iw_i = 0 for every X.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, product
from math import prod
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression

Move = dict[sp.Symbol, Expression]
"""Xx by the parameters."""

MOST_TERMS = 8
"""Terms of a sum up to which each set of them is looked at."""

MOST_PRODUCTS = 2_000
"""Products of powers of factors that are looked at for a shorter one of the same weights."""


def up_to_constant(expression: Expression, parameters: Collection[sp.Symbol], moves: Sequence[Move] = ()) -> Expression:
    """The same function of the parameters, up to a constant: without terms that hold none of them, nor positive numbers that logarithms
    are taken of as factors; nor, on an orbit, terms and factors that are constant on it.

    Args:
        expression: R.
        parameters: what it is a function of.
        moves: X_1x … X_dx, which span the tangent space of Γ, if it is an orbit.

    >>> u, v = sp.symbols("u v")
    >>> up_to_constant(sp.log(u**2/2 + v/2)/4 + 3, [u, v])
    log(u**2 + v)/4
    >>> up_to_constant(sp.log(u**2*v**2*(u**2 + v**2))/4, [u, v], [{u: u, v: -v}])
    log(u**2 + v**2)/4
    """
    varying = set(parameters)
    number, rest = expression.as_independent(*varying, as_Add=False)
    if not rest.free_symbols & varying or _is_constant(rest, moves):
        return sp.S.Zero
    if rest.is_Add:
        kept = [up_to_constant(term, varying, moves) for term in _of_fewest_terms(rest.args, moves)]
        return number * sp.Add(*kept)
    if isinstance(rest, sp.log):
        return number * _logarithm(rest.args[0], moves)
    return expression


def _logarithm(argument: Any, moves: Sequence[Move]) -> Expression:
    if isinstance(argument, sp.Abs):
        return sp.log(sp.Abs(_of_fewest_factors(_without_number(argument.args[0]), moves, signed=True)))
    above, below = sp.fraction(_of_fewest_factors(_without_number(argument), moves, signed=False))
    return -sp.log(below) if above == 1 else sp.log(above / below)


def _without_number(argument: Any) -> Expression:
    """Without a positive rational factor, in the argument or in sums that it is a product of."""
    number, rest = argument.as_coeff_Mul()
    factors = []
    for factor in sp.Mul.make_args(rest):
        base, exponent = factor.as_base_exp()
        divided = base.is_Add and exponent.is_Integer and base.as_coeff_Add()[0] != 1  # 1 − ηλ/2 is written so
        factors.append(base.primitive()[1] ** exponent if divided else factor)
    return sp.Mul(sp.sign(number) if number.is_Rational else number, *factors)


# --- on an orbit ----------------------------------------------------------------------------


def _is_constant(function: Expression, moves: Sequence[Move]) -> bool:
    return bool(moves) and all(_weight(function, move) == 0 for move in moves)


def _of_fewest_terms(terms: Sequence[Expression], moves: Sequence[Move]) -> Sequence[Expression]:
    """The terms without the largest set of them whose sum is constant: x² + y² + z² is z² where x² + y² is."""
    slopes = [[_slope(term, move) for move in moves] for term in terms]
    polynomial = [k for k, term in enumerate(terms) if moves and term.is_polynomial(*moves[0])]
    if len(polynomial) > MOST_TERMS:
        return terms
    for size in range(len(polynomial), 0, -1):
        for chosen in combinations(polynomial, size):
            if all(sp.expand(sp.Add(*[slopes[k][a] for k in chosen])) == 0 for a in range(len(moves))):
                return [term for k, term in enumerate(terms) if k not in chosen]
    return terms


def _slope(function: Expression, move: Move) -> Expression:
    """f′, multiplied out."""
    return sp.expand(sp.Add(*[sp.diff(function, x) * along for x, along in move.items()]))


def _weight(factor: Expression, move: Move) -> Expression | None:
    """w with f′ = wf for every x, if it is a number."""
    if not factor.is_polynomial(*move):
        return None
    slope = _slope(factor, move)
    terms = sp.expand(factor)
    lead = sp.Add.make_args(terms)[0].as_independent(*move, as_Add=False)
    w = slope.coeff(lead[1]) / lead[0] if lead[1] != 1 else sp.S.Zero
    return w if not w.free_symbols & set(move) and sp.expand(slope - w * terms) == 0 else None


def _of_fewest_factors(argument: Expression, moves: Sequence[Move], *, signed: bool) -> Expression:
    """The argument with as few of its factors as have the same weights.

    Args:
        signed: whether the modulus is taken; else only what is seen to be positive is left out, or what leaves a sum of squares.
    """
    powers = [factor.as_base_exp() for factor in sp.Mul.make_args(argument)]
    weighed = [(base, k, [_weight(base, move) for move in moves]) for base, k in powers]
    known: list[tuple[Expression, int, Any]] = [
        (base, int(k), w) for base, k, w in weighed if k.is_Integer and k > 0 and None not in w
    ]
    if not moves:
        return argument
    for one, other in combinations(
        range(len(known)), 2
    ):  # most of what is constant is ab for factors of opposite weights
        (a, j, v), (b, k, w) = known[one], known[other]
        if all(sp.expand(sp.Add(x, y)) == 0 for x, y in zip(v, w, strict=True)):
            common = min(j, k) if signed else min(j, k) // 2 * 2
            argument = argument / (a * b) ** common
            known[one], known[other] = (a, j - common, v), (b, k - common, w)
    if prod(k + 1 for _, k, _ in known) > MOST_PRODUCTS:
        return argument
    for kept in sorted(product(*(range(k + 1) for _, k, _ in known)), key=sum):
        dropped = [k - left for (_, k, _), left in zip(known, kept, strict=True)]
        if any(sp.expand(total) != 0 for total in _total_weights(dropped, [w for _, _, w in known], len(moves))):
            continue
        rest = argument / sp.Mul(*[base**k for (base, _, _), k in zip(known, dropped, strict=True)])
        if signed or all(k % 2 == 0 for k in dropped) or positive_by_form(rest):
            return rest
    return argument


def _total_weights(powers: Sequence[int], weights: Sequence[Sequence[Any]], count: int) -> Iterator[Expression]:
    return (sp.Add(*[k * w[a] for k, w in zip(powers, weights, strict=True)]) for a in range(count))


def positive_by_form(function: Expression) -> bool:
    """Whether its form shows a function of real numbers not to be negative."""
    real = function.subs({s: sp.Dummy(real=True, positive=s.is_positive) for s in function.free_symbols})
    return bool(real.is_nonnegative)
