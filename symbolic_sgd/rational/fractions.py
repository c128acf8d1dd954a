"""Rational functions, always cancelled: programs run in an exact fraction field, functions being further generators.

The polynomials are python-flint's where it is installed (the extra `exact`), else SymPy's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import sympy as sp
from sympy.polys.orderings import grevlex

from symbolic_sgd.algebra.graph import Exact
from symbolic_sgd.algebra.program import Output, Program, in_written_functions
from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.rational.division import Order, Terms, divided

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
        polynomial: one by its integer coefficients, exponents → coefficient.
        gcd: with a positive leading coefficient.
        quotient: exact division.
        terms: (exponents, coefficient) of a polynomial, the largest monomial first.
        factors: (content, [(factor, multiplicity), …]), irreducible where the library finds them.
        budget: of the arithmetic.
    """

    generators: tuple[Polynomial, ...]
    constant: Callable[[int], Polynomial]
    polynomial: Callable[[dict[tuple[int, ...], int]], Polynomial]
    gcd: Callable[[Polynomial, Polynomial], Polynomial]
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
        context.from_dict,
        lambda a, b: a.gcd(b),
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
    """SymPy finds a leading monomial several times faster in the lexicographic order, by which only signs and the order of terms differ."""
    polynomials, *generators = sp.ring([sp.Symbol(name) for name in names], sp.ZZ, "lex")
    one = polynomials.one

    def common(a: Polynomial, b: Polynomial) -> Polynomial:
        divisor = a.gcd(b)
        return -divisor if divisor and divisor[max(divisor, key=grevlex)] < 0 else divisor

    return Ring(
        tuple(generators),
        lambda value: polynomials(value),
        polynomials.from_dict,
        common,
        lambda a, b: a if b == one else a.exquo(b),
        lambda p: [(tuple(e), int(p[e])) for e in sorted(p, key=grevlex, reverse=True)],
        lambda p: _plain_factors(*p.factor_list()),
        Budget(terms=400, products=1_000_000),
    )


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
        common = self.ring.gcd(numerator, denominator)
        return self.held(self.ring.quotient(numerator, common), self.ring.quotient(denominator, common))

    def held(self, numerator: Polynomial, denominator: Polynomial) -> "Ratio":
        """numerator/denominator that have nothing in common."""
        self.ring.budget.held(numerator, denominator)
        return Ratio(self, numerator, denominator)

    def constant(self, value: Exact) -> "Ratio":
        exact = Fraction(value)
        return Ratio(self, self.ring.constant(exact.numerator), self.ring.constant(exact.denominator))

    def terms(self, p: Polynomial) -> Terms:
        """A polynomial by its exponents."""
        return {e: Fraction(c) for e, c in self.ring.terms(p)}

    def polynomial(self, terms: Terms, factor: int = 1) -> Polynomial:
        """The way back, times a factor that makes every coefficient an integer."""
        return self.ring.polynomial({e: int(c * factor) for e, c in terms.items()})

    def quotient(self, above: Terms, below: Terms) -> "Ratio":
        """above/below, cancelled."""
        denominators = lcm(*(c.denominator for c in (*above.values(), *below.values())))
        return self.element(self.polynomial(above, denominators), self.polynomial(below, denominators))

    def remainder(self, p: Polynomial, rules: Sequence[Terms], order: Order) -> Terms:
        """What the leading monomials of the rules leave of a polynomial."""
        return divided(self.terms(p), rules, order)[1]

    def lowered(self, ratio: "Ratio", rules: Sequence[Terms], order: Order) -> "Ratio":
        """The same function where the rules vanish: numerator and denominator reduced by them, then cancelled."""
        parts = self.terms(ratio.numerator), self.terms(ratio.denominator)
        above, below = rest = tuple(divided(p, rules, order)[1] for p in parts)
        return self.quotient(above, below) if below and rest != parts else ratio


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
        shared = ring.gcd(a.denominator, b.denominator)
        left, right = ring.quotient(a.denominator, shared), ring.quotient(b.denominator, shared)
        ring.budget.multiplied(a.numerator, right)
        ring.budget.multiplied(b.numerator, left)
        numerator = a.numerator * right + b.numerator * left
        common = ring.gcd(numerator, shared)
        return self.field.held(ring.quotient(numerator, common), left * ring.quotient(b.denominator, common))

    def __neg__(self) -> "Ratio":
        return Ratio(self.field, -self.numerator, self.denominator)

    def __sub__(self, other: "Ratio") -> "Ratio":
        return self + -other

    def __mul__(self, other: "Ratio") -> "Ratio":
        ring = self.field.ring
        quotient, budget = ring.quotient, ring.budget
        budget.multiplied(self.numerator, other.denominator)
        budget.multiplied(other.numerator, self.denominator)
        first, second = ring.gcd(self.numerator, other.denominator), ring.gcd(other.numerator, self.denominator)
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


def run_exactly(program: Program, order: Order | None = None) -> ExactRun:
    """A program in its symbols and in the functions it calls, as independent generators; e^{−a} is 1/eᵃ.

    Args:
        program: what is run.
        order: by which each result is reduced by the relations of the functions; None leaves the results as they are.

    Raises:
        ExpressionTooLarge: an intermediate result outgrew the budget.
    """
    program = in_written_functions(program)
    field = _field(program)
    at = iter(field.ring.generators)
    one = field.ring.constant(1)
    registers: list[Ratio] = []
    called: Calls = []
    rules: list[Terms] = []
    for i in program.instructions:
        args = tuple(registers[a] for a in i.args)
        if i.op == "constant":
            registers.append(field.constant(i.value))
        elif i.op in _OPERATIONS:
            value = _OPERATIONS[i.op](*args)
            registers.append(field.lowered(value, rules, order) if rules and order else value)
        else:
            generator, known = Ratio(field, next(at), one), _known(called, i.op, args) if args else None
            registers.append(generator if known is None else known)
            called += [] if known else [(i.op, args, generator)]
            rules = [field.terms(p) for p in _relations(called)] if order else []
    relations = tuple(_relations(called))
    return ExactRun(field, {o.name: [registers[r] for r in o.registers] for o in program.outputs}, relations)


def _known(called: Calls, op: str, args: tuple[Ratio, ...]) -> Ratio | None:
    """A value by an earlier call, of the same function or of the exponential of the opposite."""
    for name, operands, value in called:
        if name == op and operands == args:
            return value
        if name == op == "exp" and operands == (-args[0],):
            return Ratio(value.field, value.denominator, value.numerator)
    return None


def _relations(called: Calls) -> Iterator[Polynomial]:
    for first, args, _ in called:
        values = {name: value.numerator for name, operands, value in called if operands == args}
        for names, relation in _RELATIONS:
            if names[0] == first and all(name in values for name in names):
                yield relation(args[0], *(values[name] for name in names))


_RELATIONS: tuple[tuple[tuple[str, ...], Callable[..., Polynomial]], ...] = (
    (("sqrt",), lambda a, root: root * root * a.denominator - a.numerator),
    (("Abs",), lambda a, size: size * size * a.denominator * a.denominator - a.numerator * a.numerator),
    (("sign",), lambda a, sign: sign * sign - 1),
    (("Abs", "sign"), lambda a, size, sign: size * sign * a.denominator - a.numerator),
    (("Abs", "sign"), lambda a, size, sign: sign * a.numerator - size * a.denominator),
    (("sin", "cos"), lambda a, s, c: s * s + c * c - 1),
    (("sinh", "cosh"), lambda a, s, c: c * c - s * s - 1),
    (("tanh", "cosh"), lambda a, t, c: c * c - c * c * t * t - 1),
)
"""(functions, a ↦ a polynomial that vanishes for their values at a, where they are smooth)."""

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
