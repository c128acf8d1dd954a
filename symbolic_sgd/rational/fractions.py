"""Rational functions, always cancelled: programs run in an exact fraction field, functions being further generators.

The polynomials are python-flint's where it is installed (the extra `exact`), else SymPy's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.graph import Exact
from symbolic_sgd.algebra.program import Output, Program, in_written_functions
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import ExpressionTooLarge

try:
    import flint  # pyright: ignore[reportMissingImports]
except ImportError:
    flint = None

LARGEST_ARGUMENTS = 5000
"""Operations of all arguments of functions, written out, in a program that is run exactly."""

Polynomial = Any
"""An element of a ring of polynomials with integer coefficients, of whichever library."""


@dataclass
class Budget:
    """What exact arithmetic may cost before it is given up; counted in terms, so that it is the same on every machine.

    Args:
        terms: of a numerator and denominator together.
        products: of terms, over a whole computation.
    """

    terms: int
    products: int

    def multiplied(self, a: Polynomial, b: Polynomial) -> None:
        """Account for a product, or for a common divisor.

        Raises:
            ExpressionTooLarge: nothing is left.
        """
        self.products -= len(a) * len(b)
        if self.products < 0:
            raise ExpressionTooLarge("a computation with rational functions outgrew its budget")

    def held(self, a: Polynomial, b: Polynomial) -> None:
        """The same for a fraction a/b that is kept."""
        if len(a) + len(b) > self.terms:
            raise ExpressionTooLarge("a rational function outgrew the budget of its exact form")


@dataclass(frozen=True)
class Ring:
    """Z[x_1 … x_n] by one of the libraries, graded reverse lexicographic.

    Args:
        generators: x_1 … x_n.
        constant: an integer as a polynomial.
        quotient: exact division.
        terms: (exponents, coefficient) of a polynomial, the largest monomial first.
        factors: (content, [(factor, multiplicity), …]), irreducible where the library finds them.
        budget: of the arithmetic.
    """

    generators: tuple[Polynomial, ...]
    constant: Callable[[int], Polynomial]
    quotient: Callable[[Polynomial, Polynomial], Polynomial]
    terms: Callable[[Polynomial], list[tuple[tuple[int, ...], int]]]
    factors: Callable[[Polynomial], tuple[int, list[tuple[Polynomial, int]]]]
    budget: Budget


def ring(names: Sequence[str]) -> Ring:
    """The ring over generators of these names."""
    return _sympy_ring(names) if flint is None else _flint_ring(names)


def _flint_ring(names: Sequence[str]) -> Ring:
    context = flint.fmpz_mpoly_ctx.get(list(names), "degrevlex")  # pyright: ignore[reportOptionalMemberAccess]
    return Ring(
        tuple(context.gens()),
        lambda value: context.constant(value),
        lambda a, b: a // b,
        lambda p: [(tuple(map(int, e)), int(c)) for e, c in zip(p.monoms(), p.coeffs(), strict=True)],
        _flint_factors,
        Budget(terms=800, products=1_000_000),
    )


def _flint_factors(p: Polynomial) -> tuple[int, list[tuple[Polynomial, int]]]:
    """As far as python-flint gets: it sorts the factors, and coefficients beyond the machine's integers are too large for that."""
    for factored in (p.factor, p.factor_squarefree):
        with suppress(OverflowError):
            return _plain_factors(*factored())
    return 1, [(p, 1)]


def _sympy_ring(names: Sequence[str]) -> Ring:
    polynomials, *generators = sp.ring([sp.Symbol(name) for name in names], sp.ZZ, "grevlex")
    return Ring(
        tuple(generators),
        lambda value: polynomials(value),
        lambda a, b: a.exquo(b),
        lambda p: [(tuple(e), int(c)) for e, c in p.terms()],
        lambda p: _plain_factors(*p.factor_list()),
        Budget(terms=400, products=1_000_000),
    )


Terms = dict[tuple[int, ...], Fraction]
"""A polynomial with rational coefficients, exponents → coefficient."""


Order = Callable[[tuple[int, ...]], tuple[int, ...]]
"""The key of a monomial order, a tuple of integers: the larger key leads."""


def divided(terms: Terms, divisors: Sequence[Terms], order: Order) -> tuple[list[Terms], Terms]:
    """Quotients and remainder: terms = Σ quotient·divisor + remainder, no term of which a leading monomial divides."""
    rest, remainder = dict(terms), {}
    quotients: list[Terms] = [{} for _ in divisors]
    heads = [max(d, key=order) for d in divisors]
    queue = [_last_first(monomial, order) for monomial in rest]
    heapify(queue)
    while rest:
        _, monomial = heappop(queue)
        if monomial not in rest:
            continue  # cancelled since it was queued
        for divisor, head, quotient in zip(divisors, heads, quotients, strict=True):
            shift = tuple(a - b for a, b in zip(monomial, head, strict=True))
            if min(shift) >= 0:
                ratio = rest[monomial] / divisor[head]
                quotient[shift] = quotient.get(shift, Fraction(0)) + ratio
                for place in _subtracted(rest, divisor, shift, ratio):
                    heappush(queue, _last_first(place, order))
                break
        else:
            remainder[monomial] = rest.pop(monomial)
    return quotients, remainder


def _last_first(monomial: tuple[int, ...], order: Order) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(-a for a in order(monomial)), monomial


def _subtracted(rest: Terms, divisor: Terms, shift: tuple[int, ...], ratio: Fraction) -> Iterator[tuple[int, ...]]:
    """rest − ratio·x^shift·divisor in place; the monomials that it did not hold before."""
    for exponents, c in divisor.items():
        place = tuple(a + b for a, b in zip(exponents, shift, strict=True))
        if place not in rest:
            rest[place] = -ratio * c
            yield place
            continue
        rest[place] -= ratio * c
        if not rest[place]:
            del rest[place]


def graded(exponents: tuple[int, ...]) -> tuple[int, ...]:
    """The key of the graded reverse lexicographic order."""
    return sum(exponents), *(-e for e in reversed(exponents))


def led_by(k: int) -> Order:
    """The key of the graded order in which, at equal degree, the power of x_k decides first."""
    return lambda exponents: (sum(exponents), exponents[k], *graded(exponents))


def _plain_factors(content: Any, factors: Any) -> tuple[int, list[tuple[Polynomial, int]]]:
    return int(content), [(p, int(k)) for p, k in factors]


@dataclass(frozen=True)
class Field:
    """The fractions of a ring, with the SymPy expression that each generator stands for."""

    ring: Ring
    meanings: tuple[Expression, ...]

    def element(self, numerator: Polynomial, denominator: Polynomial) -> "Ratio":
        """numerator/denominator, cancelled.

        Raises:
            ExpressionTooLarge: past the ring's budget of terms.
        """
        self.ring.budget.multiplied(numerator, denominator)
        common = numerator.gcd(denominator)
        return self.held(self.ring.quotient(numerator, common), self.ring.quotient(denominator, common))

    def held(self, numerator: Polynomial, denominator: Polynomial) -> "Ratio":
        """numerator/denominator that have nothing in common."""
        self.ring.budget.held(numerator, denominator)
        return Ratio(self, numerator, denominator)

    def constant(self, value: Exact) -> "Ratio":
        exact = Fraction(value)
        return Ratio(self, self.ring.constant(exact.numerator), self.ring.constant(exact.denominator))


@dataclass(frozen=True)
class Ratio:
    """A cancelled fraction of polynomials."""

    field: Field
    numerator: Polynomial
    denominator: Polynomial

    def __add__(self, other: "Ratio") -> "Ratio":
        a, b, ring = self, other, self.field.ring
        if not a.numerator:
            return b
        if not b.numerator:
            return a
        if a.denominator == b.denominator:
            return self.field.element(a.numerator + b.numerator, a.denominator)
        ring.budget.multiplied(a.denominator, b.denominator)
        # Only factors that the denominators share can cancel (Henrici 1956).
        shared = a.denominator.gcd(b.denominator)
        left, right = ring.quotient(a.denominator, shared), ring.quotient(b.denominator, shared)
        ring.budget.multiplied(a.numerator, right)
        ring.budget.multiplied(b.numerator, left)
        numerator = a.numerator * right + b.numerator * left
        common = numerator.gcd(shared)
        return self.field.held(ring.quotient(numerator, common), left * ring.quotient(b.denominator, common))

    def __neg__(self) -> "Ratio":
        return Ratio(self.field, -self.numerator, self.denominator)

    def __sub__(self, other: "Ratio") -> "Ratio":
        return self + -other

    def __mul__(self, other: "Ratio") -> "Ratio":
        quotient, budget = self.field.ring.quotient, self.field.ring.budget
        budget.multiplied(self.numerator, other.denominator)
        budget.multiplied(other.numerator, self.denominator)
        first, second = self.numerator.gcd(other.denominator), other.numerator.gcd(self.denominator)
        above = quotient(self.numerator, first), quotient(other.numerator, second)
        below = quotient(self.denominator, second), quotient(other.denominator, first)
        budget.multiplied(*above)
        budget.multiplied(*below)
        return self.field.held(above[0] * above[1], below[0] * below[1])

    def __truediv__(self, other: "Ratio") -> "Ratio":
        if not other.numerator:
            raise ZeroDivisionError("division by the rational function 0")
        return self * Ratio(self.field, other.denominator, other.numerator)


@dataclass(frozen=True)
class ExactRun:
    """A program's outputs as cancelled fractions.

    Args:
        field: of which they are elements.
        outputs: by name, row by row.
        relations: polynomials that vanish because the functions among the generators are what they are: (√a)² = a, …
    """

    field: Field
    outputs: Mapping[str, list[Ratio]]
    relations: tuple[Polynomial, ...]


Calls = list[tuple[str, tuple["Ratio", ...], "Ratio"]]
"""(function, arguments, value), one entry for each generator that is a function's value."""


def run_exactly(program: Program) -> ExactRun:
    """A program in its symbols and in the functions it calls, as independent generators; e^{−a} is 1/eᵃ.

    Raises:
        ExpressionTooLarge: an intermediate result outgrew the budget.
    """
    program = in_written_functions(program)
    field = _field(program)
    at = iter(field.ring.generators)
    one = field.ring.constant(1)
    registers: list[Ratio] = []
    called: Calls = []
    for i in program.instructions:
        args = tuple(registers[a] for a in i.args)
        if i.op == "constant":
            registers.append(field.constant(i.value))
        elif i.op in _OPERATIONS:
            registers.append(_OPERATIONS[i.op](*args))
        else:
            generator, known = Ratio(field, next(at), one), _known(called, i.op, args) if args else None
            registers.append(generator if known is None else known)
            called += [] if known else [(i.op, args, generator)]
    relations = tuple(_relations(called, one))
    return ExactRun(field, {o.name: [registers[r] for r in o.registers] for o in program.outputs}, relations)


def _known(called: Calls, op: str, args: tuple[Ratio, ...]) -> Ratio | None:
    """A value by an earlier call, of the same function or of the exponential of the opposite."""
    for name, operands, value in called:
        if name == op and operands == args:
            return value
        if name == op == "exp" and operands == (-args[0],):
            return Ratio(value.field, value.denominator, value.numerator)
    return None


def _relations(called: Calls, one: Polynomial) -> Iterator[Polynomial]:
    for name, args, value in called:
        g = value.numerator
        if name == "sqrt":
            (inner,) = args
            yield g * g * inner.denominator - inner.numerator
        for (first, second), relation in _BETWEEN.items():
            partner = next((p.numerator for other, a, p in called if other == second and a == args), None)
            if name == first and partner is not None:
                yield relation(g, partner, one)


_BETWEEN: Mapping[tuple[str, str], Callable[[Polynomial, Polynomial, Polynomial], Polynomial]] = {
    ("sin", "cos"): lambda s, c, one: s * s + c * c - one,
    ("sinh", "cosh"): lambda s, c, one: c * c - s * s - one,
    ("tanh", "cosh"): lambda t, c, one: c * c - c * c * t * t - one,
}
"""(f, g) → a polynomial that vanishes for f(a) and g(a)."""

_OPERATIONS: Mapping[str, Callable[..., Ratio]] = {
    "add": Ratio.__add__,
    "sub": Ratio.__sub__,
    "mul": Ratio.__mul__,
    "div": Ratio.__truediv__,
    "neg": Ratio.__neg__,
}


def _field(program: Program) -> Field:
    meanings = list(_opaque(program))
    return Field(ring([f"g{k}" for k in range(max(1, len(meanings)))]), tuple(meanings))


def _opaque(program: Program) -> Iterator[Expression]:
    """What is no rational operation: symbols, named constants and functions, as expressions."""
    opaque = [k for k, i in enumerate(program.instructions) if i.op != "constant" and i.op not in _OPERATIONS]
    inner = Program(program.instructions, (Output("meanings", (len(opaque), 1), tuple(opaque)),))
    return iter(inner.expand("meanings", budget=LARGEST_ARGUMENTS).flat()) if opaque else iter(())
