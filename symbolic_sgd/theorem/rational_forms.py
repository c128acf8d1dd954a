"""Rational functions on Γ in exact arithmetic: cancelled, and reduced by the equations of Γ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import sympy as sp

from symbolic_sgd.algebra.graph import Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy
from symbolic_sgd.errors import ExpressionTooLarge
from symbolic_sgd.rational.fractions import Field, Polynomial, Ratio, Terms, divided, graded, led_by, run_exactly

MOST_TERMS = 600
"""Terms of all numerators and denominators of a matrix that is written in rational form."""

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
    program = Program.of({"values": Matrix.column(entries), "Γ": Matrix.column(equations)})
    if program.expanded_size("values") > LARGEST_TREE:
        raise ExpressionTooLarge("a program is too large for its exact form")
    run = run_exactly(program)
    field, ratios = run.field, run.outputs["values"]
    if sum(len(r.numerator) + len(r.denominator) for r in ratios) > MOST_TERMS:
        raise ExpressionTooLarge("a matrix of rational functions has too many terms")
    vanishing = (*(e.numerator for e in run.outputs["Γ"]), *run.relations)
    rules = _reduced([_terms(field, p) for p in vanishing])
    return Writer(field, _reduced([_positive_root(field, rule) for rule in rules])), ratios


def shortest_on(equations: Sequence[Node], entries: Sequence[Node]) -> list[Node]:
    """The nodes, each replaced by its form reduced by the equations of Γ where that has fewer terms."""
    return [_shortest(entry, equations) for entry in entries]


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
class Writer:
    """Fractions of a field as expressions, modulo polynomials that vanish on Γ."""

    field: Field
    rules: list[Terms]

    def lowered(self, ratio: Ratio) -> Ratio:
        """The same function on Γ, numerator and denominator reduced by the equations, then cancelled."""
        above, below = (self._remainder(p) for p in (ratio.numerator, ratio.denominator))
        return self._quotient(above, below) if below else ratio

    def quotient(self, ratio: Ratio) -> Expression:
        """Numerator over denominator, as sums of terms."""
        return self._expression(ratio.numerator) / self._expression(ratio.denominator)

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


FORMS: tuple[tuple[str, Callable[[Writer, Ratio], Expression]], ...] = (
    ("a cancelled rational form", Writer.factored),
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
