"""How a person would write an expression: what it costs to read, which term stands first, which number before a bracket."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix

BRACKETS = 2
"""What a pair of brackets costs."""

SPLIT = 3
"""What a sum costs more that has fractions among its terms: a person writes one."""

SHARED = 5
"""What a sum costs more whose terms share a letter, or a number inside a product: a person takes it out."""

REMEMBERED = 1 << 14
"""Costs that are kept: a sum inside a sum would be read twice at each depth."""


@lru_cache(maxsize=REMEMBERED)
def reading_cost(expression: Expression) -> int:
    """How much there is to read: letters, digits, signs, brackets and fraction bars; an exponent counts by its binary digits.

    >>> u, v = sp.symbols("u v")
    >>> reading_cost(u*(v**2 - u**2)), reading_cost(u*(v - u)*(u + v))
    (8, 11)
    """
    e: Any = expression
    if e.is_Symbol:
        return 1
    if (
        e.is_Rational
    ):  # whether anything else is zero would be asked of all that SymPy knows: most of the time of writing
        return 0 if e == 0 else _digits(e.p) + (1 + _digits(e.q) if e.q > 1 else 0) + (e.p < 0)
    if e.is_Add:
        content, primitive = _common_number(e)
        return min(_sum(e), _product(content, [primitive]))
    if e.is_Mul:
        content, rest = e.as_coeff_Mul()
        return _product(content, sp.Mul.make_args(rest))
    if e.is_Pow:
        return _product(sp.S.One, [e])
    return (
        1 + BRACKETS * bool(e.args) + sum(map(reading_cost, e.args)) if isinstance(e, sp.Function) else 1 + _all(e.args)
    )


def positive_first(terms: Sequence[Expression]) -> list[Expression]:
    """The terms of a sum in their order; where a negative one would lead, the positive ones before the negative ones.

    >>> x = sp.Symbol("x"); positive_first([-x**2, sp.S(1)])
    [1, -x**2]
    """
    return sorted(terms, key=is_negative) if is_negative(terms[0]) else list(terms)


def with_common_factors(expression: Expression | SymbolicMatrix) -> Expression | SymbolicMatrix:
    """The number that the terms of a sum share, or of the sums in a product, before the bracket where that is less to read.

    For printing: SymPy multiplies it out again. Of a matrix, each entry.

    >>> u, v = sp.symbols("u v"); with_common_factors(u**2/4 + v**2/4), with_common_factors(u*(u/2 + v/2))
    ((u**2 + v**2)/4, u*(u + v)/2)
    """
    if isinstance(expression, sp.MatrixBase):
        return expression.applyfunc(with_common_factors)
    if isinstance(expression, sp.MatrixExpr):
        return expression
    if expression.is_Mul:
        return _without_contents(expression)
    if not expression.is_Add:
        return expression
    content, primitive = _common_number(expression)
    nested = _has_fractions(primitive) and not content.is_Integer
    if nested or _product(content, [primitive]) >= _sum(expression):
        return expression
    return sp.Mul(content, primitive, evaluate=False)


def _without_contents(product: Any) -> Expression:
    """A product whose sums share no numbers: these stand before it."""
    number, rest = product.as_coeff_Mul()
    powers: dict[Any, Any] = {}
    for factor in sp.Mul.make_args(rest):
        base, exponent = factor.as_base_exp()
        if base.is_Add and exponent.is_Integer:
            content, base = (sp.S.One, base) if _has_fractions(base) else _common_number(base)
            opposite = -base in powers
            number *= (-content if opposite else content) ** exponent
            base = -base if opposite else base
        powers[base] = powers.get(base, 0) + exponent
    factors = [base**exponent for base, exponent in powers.items()]
    if factors == list(sp.Mul.make_args(rest)):
        return product
    return sp.Mul(*([] if number == 1 else [number]), *factors, evaluate=False)


def over_one_denominator(matrix: SymbolicMatrix) -> tuple[Expression, SymbolicMatrix]:
    """A factor c/d and the matrix that it multiplies, where all entries but zeros have one denominator.

    They may differ by numbers, and beside sums by powers of letters; c holds the numbers and the sums that the entries share, and a
    sign that all have. Of other matrices, 1 and the matrix.

    >>> u, v = sp.symbols("u v"); over_one_denominator(sp.ImmutableMatrix([u/(2*v), -1/v]))
    (1/(2*v), Matrix([
    [ u],
    [-2]]))
    """
    ratios = {k: _Ratio.of(entry) for k, entry in enumerate(matrix.flat()) if entry != 0}
    listed = list(ratios.values())
    same = len({(r.sums, r.letters if r.sums == 1 else 1) for r in listed}) == 1
    if len(listed) < 2 or not same or any(r.nested or not r.number.is_Rational for r in listed):
        return sp.S.One, matrix
    letters, sums = sp.lcm_list([r.letters for r in listed]), listed[0].sums
    shared = set.intersection(*({f for f in sp.Mul.make_args(r.above) if _stands_before(f)} for r in listed))
    common = sp.Mul(*sorted(shared, key=sp.default_sort_key))
    whole = [r.number.q == 1 for r in listed]
    numeric = common != 1 or all(r.above.is_number for r in listed)
    if letters * sums == 1 and any(whole) and not all(whole) and not numeric:
        return sp.S.One, matrix
    content = sp.igcd(*(r.number.p for r in listed)) * (-1 if max(r.number for r in listed) < 0 else 1)
    number = sp.Rational(content, sp.ilcm(*(r.number.q for r in listed)))
    entries = {k: (r.number / number) * (r.above / common) * (letters / r.letters) for k, r in ratios.items()}
    rows = [entries.get(k, sp.S.Zero) for k in range(len(matrix))]
    return number * common / (letters * sums), sp.ImmutableDenseMatrix(*matrix.shape, rows)


def _stands_before(factor: Any) -> bool:
    """Whether a factor of all entries is written before their matrix: numbers and sums; letters stay with their entries."""
    return bool(factor.is_number or factor.as_base_exp()[0].is_Add)


@dataclass(frozen=True)
class _Ratio:
    """An entry as a number times what is above the fraction bar, over a product of letters and one of sums."""

    number: Any
    above: Any
    letters: Any
    sums: Any

    @classmethod
    def of(cls, entry: Any) -> "_Ratio":
        written: Any = with_common_factors(entry)
        number, rest = written.as_coeff_Mul()
        above, below = sp.fraction(rest, exact=True)
        letters = sp.Mul(*(f for f in sp.Mul.make_args(below) if f.as_base_exp()[0].is_Symbol))
        return cls(number, above, letters, below / letters)

    @property
    def nested(self) -> bool:
        """Whether there are fractions above the bar."""
        return any(map(_is_ratio, sp.Add.make_args(self.above)))


def _is_ratio(term: Any) -> bool:
    number = term.as_coeff_Mul()[0]
    return any(exponent.is_negative for _, exponent in _powers(term)) or not number.is_Integer


@lru_cache(maxsize=REMEMBERED)
def _sum(total: Any) -> int:
    """Its terms and the signs between them; one more where none is positive."""
    negative = [is_negative(term) for term in total.args]
    signs = len(total.args) - 1 + all(negative)
    shared = set.intersection(*({base for base, _ in _powers(term) if base.is_Symbol} for term in total.args))
    return (
        sum(map(reading_cost, total.args))
        - sum(negative)
        + signs
        + SPLIT * _has_fractions(total)
        + SHARED * bool(shared)
    )


def _has_fractions(total: Any) -> bool:
    return any(exponent.is_negative for term in total.args for _, exponent in _powers(term))


def _powers(term: Any) -> Iterator[tuple[Any, Any]]:
    return (factor.as_base_exp() for factor in sp.Mul.make_args(term) if not factor.is_Number)


def is_negative(term: Any) -> bool:
    """Whether a minus sign stands before a term."""
    return bool(term.as_coeff_Mul()[0].is_negative)


def _common_number(total: Any) -> tuple[Any, Any]:
    """The number that all terms of a sum share, and what is left: negative where all terms are."""
    content, primitive = total.primitive()
    return (-content, -primitive) if all(map(is_negative, total.args)) else (content, primitive)


def _product(content: Any, factors: Iterable[Any]) -> int:
    """A number times some factors, those with negative exponents under a fraction bar."""
    above: list[Any] = []
    below: list[Any] = []
    for factor in factors:
        base, exponent = factor.as_base_exp()
        inverse = exponent.is_Rational and exponent.is_negative
        (below if inverse else above).append((base, -exponent if inverse else exponent))
    number, divisor = (abs(content.p), content.q) if content.is_Rational else (content, 1)
    fraction, minus = bool(below) or divisor != 1, bool(content.is_negative)
    bar = 1 + _side(below, divisor, alone=True) if fraction else 0
    return minus + _side(above, number, alone=fraction or not minus) + bar


def _side(powers: list[tuple[Any, Any]], number: Any, *, alone: bool) -> int:
    """A number times powers; a single sum needs no brackets where nothing stands beside it."""
    count = _digits(number) if number != 1 or not powers else 0
    bare = alone and len(powers) == 1 and not count
    return count + sum(_power(base, exponent, bare and exponent == 1) for base, exponent in powers)


def _power(base: Any, exponent: Any, alone: bool) -> int:
    inner = _sum(base) + SHARED * (base.primitive()[0] != 1) if base.is_Add else reading_cost(base)
    if exponent == sp.Rational(1, 2):
        return 1 + inner
    bracketed = inner if alone or not (base.is_Add or base.is_Mul or base.is_Pow) else inner + BRACKETS
    return bracketed + (int(exponent).bit_length() - 1 if exponent.is_Integer else reading_cost(exponent))


def _digits(number: Any) -> int:
    return len(str(abs(number)))


def _all(parts: Iterable[Any]) -> int:
    return sum(reading_cost(part) if isinstance(part, sp.Basic) else 1 for part in parts)
