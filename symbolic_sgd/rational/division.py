"""Division of polynomials in several variables by several others, by an order of the monomials."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from heapq import heapify, heappop, heappush

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


def multiplied(a: Terms, b: Terms) -> Terms:
    """The product."""
    product: Terms = {}
    for (first, c), (second, d) in itertools.product(a.items(), b.items()):
        place = tuple(m + n for m, n in zip(first, second, strict=True))
        product[place] = product.get(place, Fraction(0)) + c * d
    return {place: c for place, c in product.items() if c}


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


def later_first(exponents: tuple[int, ...]) -> tuple[int, ...]:
    """The key of the lexicographic order in which functions decide before what they are taken of."""
    return exponents[::-1]


def led_by(k: int) -> Order:
    """The key of the graded order in which, at equal degree, the power of x_k decides first."""
    return lambda exponents: (sum(exponents), exponents[k], *graded(exponents))
