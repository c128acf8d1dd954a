"""Solving a system in closed form, one unknown after the other: linear and quadratic equations, and nothing else.

A solution is a candidate: quadratic equations have two roots, and which of them the flow takes is for the flow to say.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from math import gcd

import sympy as sp

from symbolic_sgd.algebra.operations import operations
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix

Solution = dict[sp.Symbol, Expression]

LARGEST_EQUATION = 400
"""Operations of an equation up to which a solution is sought."""

LARGEST_SYMBOLIC = 3
"""Equations of a linear system whose matrix holds symbols, up to which it is solved."""

LARGEST_POWER = 100
"""Powers of an unknown up to which an equation is looked at as a polynomial."""


def candidates(equations: Sequence[Expression], unknowns: Sequence[sp.Symbol]) -> Iterator[Solution]:
    """Solutions of `equations` = 0; unknowns declared positive are sought positive, the others real.

    >>> E, a, b = sp.Symbol("E", positive=True), *sp.symbols("a b")
    >>> next(candidates([a*E**2 - 4*E - b], [E]))
    {E: (sqrt(a*b + 4) + 2)/a}
    """
    if not unknowns:
        yield {}
        return
    if any(operations(e) > LARGEST_EQUATION or _highest_power(e, unknowns) > LARGEST_POWER for e in equations):
        return
    joint = _linear_solution(equations, unknowns)
    if joint is not None:
        yield joint
        return
    single = next(((e, t) for e in equations for t in unknowns if e.free_symbols & set(unknowns) == {t}), None)
    if single is None:
        return
    equation, unknown = single
    others = [t for t in unknowns if t != unknown]
    for root in roots(equation, unknown):
        rest = [e.xreplace({unknown: root}) for e in equations if e is not equation]
        for solution in candidates(rest, others):
            yield {unknown: root, **solution}


def _highest_power(equation: Expression, unknowns: Sequence[sp.Symbol]) -> Expression:
    powers = [p.exp for p in equation.atoms(sp.Pow) if p.base in unknowns and p.exp.is_Rational]
    return max(map(abs, powers), default=sp.S.One)


def _linear_solution(equations: Sequence[Expression], unknowns: Sequence[sp.Symbol]) -> Solution | None:
    """The solution of a square system that is affine in all unknowns, with a matrix of numbers (or constants)."""
    if len(equations) != len(unknowns):
        return None
    matrix: SymbolicMatrix = sp.Matrix([[sp.expand(sp.diff(e, t)) for t in unknowns] for e in equations])
    numeric = all(entry.is_number for entry in matrix)
    if matrix.free_symbols & set(unknowns) or not (numeric or matrix.rows <= LARGEST_SYMBOLIC):
        return None
    if sp.expand(sp.radsimp(matrix.det(method="berkowitz"))) == 0:
        return None
    right = [-e.xreplace(dict.fromkeys(unknowns, sp.S.Zero)) for e in equations]
    solved = matrix.inv(method="ADJ") * sp.Matrix(right)
    tidy = (lambda e: sp.expand(sp.radsimp(e))) if numeric else sp.cancel
    return {t: tidy(value) for t, value in zip(unknowns, solved, strict=True)}


def roots(equation: Expression, unknown: sp.Symbol) -> list[Expression]:
    """Real roots of an equation that, cleared of denominators, is linear or quadratic in a power of its unknown."""
    numerator = sp.numer(sp.together(equation))
    if not numerator.is_polynomial(unknown):
        return []
    polynomial = sp.Poly(numerator, unknown)
    lowest = min(power for (power,) in polynomial.monoms())
    powers = {power - lowest: c for (power,), c in polynomial.terms()}
    at_zero = [sp.S.Zero] if lowest and not unknown.is_positive else []
    step = reduce(gcd, powers)
    if step == 0 or max(powers) > 2 * step:
        return at_zero if step == 0 else []
    c0, c1, c2 = (powers.get(k * step, sp.S.Zero) for k in range(3))
    squares = [-c0 / c1] if c2 == 0 else _quadratic(c2, c1, c0)
    if unknown.is_positive or step % 2 == 0:
        found = [sp.root(square, step) for square in squares]
        return found if unknown.is_positive else [*found, *[-root for root in found], *at_zero]
    return [*(sp.sign(square) * sp.root(sp.Abs(square), step) if step > 1 else square for square in squares), *at_zero]


def _quadratic(a: Expression, b: Expression, c: Expression) -> list[Expression]:
    """Both roots of a s² + b s + c, each written so that nothing cancels where the sign of b is known."""
    number, _ = a.as_independent(*a.free_symbols, as_Add=False)
    a, half, opposite = (sp.expand(sp.radsimp(e / number)) for e in (a, -b / 2, -c))
    radical = sp.sqrt(half**2 + a * opposite)
    if half.is_negative:
        return [opposite / (radical - half), (half - radical) / a]
    return [(half + radical) / a, (half - radical) / a]


def contracted(expression: Expression) -> Expression:
    """Products of powers with one exponent as one power of their expanded product, wherever that is not longer.

    >>> u, v = sp.symbols("u v")
    >>> contracted((u - v)**2*(u + v)**2 + 4), contracted((u - v)*sp.Abs(u + v))
    ((u**2 - v**2)**2 + 4, (u**2 - v**2)*sign(u + v))
    """
    signed = expression.replace(lambda e: e.is_Pow and isinstance(e.base, sp.Abs) and e.exp.is_Integer, _signed_power)
    signed = signed.replace(lambda e: isinstance(e, sp.Abs), lambda e: e.args[0] * sp.sign(e.args[0]))
    products = signed.replace(lambda e: e.is_Mul, _contracted_product)
    return min(products, sp.factor_terms(products), key=operations)


def _signed_power(power: sp.Pow) -> Expression:
    (argument,) = power.base.args
    return argument**power.exp * (sp.sign(argument) if power.exp % 2 else 1)


def _contracted_product(product: sp.Mul) -> Expression:
    sums: dict[Expression, list[Expression]] = {}
    others = []
    for factor in product.args:
        base, exponent = factor.as_base_exp()
        if base.is_Add and base.is_polynomial() and exponent.is_Integer:
            sums.setdefault(exponent, []).append(base)
        else:
            others.append(factor)
    return sp.Mul(*others, *[_shorter(sp.Mul(*bases)) ** exponent for exponent, bases in sums.items()])


def _shorter(product: Expression) -> Expression:
    expanded = sp.expand(product)
    return expanded if operations(expanded) <= operations(product) else product
