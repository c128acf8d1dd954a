"""All real solutions of polynomial equations with rational coefficients, by splitting into factors and Gröbner bases.

What has finitely many complex solutions is solved: each coordinate is a real root of its own minimal polynomial, and all are
polynomials in one of them, which says which roots belong together. What has infinitely many is returned as equations.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import lcm, prod
from typing import Any

import sympy as sp
from sympy.polys.orderings import grevlex

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.effort import Effort
from symbolic_sgd.errors import BudgetSpent
from symbolic_sgd.rational.closed_form import Solution, roots
from symbolic_sgd.rational.real_zeros import real_zeros

LARGEST = 60
"""Complex solutions of a part that is solved: its minimal polynomials have at most this degree."""

PARTS = 400
"""Parts into which a system is split at most."""

CHECKED = 200
"""Comparisons of monomials between two looks at the clock."""

DIGITS = 60
"""Digits by which a root is told from the others of its polynomial."""

WEIGHTS = (0, 1, 2, 3, 5, 7)
"""Coefficients of combinations of the unknowns that are tried as one that tells all solutions apart."""

Polynomial = sp.Poly


@dataclass(frozen=True)
class RealSolutions:
    """What is known of the real solutions.

    Args:
        points: those of the parts with finitely many complex solutions, exactly; they may be on a continuum, too.
        continua: the other parts: equations each, whose real solutions may be none, some, or infinitely many.
    """

    points: tuple[Solution, ...]
    continua: tuple[tuple[Expression, ...], ...]


def real_solutions(equations: Sequence[Expression], unknowns: Sequence[sp.Symbol], effort: Effort) -> RealSolutions:
    """The real solutions of `equations` = 0: every one is among the points, or solves one of the continua.

    Args:
        equations: polynomials in the unknowns with rational coefficients.
        unknowns: the unknowns, all of which are sought.
        effort: how long it may take.

    Raises:
        BudgetSpent: time was up, or a part has more solutions, or there are more parts, than are looked at.

    >>> u, v = sp.symbols("u v")
    >>> real_solutions([u**2 - v**2, u*v - 1], [u, v], Effort()).points
    ({u: -1, v: -1}, {u: 1, v: 1})
    >>> real_solutions([u*(u**2 + v**2 + 1)], [u, v], Effort()).continua
    ((u,),)
    """
    letters: list[sp.Symbol] = [sp.Dummy(s.name, real=True) for s in unknowns]
    inside = dict(zip(unknowns, letters, strict=True))
    back = dict(zip(letters, unknowns, strict=True))
    begin = frozenset(sp.Poly(e.xreplace(inside), *letters, domain="QQ") for e in map(sp.expand, equations))
    return _Splitting(letters, effort).solved(begin, back)


@dataclass
class _Splitting:
    letters: list[sp.Symbol]
    effort: Effort
    seen: set[frozenset[Polynomial]] = field(default_factory=set)

    def solved(self, begin: frozenset[Polynomial], back: dict[sp.Symbol, sp.Symbol]) -> RealSolutions:
        points: dict[tuple[Expression, ...], None] = {}
        continua: dict[tuple[Expression, ...], None] = {}
        left = [begin]
        while left:
            self.effort.check()
            system = left.pop()
            if system in self.seen:
                continue
            self.seen.add(system)
            if len(self.seen) > PARTS:
                raise BudgetSpent(f"the system has split into more than {PARTS} parts")
            outcome = self._step(system)
            left.extend(outcome.parts)
            points.update(dict.fromkeys(outcome.points))
            if outcome.continuum:
                continua[tuple(p.as_expr().xreplace(back) for p in outcome.continuum)] = None
        ordered = sorted(points, key=lambda values: [sp.N(v, 15) for v in values])
        return RealSolutions(
            tuple(dict(zip(back.values(), values, strict=True)) for values in ordered), tuple(continua)
        )

    def _step(self, system: frozenset[Polynomial]) -> "_Outcome":
        polynomials = [p for p in system if not p.is_zero]
        if any(p.is_ground for p in polynomials):
            return _Outcome()
        ways = sorted(((_ways(p), p) for p in polynomials), key=lambda pair: (len(pair[0]) == 1, _size(pair[1])))
        for choices, p in ways:
            if choices != [(p.monic(),)]:
                others = [q for q in polynomials if q is not p]
                return _Outcome(parts=[self._reduced(others, choice) for choice in choices])
        basis = self._basis([p.monic() for p in polynomials])
        if set(basis) != {p.monic() for p in polynomials}:
            return _Outcome(parts=[frozenset(basis)])
        quotient = _Quotient.of(basis, self.letters, self.effort)
        if quotient is None:
            return _Outcome(continuum=tuple(sorted(basis, key=_size)))
        return self._of_points(quotient, basis)

    def _basis(self, polynomials: Sequence[Polynomial]) -> list[Polynomial]:
        if not polynomials:
            return []
        found = sp.groebner(polynomials, *self.letters, order=_Interrupted(self.effort), domain="QQ")
        return [p.monic() for p in found.polys]

    def _reduced(self, others: Sequence[Polynomial], choice: Sequence[Polynomial]) -> frozenset[Polynomial]:
        """The system with factors that vanish, and the others modulo those."""
        result = list(choice)
        for p in others:
            for f in choice:
                p = (
                    p.rem(f)
                    if len(self.letters) == 1
                    else sp.Poly(sp.reduced(p, [f], order="grevlex")[1], *self.letters)
                )
            result.append(p if p.is_zero else sp.Poly(p, *self.letters, domain="QQ").monic())
        return frozenset(result)

    def _of_points(self, quotient: "_Quotient", basis: Sequence[Polynomial]) -> "_Outcome":
        """Finitely many complex solutions: split until all minimal polynomials are irreducible, then solved."""
        single: list[Polynomial] = []
        for letter in self.letters:
            minimal = quotient.minimal_polynomial(sp.Poly(letter, *self.letters, domain="QQ"), letter)
            parts = self._by_factors(minimal, letter, basis)
            if parts is not None:
                return _Outcome(parts=parts)
            single.append(minimal)
        t = sp.Dummy("t")
        for separating in self._separating(single, len(quotient.monomials)):
            self.effort.check()
            minimal = quotient.minimal_polynomial(separating, t)
            parts = self._by_factors(minimal, separating.as_expr(), basis)
            if parts is not None:
                return _Outcome(parts=parts)
            if minimal.degree() == len(quotient.monomials):
                return _Outcome(points=list(_matched(quotient, separating, minimal, single)))
        raise BudgetSpent("no combination of the unknowns that was tried tells all solutions apart")

    def _by_factors(
        self, minimal: Polynomial, of: Expression, basis: Sequence[Polynomial]
    ) -> list[frozenset[Polynomial]] | None:
        """The parts on which an irreducible factor with real roots vanishes; None where there is nothing to split."""
        factors = [f for f, _ in minimal.factor_list()[1]]
        real = [f for f in factors if f.count_roots()]
        if len(factors) == 1 and real and factors[0].degree() == minimal.degree():
            return None
        composed = (sp.Poly(f.as_expr().xreplace({f.gen: of}), *self.letters, domain="QQ") for f in real)
        return [frozenset([*basis, p.monic()]) for p in composed]

    def _separating(self, single: Sequence[Polynomial], count: int) -> Iterator[Polynomial]:
        for letter, minimal in zip(self.letters, single, strict=True):
            if minimal.degree() == count:
                yield sp.Poly(letter, *self.letters, domain="QQ")
        for number in range(2, len(self.letters) + 1):
            for weights in combinations(WEIGHTS[1:], min(number, len(WEIGHTS) - 1)):
                repeated = [weights[i % len(weights)] + i // len(weights) for i in range(len(self.letters))]
                chosen = [w if i < number else 0 for i, w in enumerate(repeated)]
                yield sp.Poly(sum(w * x for w, x in zip(chosen, self.letters, strict=True)), *self.letters, domain="QQ")


@dataclass
class _Outcome:
    parts: list[frozenset[Polynomial]] = field(default_factory=list)
    points: list[tuple[Expression, ...]] = field(default_factory=list)
    continuum: tuple[Polynomial, ...] = ()


class _Interrupted:
    """The graded reverse lexicographic order, which looks at the clock."""

    def __init__(self, effort: Effort):
        self.effort, self.left = effort, CHECKED

    def __call__(self, monomial: Any) -> Any:
        self.left -= 1
        if not self.left:
            self.left = CHECKED
            self.effort.check()
        return grevlex(monomial)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return hash(_Interrupted)


def _size(p: Polynomial) -> tuple[int, int, str]:
    return p.total_degree(), len(p.terms()), str(p.as_expr())


def _ways(p: Polynomial) -> list[tuple[Polynomial, ...]]:
    """The systems, one of which has to hold where a polynomial vanishes at a real point: its irreducible factors, without
    those that are sums of even powers, which vanish nowhere or only where every power does."""
    found: dict[tuple[Polynomial, ...], None] = {}
    for factor, _ in p.factor_list()[1]:
        definite = all(all(power % 2 == 0 for power in monomial) for monomial in factor.monoms())
        same = len({c > 0 for c in factor.coeffs()}) == 1
        if not (definite and same):
            found[(factor.monic(),)] = None
        elif not any(not any(monomial) for monomial in factor.monoms()):
            roots_of = [[x for x, power in zip(p.gens, monomial, strict=True) if power] for monomial in factor.monoms()]
            for choice in product(*roots_of):
                distinct = sorted(set(choice), key=p.gens.index)
                found[tuple(sp.Poly(x, *p.gens, domain="QQ") for x in distinct)] = None
    return list(found)


@dataclass
class _Quotient:
    """Polynomials modulo a basis, where they have a finite dimension.

    Args:
        basis: a Gröbner basis.
        monomials: exponents of a basis of the quotient.
        effort: how long it may take.
    """

    basis: list[Any]
    letters: list[sp.Symbol]
    monomials: list[tuple[int, ...]]
    effort: Effort

    @staticmethod
    def of(basis: Sequence[Polynomial], letters: list[sp.Symbol], effort: Effort) -> "_Quotient | None":
        ring = sp.polys.rings.ring(letters, sp.QQ, order=grevlex)[0]
        elements = [ring.from_expr(p.as_expr()) for p in basis]
        leading = [p.LM for p in elements]
        for i in range(len(letters)):
            if not any(m[i] and not any(m[:i]) and not any(m[i + 1 :]) for m in leading):
                return None
        standard, border = [], [(0,) * len(letters)]
        while border:
            monomial = border.pop()
            if monomial in standard or any(all(a >= b for a, b in zip(monomial, m, strict=True)) for m in leading):
                continue
            standard.append(monomial)
            if len(standard) > LARGEST:
                raise BudgetSpent(f"a part of the system has more than {LARGEST} complex solutions")
            border.extend(tuple(a + (i == j) for j, a in enumerate(monomial)) for i in range(len(letters)))
        return _Quotient(elements, letters, sorted(standard, key=grevlex), effort)

    def powers(self, element: Polynomial) -> Iterator[list[Any]]:
        """Coefficients of 1, t, t², … ."""
        ring = self.basis[0].ring
        t, power = ring.from_expr(element.as_expr()), ring.one
        while True:
            self.effort.check()
            yield self.coefficients(power)
            power = (power * t).rem(self.basis)

    def coefficients(self, element: Any) -> list[Any]:
        """Of a reduced element, in the standard monomials."""
        return [element.get(m, sp.QQ.zero) for m in self.monomials]

    def minimal_polynomial(self, element: Polynomial, letter: sp.Symbol) -> Polynomial:
        """Of one element t, in a letter."""
        rows: list[list[Any]] = []
        for vector in self.powers(element):
            relation = _relation(rows, vector)
            if relation is not None:
                return sp.Poly([sp.QQ.one, *(-c for c in reversed(relation))], letter, domain="QQ")
            rows.append(vector)
        raise AssertionError("a finite quotient has relations")


def _relation(rows: Sequence[Sequence[Any]], vector: Sequence[Any]) -> list[Any] | None:
    """c with Σ c_k rows_k = vector; None if there is none."""
    if not rows:
        return None
    count = len(rows)
    system = [[*(row[i] for row in rows), vector[i]] for i in range(len(vector))]
    done = 0
    for k in range(count):
        place = next((i for i in range(done, len(system)) if system[i][k]), None)
        assert place is not None  # the rows are independent
        system[done], system[place] = system[place], system[done]
        pivot = system[done][k]
        system[done] = [a / pivot for a in system[done]]
        for i in range(len(system)):
            if i != done and system[i][k]:
                factor = system[i][k]
                system[i] = [a - factor * b for a, b in zip(system[i], system[done], strict=True)]
        done += 1
    return None if any(row[-1] for row in system[done:]) else [system[k][-1] for k in range(count)]


def _matched(
    quotient: _Quotient, separating: Polynomial, minimal: Polynomial, single: Sequence[Polynomial]
) -> Iterator[tuple[Expression, ...]]:
    """For each real root of t, the root of each unknown's own polynomial that is its polynomial in t there."""
    rows = [row for row, _ in zip(quotient.powers(separating), range(len(quotient.monomials)), strict=False)]
    ring = quotient.basis[0].ring
    values = []
    for letter in quotient.letters:
        relation = _relation(rows, quotient.coefficients(ring.from_expr(letter).rem(quotient.basis)))
        assert relation is not None  # t generates the quotient
        values.append(sp.Poly([*reversed(relation)], minimal.gen, domain="QQ"))
    candidates = [[(root, sp.N(root, DIGITS)) for root in _real_roots(p)] for p in single]
    for root in _real_roots(minimal):
        number = sp.N(root, DIGITS)
        places = [sp.N(value.as_expr().xreplace({minimal.gen: number}), DIGITS) for value in values]
        yield tuple(
            min(own, key=lambda pair, at=at: abs(pair[1] - at))[0] for own, at in zip(candidates, places, strict=True)
        )


def in_small_field(values: Iterable[Expression], largest: int) -> bool:
    """Whether numbers are made of radicals of primes, and of other radicals, whose indices multiply to at most `largest`: they are in a
    field of that degree.

    >>> in_small_field([sp.sqrt(6), sp.sqrt(2)], 4), in_small_field([sp.sqrt(2), sp.root(3, 3)], 4)
    (True, False)
    """
    indices: dict[Expression, int] = {}
    for value in values:
        if value.has(sp.CRootOf) or not value.is_algebraic:
            return False
        for power in value.atoms(sp.Pow):
            if power.exp.is_Rational and not power.exp.is_Integer:
                base = power.base
                parts: list[Expression] = list(sp.factorrat(base)) if base.is_Rational else [base]  # type: ignore[call-overload]
                indices.update({part: lcm(indices.get(part, 1), power.exp.q) for part in parts})
    return prod(indices.values()) <= largest


def _real_roots(polynomial: Polynomial) -> list[Expression]:
    """The real roots of an irreducible polynomial, in radicals where it is quadratic in a power."""
    expression, count = polynomial.as_expr(), polynomial.count_roots()
    (letter,) = polynomial.free_symbols
    closed = [sp.radsimp(r) for r in roots(expression, letter)]
    real = [r for r in closed if r.is_real]
    if len(set(real)) == count:
        return real
    found = real_zeros(expression, letter)
    assert found is not None and len(found) == count  # rational coefficients
    return found
