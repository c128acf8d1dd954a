"""The shortest way to write a term of the limiting SDE: a rational form, cancelled, and reduced by the equations of Γ.

On Γ a formula is defined only up to multiples of the equations of Γ, and no single form is the shortest for all losses.
So several are made, each is compared with the straight-line program at points of Γ to 40 digits, and the one with the
fewest operations is kept. None of them has a pole that the program has not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import mpmath
import sympy as sp

from symbolic_sgd.algebra.fractions import Field, Polynomial, Ratio, Terms, divided, graded, led_by, run_exactly
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.program import EXPANSION_BUDGET, Program
from symbolic_sgd.algebra.translation import Expression, SymbolicMatrix, from_sympy
from symbolic_sgd.derive.derivation import Derivation
from symbolic_sgd.derive.precise import HIGH, PrecisePoint
from symbolic_sgd.errors import ComplexValue, ExpressionTooLarge, NotSmooth

MOST_TERMS = 600
"""Terms of all numerators and denominators of a matrix that is written in rational form."""

LARGEST_TREE = 1e9
"""A matrix with more operations than this when its program is written out is not tried in exact arithmetic."""

COUNTED = 20_000
"""Operations, written out, up to which the program's own form takes part in the comparison."""

AGREED = 40
"""Digits to which a form agrees with the program."""


@dataclass(frozen=True)
class Written:
    """A matrix as expressions.

    Args:
        matrix: the expressions.
        road: in words, in which form.
        operations: with common subexpressions counted once (`sympy.cse`).
    """

    matrix: SymbolicMatrix
    road: str
    operations: int


def written(derivation: Derivation, name: str) -> Written:
    """A term of the limiting SDE in the form with the fewest operations.

    Raises:
        ExpressionTooLarge: neither a rational form nor the program, written out, is within its budget.
    """
    part = derivation.program.select(name)
    (output,) = part.outputs
    candidates: list[Written] = []
    if part.expanded_size(name) <= COUNTED:
        candidates.append(_measured(part.expand(name), "the program written out"))
    for road, entries in _rational_forms(derivation, part, name):
        form = _measured(sp.ImmutableDenseMatrix(*output.shape, entries), road)
        if (not candidates or form.operations <= candidates[0].operations) and _agrees(derivation, part, form.matrix):
            candidates.insert(0, form)
    if candidates:
        return candidates[0]
    return Written(part.expand(name, budget=EXPANSION_BUDGET), "the program written out", part.operations)


def operations(expressions: Sequence[Expression]) -> int:
    """The operations of some expressions, with common subexpressions counted once."""
    named, rest = sp.cse(list(expressions), order="none")
    return sum(int(sp.count_ops(e)) for e in (*(value for _, value in named), *rest))


def _measured(matrix: SymbolicMatrix, road: str) -> Written:
    return Written(matrix, road, operations(matrix.flat()))


def _agrees(derivation: Derivation, part: Program, matrix: SymbolicMatrix) -> bool:
    graph = Graph()
    form = [from_sympy(e, graph) for e in matrix.flat()]
    (reference,) = part.on(graph).values()
    return all(_agrees_at(PrecisePoint(p), form, reference.entries) for p in derivation.points)


def _agrees_at(point: PrecisePoint, form: Sequence[Node], reference: Sequence[Node]) -> bool:
    with mpmath.workdps(HIGH):
        try:
            ours, theirs = point.high(form), point.high(reference)
        except (NotSmooth, ComplexValue):
            return False
        size = max(map(abs, theirs), default=mpmath.mpf(0)) * mpmath.mpf(10) ** -AGREED
        return all(abs(a - b) <= size for a, b in zip(ours, theirs, strict=True))


# --- the rational forms ---------------------------------------------------------------------


def _rational_forms(derivation: Derivation, part: Program, name: str) -> Iterator[tuple[str, list[Expression]]]:
    """Every rational form that stays within the budget, the least rewritten first."""
    try:
        writer, ratios = _exact_value(derivation, part, name)
    except (ExpressionTooLarge, ZeroDivisionError):
        return
    for road, form in FORMS:
        try:
            entries = [form(writer, ratio) for ratio in ratios]
        except ExpressionTooLarge:
            continue
        yield road, entries


def _exact_value(derivation: Derivation, part: Program, name: str) -> "tuple[_Writer, list[Ratio]]":
    if part.expanded_size(name) > LARGEST_TREE:
        raise ExpressionTooLarge("a program is too large for its exact form")
    graph = Graph()
    joint = part.on(graph) | {"Γ": derivation.equations.on(graph)["equations"]}
    run = run_exactly(Program.of(joint))
    field, ratios = run.field, run.outputs[name]
    if sum(len(r.numerator) + len(r.denominator) for r in ratios) > MOST_TERMS:
        raise ExpressionTooLarge("a matrix of rational functions has too many terms")
    vanishing = (*(e.numerator for e in run.outputs["Γ"]), *run.relations)
    rules = _reduced([_terms(field, p) for p in vanishing])
    return _Writer(field, _reduced([_positive_root(field, rule) for rule in rules])), ratios


def _terms(field: Field, p: Polynomial) -> Terms:
    return {e: Fraction(c) for e, c in field.ring.terms(p)}


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


@dataclass(frozen=True)
class _Writer:
    """Fractions of a field as expressions, modulo polynomials that vanish on Γ."""

    field: Field
    rules: list[Terms]

    def lowered(self, ratio: Ratio) -> Ratio:
        """The same function on Γ, numerator and denominator reduced by the equations, then cancelled."""
        above, below = (self._remainder(p) for p in (ratio.numerator, ratio.denominator))
        return self._quotient(above, below) if below else ratio

    def factored(self, ratio: Ratio) -> Expression:
        """Factored numerator over factored denominator."""
        above, below = self.field.ring.factors(ratio.numerator), self.field.ring.factors(ratio.denominator)
        if not above[0]:
            return sp.S.Zero
        powers = [self._expression(p) ** k for p, k in above[1]] + [self._expression(p) ** -k for p, k in below[1]]
        return sp.Mul(sp.Rational(above[0], below[0]), *powers)

    def proper(self, ratio: Ratio) -> Expression:
        """q + r/d, where no term of r is divisible by the leading monomial of d or of an equation, as short as there is."""
        numerator, denominator = (_terms(self.field, p) for p in (ratio.numerator, ratio.denominator))
        leaders = sorted({k for exponents in denominator for k, e in enumerate(exponents) if e})
        divisions = [divided(numerator, [denominator, *self.rules], led_by(k)) for k in leaders]
        splits = [(quotients[0], rest) for quotients, rest in divisions] or [({}, numerator)]
        quotient, rest = min(splits, key=lambda split: (len(split[0]) + len(split[1]), len(split[1])))
        whole = sp.Add(*(self._term(e, c) for e, c in quotient.items()))
        return whole + self.factored(self._quotient(rest, denominator))

    def _remainder(self, p: Polynomial) -> Terms:
        return divided(_terms(self.field, p), self.rules, graded)[1]

    def _quotient(self, above: Terms, below: Terms) -> Ratio:
        denominators = lcm(*(c.denominator for c in (*above.values(), *below.values())))
        return self.field.element(self._polynomial(above, denominators), self._polynomial(below, denominators))

    def _polynomial(self, terms: Terms, factor: int) -> Polynomial:
        ring = self.field.ring
        total = ring.constant(0)
        for exponents, c in terms.items():
            product = ring.constant(int(c * factor))
            for g, e in zip(ring.generators, exponents, strict=True):
                product = product * g**e if e else product
            total = total + product
        return total

    def _expression(self, p: Polynomial) -> Expression:
        return sp.Add(*(self._term(e, Fraction(c)) for e, c in self.field.ring.terms(p)))

    def _term(self, exponents: tuple[int, ...], c: Fraction) -> Expression:
        powers = [m**e for m, e in zip(self.field.meanings, exponents, strict=False) if e]
        return sp.Mul(sp.Rational(c.numerator, c.denominator), *powers)


FORMS: tuple[tuple[str, Callable[[_Writer, Ratio], Expression]], ...] = (
    ("a cancelled rational form", _Writer.factored),
    (
        "a cancelled rational form, reduced by the equations of Γ",
        lambda writer, ratio: writer.factored(writer.lowered(ratio)),
    ),
    (
        "polynomials and proper fractions, reduced by the equations of Γ",
        lambda writer, ratio: writer.proper(writer.lowered(ratio)),
    ),
)
"""(name, construction) of each rational form: adding one is adding a row."""
