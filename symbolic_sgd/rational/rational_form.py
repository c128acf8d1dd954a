"""Short rational forms of a program's outputs: the program is run in a field of fractions, where everything cancels at once.

Functions of one variable count as further generators, with sin² + cos² = 1, √a² = a, |a| = a sign a, (sign a)² = 1, and e^{−a} = 1/e^a.
"""

from collections.abc import Sequence
from contextlib import suppress
from math import prod
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.functions import CONSTANTS, FUNCTIONS
from symbolic_sgd.algebra.program import Instruction, Program, in_written_functions
from symbolic_sgd.algebra.translation import Expression, sympy_operation

LARGEST_TERMS = 150
"""Terms of a numerator or denominator past which the run is given up."""

LARGEST_DEGREE = 60

LARGEST_BOX = 10_000
"""Π (degree + 1) over the generators past which the run is given up: what is cancelled takes integers of so many digits."""

LARGEST_GENERATORS = 20

FACTORED = 40
"""Terms of a polynomial that is also tried as a product of its factors."""

Fraction = Any
"""An element of SymPy's field of fractions."""


def rational_form(program: Program) -> dict[str, list[Expression]] | None:
    """Every output's entries as reduced fractions, row by row; None where an intermediate result grows too large.

    >>> from symbolic_sgd.algebra.graph import Graph
    >>> from symbolic_sgd.algebra.matrices import Matrix
    >>> graph = Graph(); t = graph.symbol(sp.Symbol("t")); s, c = graph.call("sin", t), graph.call("cos", t)
    >>> rational_form(Program.of({"f": Matrix.column([s*c/(s*s + c*c) / (s*s)])}))
    {'f': [cos(t)/sin(t)]}
    """
    program = in_written_functions(program)
    calls = sum(_is_generator(i) for i in program.instructions)
    symbols = sorted(program.symbols, key=lambda s: s.name)
    if calls + len(symbols) > LARGEST_GENERATORS:
        return None
    field = _Field(calls, symbols)
    registers: list[Fraction] = []
    for instruction in program.instructions:
        value = field.apply(instruction, [registers[a] for a in instruction.args])
        if value is None:
            return None
        registers.append(value)
    return {o.name: [field.expression(registers[r]) for r in o.registers] for o in program.outputs}


def _is_generator(instruction: Instruction) -> bool:
    return instruction.op in FUNCTIONS or instruction.op in CONSTANTS or instruction.op == "pow"


def _conjugate(polynomial: Any, k: int) -> Any:
    """A − B g of A + B g, for the generator g in place k, which stands there with powers 0 and 1 only."""
    return polynomial.ring.from_dict({m: -c if m[k] % 2 else c for m, c in polynomial.items()})


class _Field:
    """Fractions over Q in the symbols and in one generator for each function's value.

    A generator stands before everything its argument holds, so that its square is what a relation leads with.
    """

    def __init__(self, calls: int, symbols: Sequence[sp.Symbol]):
        self.unused = [sp.Dummy(f"g{i}") for i in range(calls)]
        created: tuple = sp.field([*self.unused, *symbols] or [sp.Dummy()], sp.QQ, sp.lex)
        self.field, self.generators = created[0], dict(zip([*self.unused, *symbols], created[1:], strict=False))
        self.meaning: dict[sp.Symbol, Expression] = {}
        self.relations: list[Any] = []
        self.radicals: list[int] = []

    def apply(self, instruction: Instruction, args: list[Fraction]) -> Fraction | None:
        op = instruction.op
        if op == "constant":
            return self.field(sp.QQ(instruction.value.numerator, instruction.value.denominator))
        if op == "symbol":
            return self.generators[instruction.value]
        if _is_generator(instruction):
            return self._call(op, instruction.value, args)
        match op:
            case "add":
                value = args[0] + args[1]
            case "sub":
                value = args[0] - args[1]
            case "mul":
                value = args[0] * args[1]
            case "div":
                value = args[0] / args[1]
            case _:
                value = -args[0]
        return self._bounded(value)

    def _bounded(self, value: Fraction) -> Fraction | None:
        for part in (value.numer, value.denom):
            box = prod(1 + max(d, 0) for d in part.degrees())
            if (
                len(part) > LARGEST_TERMS
                or box > LARGEST_BOX
                or max(map(sum, part.monoms()), default=0) > LARGEST_DEGREE
            ):
                return None
        if not self.relations:
            return value
        numerator, denominator = value.numer.rem(self.relations), value.denom.rem(self.relations)
        for k in self.radicals:
            conjugate = _conjugate(denominator, k)
            if conjugate != denominator:
                numerator, denominator = ((p * conjugate).rem(self.relations) for p in (numerator, denominator))
        return self.field.new(numerator, denominator)

    def _call(self, op: str, value: Any, args: list[Fraction]) -> Fraction:
        if op == "Abs":
            return self._call("sign", None, args) * args[0]
        meant = sympy_operation(op, value, [self.expression(a) for a in args])
        if not isinstance(meant, (sp.Function, sp.Pow)) or meant.is_rational_function():
            with suppress(ValueError):  # SymPy has evaluated it, as e^{ln a}
                return self.field.from_expr(meant)
        for symbol, present in self.meaning.items():
            if present == meant:
                return self.generators[symbol]
            if op == "exp" and present == 1 / meant:
                return 1 / self.generators[symbol]
        symbol = self.unused.pop()
        self.meaning[symbol] = meant
        generator = self.generators[symbol]
        if op == "sign" or (op == "sqrt" and args[0].denom.is_ground):
            self.relations.append((generator**2 - (1 if op == "sign" else args[0])).numer)
            self.radicals.append(list(self.generators).index(symbol))
        partner = {"sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh"}.get(op)
        for other, present in self.meaning.items():
            if partner and type(present).__name__ == partner and present.args == meant.args:
                squares = generator**2, self.generators[other] ** 2
                if op in ("sin", "cos"):
                    self.relations.append((squares[0] + squares[1] - 1).numer)
                else:
                    self.relations.append(((squares[0] - squares[1]) * (1 if op == "cosh" else -1) - 1).numer)
        return generator

    def expression(self, value: Fraction) -> Expression:
        """The shortest of the fraction, its terms, and its factors."""
        parts = []
        for polynomial in (value.numer, value.denom):
            plain = polynomial.as_expr()
            forms = [plain, sp.factor(plain)] if len(polynomial) <= FACTORED else [plain]
            parts.append(min(forms, key=sp.count_ops).xreplace(self.meaning))
        whole = parts[0] / parts[1]
        forms = [whole]
        if value.denom.is_ground:
            forms.append(value.as_expr().xreplace(self.meaning))
        return min(forms, key=sp.count_ops)
