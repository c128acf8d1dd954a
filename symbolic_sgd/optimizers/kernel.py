"""The stationary covariance across Γ by a kernel of pairs of curvatures, (C)_ij = k(λ_i, λ_j)Σ_ij in H's eigenvectors.

Plain SGD's is the inverse of the Lyapunov operator, k(a, b) = 1/(a + b). A rational kernel needs no eigenvectors: C is a
polynomial in H on both sides of Σ (algebra/lyapunov.py); any other needs the curvatures themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.reading import reading_cost
from symbolic_sgd.algebra.translation import Expression, from_sympy

Polynomial = Mapping[tuple[int, int], Expression]
"""{(i, j): c}: the sum of c aⁱbʲ, symmetric in a and b."""

Coefficients = Mapping[tuple[int, int], Node]
"""The same with nodes."""

A, B = (sp.Dummy(name, dummy_index=n, positive=True) for n, name in enumerate("ab"))
"""The letters of a kernel: equal to no symbol that anybody can state, whatever its name, and to themselves in every process."""

NAMES = "ab", "lm", "pq", "st", "xy"
"""What the letters are called in print: the first pair of names that the symbols of the kernel leave free."""

LARGEST_POWER = 8
"""Of a polynomial: beyond it float64 loses its digits in what is multiplied out (10⁻⁸ of them at degree 22), and the rest is slow."""

ONE_THIRD = sp.Rational(1, 3)
"""A value that every symbol of an optimizer may have."""


@dataclass(frozen=True)
class Kernel:
    """k(a, b) = k(b, a), positive for 0 < a, b < λ*, where λ* is the edge of stability.

    Args:
        name: of the operator C = k(Σ), in words.
        function: k, whose coefficients may hold the optimizer's own symbols.
        coprime: its numerator and denominator, where they are known to have no common factor.

    >>> LYAPUNOV.weight(1.0, 3.0)
    0.25
    """

    name: str
    function: sp.Lambda
    coprime: tuple[Expression, Expression] | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(name: str, expression: Any) -> "Kernel":
        """The kernel of an expression in the letters `A` and `B`: as it is given, or in lowest terms where that is less to read."""
        given = Kernel(name, sp.Lambda((A, B), expression))
        if not given.by_polynomials:
            return given
        above, below = given._fraction
        return min(given, Kernel(name, sp.Lambda((A, B), above / below)), key=lambda k: reading_cost(k.function(A, B)))

    @staticmethod
    def of_coprime(name: str, above: Any, below: Any) -> "Kernel":
        """The kernel of two polynomials without a common factor: none is looked for, which takes minutes where they are long."""
        return Kernel(name, sp.Lambda((A, B), above / below), (above, below))

    def scaled(self, factor: Expression) -> "Kernel":
        """factor·k."""
        if factor == 1:
            return self
        coprime = None if self.coprime is None else (factor * self.coprime[0], self.coprime[1])
        return Kernel(f"{factor} times {self.name}", sp.Lambda((A, B), factor * self.function(A, B)), coprime)

    @property
    def symbols(self) -> frozenset[sp.Symbol]:
        """What its coefficients hold."""
        return frozenset(s for s in self.function.free_symbols if isinstance(s, sp.Symbol))

    @cached_property
    def by_polynomials(self) -> bool:
        """Whether it is a quotient of polynomials of moderate degree in the curvatures."""
        return by_polynomials(self.function(A, B), A, B)

    @cached_property
    def shown(self) -> sp.Lambda:
        """k in letters to be read."""
        return self.shown_beside(())

    def shown_beside(self, symbols: Iterable[sp.Symbol]) -> sp.Lambda:
        """k in letters that are none of some symbols."""
        taken = {s.name for s in (*self.symbols, *symbols)}
        names = next((pair for pair in NAMES if not taken & set(pair)), None)
        if names is None:
            return self.function
        first, second = (sp.Symbol(name, positive=True) for name in names)
        return sp.Lambda((first, second), self.function(first, second))

    @cached_property
    def numerator(self) -> Polynomial:
        """Of k in lowest terms."""
        return _polynomial(self._fraction[0])

    @cached_property
    def denominator(self) -> Polynomial:
        """Of k in lowest terms."""
        return _polynomial(self._fraction[1])

    @cached_property
    def diagonal(self) -> Expression:
        """k(a, a), in lowest terms."""
        return with_positive_factors(self.function(A, A))

    @cached_property
    def mixed(self) -> Expression:
        """a k(a, 0), in lowest terms: 1 for SGD at any learning rate. It weights what is correlated with the noise along Γ."""
        return with_positive_factors(A * self.function(A, 0))

    def on(self, graph: Graph) -> tuple[Coefficients, Coefficients]:
        """The coefficients of numerator and denominator as nodes of a graph."""
        above, below = (
            {place: from_sympy(c, graph) for place, c in polynomial.items()}
            for polynomial in (self.numerator, self.denominator)
        )
        return above, below

    def weight(self, a: Any, b: Any, values: Mapping[sp.Symbol, Any] | None = None) -> Any:
        """k(a, b), for numbers or arrays, with values of its symbols."""
        known = values or {}
        names = sorted(self.symbols, key=str)
        return sp.lambdify([A, B, *names], self.function(A, B), "numpy")(a, b, *(known[s] for s in names))

    @cached_property
    def _fraction(self) -> tuple[Expression, Expression]:
        """In lowest terms, with a denominator that is positive near (0, 0), as k is: it grows there like a + b times a number of constant
        sign."""
        above, below = self.coprime or sp.fraction(sp.cancel(self.function(A, B)))
        slope = sp.diff(below, A).subs({A: 0, B: 0})
        constant = below.subs({A: 0, B: 0})
        sign = (constant if constant != 0 else slope).subs(dict.fromkeys(self.symbols, ONE_THIRD))
        return (-above, -below) if sign < 0 else (above, below)


def by_polynomials(expression: Any, *letters: sp.Symbol) -> bool:
    """Whether an expression is a quotient of polynomials of moderate degree, as it is written.

    >>> by_polynomials(A / (1 + A), A), by_polynomials((1 - A) ** 100, A), by_polynomials(sp.exp(A), A)
    (True, False, False)
    """
    powers = (p.exp for p in expression.atoms(sp.Pow) if p.has(*letters))
    most = LARGEST_POWER * (3 - len(letters))  # on the diagonal, a = b, degrees double
    return bool(expression.is_rational_function(*letters)) and all(abs(e) <= most for e in powers)


def with_positive_factors(expression: Expression) -> Expression:
    """A rational function of `A` in lowest terms, in factors whose lowest power of `A` has a positive coefficient, and a sign.

    >>> with_positive_factors(-4 / (A - 8)).subs(A, sp.Symbol("a"))
    4/(8 - a)
    """
    if not by_polynomials(expression, A):
        return expression
    turned = [_turned(factor) for factor in sp.Mul.make_args(sp.factor(sp.cancel(expression)))]
    return sp.Mul(*(sign for sign, _ in turned), *(factor for _, factor in turned))


def _turned(factor: Expression) -> tuple[int, Expression]:
    """(s, f) with s·f the factor."""
    base, exponent = factor.as_base_exp()
    lowest = sp.Poly(base, A).coeffs()[-1]  # of the lowest power
    negative = lowest.subs(dict.fromkeys(lowest.free_symbols, ONE_THIRD)) < 0
    return (-1 if int(exponent) % 2 else 1, (-base) ** exponent) if negative else (1, factor)


def _polynomial(expression: Expression) -> Polynomial:
    return {(int(i), int(j)): c for (i, j), c in sp.Poly(expression, A, B).terms()}


LYAPUNOV = Kernel.of("the inverse of the Lyapunov operator", 1 / (A + B))
"""Of SGD at a learning rate that tends to 0."""
