"""Rational functions on Γ in exact arithmetic: cancelled, and reduced by the equations of Γ."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as attribute
from fractions import Fraction
from itertools import combinations
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.arithmetic import BY_OPERATORS
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.reading import BRACKETS, reading_cost
from symbolic_sgd.algebra.translation import Expression, from_sympy, sympy_operation
from symbolic_sgd.errors import ExpressionTooLarge, SymbolicSGDError
from symbolic_sgd.rational.division import Order, Terms, divided, graded, later_first, led_by, multiplied
from symbolic_sgd.rational.fractions import ExactRun, Field, Polynomial, Ratio, run_exactly

MOST_TERMS = 600
"""Terms of all numerators and denominators of a matrix that is written in rational form."""

FACTORED = 40
"""Terms of a polynomial that is tried in several ways: as factors or multiplied out, and by each equation of Γ."""

LARGEST_TREE = 1e9
"""A matrix with more operations than this when its program is written out is not tried in exact arithmetic."""

LARGEST_ENTRY = 2000
"""The same for a node that is replaced by its shortest form on Γ inside a larger formula."""


def on_manifold(entries: Sequence[Node], equations: Sequence[Node]) -> "tuple[Writer, list[Ratio]]":
    """Some values as cancelled fractions, and how they are written modulo the equations of Γ.

    Raises:
        ExpressionTooLarge: past a budget.
        ZeroDivisionError: an operation divides by zero identically.
    """
    run = _run(Program.of({"values": Matrix.column(entries), "Γ": Matrix.column(equations)}))
    field = run.field
    everywhere = rules_of(field, run.relations)
    rules = rules_of(field, [*(e.numerator for e in run.outputs["Γ"]), *run.relations])
    return Writer(field, rules, graded), [field.lowered(ratio, everywhere, graded) for ratio in run.outputs["values"]]


def rules_of(field: Field, vanishing: Sequence[Polynomial]) -> list[Terms]:
    return _reduced([_positive_root(field, rule) for rule in _reduced([field.terms(p) for p in vanishing])])


def _run(program: Program, order: Order | None = None) -> ExactRun:
    if program.expanded_size("values") > LARGEST_TREE:
        raise ExpressionTooLarge("a program is too large for its exact form")
    run = run_exactly(program, order)
    if sum(len(r.numerator) + len(r.denominator) for r in run.outputs["values"]) > MOST_TERMS:
        raise ExpressionTooLarge("a matrix of rational functions has too many terms")
    return run


def shortest_on(equations: Sequence[Node], entries: Sequence[Node]) -> list[Node]:
    """The nodes, each replaced by its form reduced by the equations of Γ where that has fewer terms."""
    return [_shortest(entry, equations) for entry in entries]


def cancelled(entries: Sequence[Node]) -> list[Node]:
    """The nodes, each replaced by its cancelled quotient where that takes fewer operations: nothing is reduced by the equations of Γ,
    by which factors are lost that later steps would cancel."""
    return [_cancelled(entry) for entry in entries]


def _cancelled(node: Node) -> Node:
    program = Program.of({"value": Matrix.column([node])})
    if not node.args or program.expanded_size("value") > LARGEST_ENTRY:
        return node
    try:
        writer, (ratio,) = on_manifold([node], ())
        form = from_sympy(sp.factor(writer.quotient(ratio)), node.graph)
    except (ExpressionTooLarge, ZeroDivisionError):
        return node
    return form if Program.of({"value": Matrix.column([form])}).operations < program.operations else node


def _shortest(node: Node, equations: Sequence[Node]) -> Node:
    if not node.args or Program.of({"value": Matrix.column([node])}).expanded_size("value") > LARGEST_ENTRY:
        return node
    try:
        writer, (ratio,) = on_manifold([node], equations)
        lowered = writer.lowered(ratio)
    except (ExpressionTooLarge, ZeroDivisionError):
        return node
    fewer = len(lowered.numerator) + len(lowered.denominator) < len(ratio.numerator) + len(ratio.denominator)
    return from_sympy(writer.quotient(lowered), node.graph) if fewer else node


def shortest_forms(entries: Sequence[Node]) -> list[Expression]:
    """Functions, and what functions in them are taken of, each in the shortest of its rational forms.

    Raises:
        ExpressionTooLarge: past a budget.
        ZeroDivisionError: an operation divides by zero identically.

    >>> t = sp.Symbol("t"); shortest_forms([from_sympy(sp.sin(t) * sp.cos(t) / (1 - sp.cos(t) ** 2), Graph())])
    [cos(t)/sin(t)]
    """
    short = Program.of({"values": Matrix.column(entries)}).rewritten(_of_shortest_forms)
    run = _run(short, later_first)
    writer = Writer(run.field, [run.field.terms(p) for p in run.relations], later_first)
    return [min(_forms(writer, ratio), key=reading_cost) for ratio in run.outputs["values"]]


def _of_shortest_forms(graph: Graph, op: str, args: tuple[Node, ...], value: Any) -> Node:
    """A function of the shortest forms of its arguments, as SymPy evaluates it: e^{ln a} is a."""
    if args and op not in BY_OPERATORS:
        with suppress(SymbolicSGDError, ZeroDivisionError):
            return from_sympy(sympy_operation(op, value, shortest_forms(args)), graph)
    return graph.operation(op, args, value)


def _forms(writer: "Writer", ratio: Ratio) -> Iterator[Expression]:
    yield from _written(writer, ratio)
    if writer.rules:
        with suppress(ExpressionTooLarge):
            yield from _written(writer, writer.rationalised(ratio))


def _written(writer: "Writer", ratio: Ratio) -> Iterator[Expression]:
    if max(len(ratio.numerator), len(ratio.denominator)) <= FACTORED:
        yield writer.product(ratio)
        yield from writer.easiest([ratio]) if writer.rules else ()
        yield writer.proper(ratio)
    else:
        yield writer.quotient(ratio)


def _reduced(equations: list[Terms]) -> list[Terms]:
    """The equations, each without what the others' leading monomials divide."""
    rules: list[Terms] = []
    for terms in equations:
        rest = divided(terms, rules, graded)[1] if rules else terms
        rules += [rest] if rest else []
    for k in range(len(rules)):
        others = rules[:k] + rules[k + 1 :]
        rules[k] = (divided(rules[k], others, graded)[1] if others else rules[k]) or rules[k]
    return rules


def _positive_root(field: Field, rule: Terms) -> Terms:
    """√a − q, where the rule is (√a)² − q² with a rational q ≥ 0: a square root is not negative."""
    constant, square = min(rule, key=graded), max(rule, key=graded)
    if len(rule) != 2 or any(constant) or sorted(square)[-2:] != [0, 2][-len(square) :]:
        return rule
    meaning, value = field.meanings[square.index(2)], -rule[constant] / rule[square]
    root: Expression = sp.sqrt(sp.Rational(value.numerator, value.denominator))
    if not (meaning.is_Pow and meaning.exp == sp.Rational(1, 2) and root.is_Rational):
        return rule
    return {tuple(e // 2 for e in square): Fraction(1), constant: -Fraction(int(root.p), int(root.q))}


Key = tuple[tuple[tuple[int, ...], int], ...]
"""A polynomial by its terms, which can be looked up."""

Powers = list[tuple[Polynomial, int]]
"""(factor, multiplicity) of a product."""


@dataclass(frozen=True)
class Writer:
    """Fractions of a field as expressions, modulo polynomials that vanish on Γ (or everywhere), led by an order's monomials."""

    field: Field
    rules: list[Terms]
    order: Order
    _sums: dict[Key, Expression] = attribute(init=False, repr=False, compare=False, default_factory=dict)
    _products: dict[tuple[Key, Key], Expression] = attribute(
        init=False, repr=False, compare=False, default_factory=dict
    )
    """What has been written already: the forms of one matrix have most of their factors in common."""

    def lowered(self, ratio: Ratio) -> Ratio:
        """The same function on Γ, numerator and denominator reduced by the equations, then cancelled."""
        return self.field.lowered(ratio, self.rules, self.order)

    def quotient(self, ratio: Ratio) -> Expression:
        """Numerator over denominator, as sums of terms."""
        return self._expression(ratio.numerator) / self._expression(ratio.denominator)

    def product(self, ratio: Ratio) -> Expression:
        """A number times factors over factors."""
        key = self._key(ratio.numerator), self._key(ratio.denominator)
        if key not in self._products:
            self._products[key] = self._product(ratio) if ratio.numerator else sp.S.Zero
        return self._products[key]

    def _product(self, ratio: Ratio) -> Expression:
        (number, above), (divisor, below) = self._factors(ratio.numerator), self._factors(ratio.denominator)
        sign = self._turned(1 if number * divisor > 0 else -1, above, below)
        powers = [*above, *((factor, -multiplicity) for factor, multiplicity in below)]
        written = (self._expression(factor) ** exponent for factor, exponent in powers)
        return sp.Mul(sign * abs(sp.Rational(number, divisor)), *written)

    def _turned(self, sign: int, above: Powers, below: Powers) -> int:
        """The sign of a fraction once factors with terms of both signs are turned: no negative constant below, no minus before it."""
        for k in self._turning(below):
            if self._constant(below[k][0]) < 0:
                sign, below[k] = -sign, (-below[k][0], below[k][1])
        free = [k for k in self._turning(below) if not self._constant(below[k][0])]
        turning = [*((above, k) for k in self._turning(above)), *((below, k) for k in free)]
        if sign < 0 and turning:
            powers, k = turning[0]
            sign, powers[k] = 1, (-powers[k][0], powers[k][1])
        return sign

    def easiest(self, ratios: Sequence[Ratio]) -> list[Expression]:
        """Products, all numerators reduced by the equations led by the same variable: by the one with which least is to be read."""
        written = [[self.product(self._reduced(ratio, order)) for ratio in ratios] for order in self._orders]
        return min(written, key=lambda entries: sum(map(reading_cost, entries)))

    @property
    def _orders(self) -> list[Order]:
        variables = {k for rule in self.rules for exponents in rule for k, e in enumerate(exponents) if e}
        return [self.order, *map(led_by, sorted(variables))]

    def _reduced(self, ratio: Ratio, order: Order) -> Ratio:
        if len(ratio.numerator) > FACTORED:
            return ratio
        below = self.field.terms(ratio.denominator)
        return self.field.quotient(self.field.remainder(ratio.numerator, self.rules, order), below)

    def by_factors(self, ratio: Ratio) -> Ratio:
        """The fraction with each factor reduced by the equations where fewer terms, or powers, are left: uv²/(u² + v²) is v/(u² + v²)
        where uv = 1, and y²/(x² + y²) is y² where x² + y² = 1."""
        if not ratio.numerator or not self.rules:
            return ratio
        return self.field.quotient(self._with_less(ratio.numerator), self._with_less(ratio.denominator))

    def _with_less(self, p: Polynomial) -> Terms:
        content, powers = self.field.ring.factors(p)
        letters, sums = self.field.ring.constant(content), [power for power in powers if len(power[0]) > 1]
        for factor, multiplicity in powers:
            letters *= factor**multiplicity if len(factor) == 1 else 1
        product = self._less(self.field.terms(letters))
        for factor, multiplicity in sums:
            for _ in range(multiplicity):
                product = multiplied(product, self._less(self.field.terms(factor)))
        return product

    def _less(self, terms: Terms) -> Terms:
        rest = divided(terms, self.rules, self.order)[1]
        degree = lambda p: (len(p), max(map(sum, p), default=0))  # noqa: E731
        return rest if rest and degree(rest) < degree(terms) else terms

    def rationalised(self, ratio: Ratio) -> Ratio:
        """The same times the conjugate a − bg of its denominator a + bg, for each g whose square is known: none is left there."""
        heads = (max(rule, key=self.order) for rule in self.rules)
        for k in (head.index(2) for head in heads if sum(head) == max(head) == 2):
            terms = self.field.terms(ratio.denominator)
            conjugate = self.field.polynomial({e: -c if e[k] % 2 else c for e, c in terms.items()})
            if conjugate != ratio.denominator:
                ratio = self._extended(ratio, conjugate)
        return ratio

    def _extended(self, ratio: Ratio, factor: Polynomial) -> Ratio:
        parts = ratio.numerator, ratio.denominator
        for part in parts:
            self.field.ring.budget.multiplied(part, factor)
        above, below = (self.field.remainder(part * factor, self.rules, self.order) for part in parts)
        return self.field.quotient(above, below) if below else ratio

    def proper(self, ratio: Ratio) -> Expression:
        """q + r/d, where no term of r is divisible by the leading monomial of d or of an equation, as short as there is."""
        numerator, denominator = (self.field.terms(p) for p in (ratio.numerator, ratio.denominator))
        leaders = sorted({k for exponents in denominator for k, e in enumerate(exponents) if e})
        divisions = [divided(numerator, [denominator, *self.rules], led_by(k)) for k in leaders]
        splits = [(quotients[0], rest) for quotients, rest in divisions] or [({}, numerator)]
        quotient, rest = min(splits, key=lambda split: (len(split[0]) + len(split[1]), len(split[1])))
        whole = sp.Add(*(self._term(e, c) for e, c in quotient.items()))
        return whole + self.product(self.field.quotient(rest, denominator))

    def _factors(self, p: Polynomial) -> tuple[int, Powers]:
        """(content, factors), none of which has negative coefficients only, and as few as are easier to read: v² − u² is one."""
        content, powers = self.field.ring.factors(p)
        kept: Powers = []
        for factor, multiplicity in powers:
            negative = self._signs(factor) == {False}
            content *= -1 if negative and multiplicity % 2 else 1
            kept.append((-factor if negative else factor, multiplicity))
        return content, self._merged(kept)

    def _merged(self, powers: Powers) -> Powers:
        for one, other in combinations(powers, 2):
            (a, m), (b, n) = one, other
            if m == n and min(len(a), len(b)) > 1 and len(a) * len(b) <= FACTORED:
                whole = a * b
                if self._cost(whole) <= self._cost(a) + self._cost(b):
                    return self._merged([*(p for p in powers if p is not one and p is not other), (whole, m)])
        return powers

    def _turning(self, powers: Powers) -> list[int]:
        """The factors with terms of both signs that change the sign of the product."""
        return [
            k for k, (factor, multiplicity) in enumerate(powers) if multiplicity % 2 and len(self._signs(factor)) == 2
        ]

    def _constant(self, p: Polynomial) -> int:
        return next((c for exponents, c in self.field.ring.terms(p) if not any(exponents)), 0)

    def _signs(self, p: Polynomial) -> set[bool]:
        return {c > 0 for _, c in self.field.ring.terms(p)}

    def _cost(self, p: Polynomial) -> int:
        return reading_cost(self._expression(p)) + BRACKETS

    def _expression(self, p: Polynomial) -> Expression:
        key = self._key(p)
        if key not in self._sums:
            self._sums[key] = sp.Add(*(self._term(e, Fraction(c)) for e, c in key))
        return self._sums[key]

    def _key(self, p: Polynomial) -> Key:
        return tuple(self.field.ring.terms(p))

    def _term(self, exponents: tuple[int, ...], c: Fraction) -> Expression:
        powers = [m**e for m, e in zip(self.field.meanings, exponents, strict=False) if e]
        return sp.Mul(sp.Rational(c.numerator, c.denominator), *powers)


AS_DERIVED, REDUCED = Fraction(1), Fraction(5, 4)
"""What reading a form counts: where a sum is rewritten by the equations of Γ, degrees and symmetries are hidden."""

FORMS: tuple[tuple[str, Fraction, Callable[[Writer, Sequence[Ratio]], list[Expression]]], ...] = (
    (
        "a cancelled rational form",
        AS_DERIVED,
        lambda writer, ratios: [writer.product(ratio) for ratio in ratios],
    ),
    (
        "a cancelled rational form, its factors reduced by the equations of Γ",
        AS_DERIVED,
        lambda writer, ratios: [writer.product(writer.by_factors(ratio)) for ratio in ratios],
    ),
    (
        "a cancelled rational form, its numerators reduced by the equations of Γ",
        REDUCED,
        lambda writer, ratios: writer.easiest([writer.by_factors(ratio) for ratio in ratios]),
    ),
    (
        "a cancelled rational form, reduced by the equations of Γ",
        REDUCED,
        lambda writer, ratios: writer.easiest([writer.lowered(ratio) for ratio in ratios]),
    ),
    (
        "polynomials and proper fractions, reduced by the equations of Γ",
        REDUCED,
        lambda writer, ratios: [writer.proper(writer.lowered(ratio)) for ratio in ratios],
    ),
)
"""(name, what reading it counts, construction) of each rational form of a matrix: adding one is adding a row."""
