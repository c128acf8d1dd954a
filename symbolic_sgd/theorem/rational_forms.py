"""Rational functions on Γ in exact arithmetic: cancelled, and reduced by the equations of Γ."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.arithmetic import BY_OPERATORS
from symbolic_sgd.algebra.graph import Graph, Node
from symbolic_sgd.algebra.matrices import Matrix
from symbolic_sgd.algebra.program import Program
from symbolic_sgd.algebra.translation import Expression, from_sympy, sympy_operation
from symbolic_sgd.errors import ExpressionTooLarge, SymbolicSGDError
from symbolic_sgd.rational.division import Order, Terms, divided, graded, later_first, led_by
from symbolic_sgd.rational.fractions import ExactRun, Field, Polynomial, Ratio, run_exactly

MOST_TERMS = 600
"""Terms of all numerators and denominators of a matrix that is written in rational form."""

FACTORED = 40
"""Terms of a polynomial that is also tried as a product of its factors, where no equation of Γ is used."""

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
    vanishing = (*(e.numerator for e in run.outputs["Γ"]), *run.relations)
    rules = _reduced([field.terms(p) for p in vanishing])
    return Writer(field, _reduced([_positive_root(field, rule) for rule in rules]), graded), run.outputs["values"]


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
    return [min(_forms(writer, ratio), key=sp.count_ops) for ratio in run.outputs["values"]]


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
    yield writer.shortest_parts(ratio)
    if max(len(ratio.numerator), len(ratio.denominator)) <= FACTORED:
        yield writer.proper(ratio)


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
    """Fractions of a field as expressions, modulo polynomials that vanish on Γ (or everywhere), led by an order's monomials."""

    field: Field
    rules: list[Terms]
    order: Order

    def lowered(self, ratio: Ratio) -> Ratio:
        """The same function on Γ, numerator and denominator reduced by the equations, then cancelled."""
        return self.field.lowered(ratio, self.rules, self.order)

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

    def shortest_parts(self, ratio: Ratio) -> Expression:
        """Numerator over denominator, each as a sum of terms or as a product of factors, whichever is shorter."""
        (_, leading), *_ = self.field.ring.terms(ratio.denominator)
        sign = 1 if leading > 0 else -1
        return self._shorter(sign * ratio.numerator) / self._shorter(sign * ratio.denominator)

    def _shorter(self, p: Polynomial) -> Expression:
        if len(p) > FACTORED:
            return self._expression(p)
        content, factors = self.field.ring.factors(p)
        powers: list[Expression] = []
        for factor, multiplicity in factors:
            written, opposite = self._expression(factor), self._expression(-factor)
            if content < 0 and multiplicity % 2 and sp.count_ops(opposite) <= sp.count_ops(written):
                content, written = -content, opposite
            powers.append(written**multiplicity)
        return min(self._expression(p), sp.Mul(content, *powers), key=sp.count_ops)

    def proper(self, ratio: Ratio) -> Expression:
        """q + r/d, where no term of r is divisible by the leading monomial of d or of an equation, as short as there is."""
        numerator, denominator = (self.field.terms(p) for p in (ratio.numerator, ratio.denominator))
        leaders = sorted({k for exponents in denominator for k, e in enumerate(exponents) if e})
        divisions = [divided(numerator, [denominator, *self.rules], led_by(k)) for k in leaders]
        splits = [(quotients[0], rest) for quotients, rest in divisions] or [({}, numerator)]
        quotient, rest = min(splits, key=lambda split: (len(split[0]) + len(split[1]), len(split[1])))
        whole = sp.Add(*(self._term(e, c) for e, c in quotient.items()))
        return whole + self.factored(self.field.quotient(rest, denominator))

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
