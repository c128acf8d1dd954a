"""What the noise wants, in plain words: R in function space, where the limit ends, and what has a law of its own on the way there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symbolic_sgd.attractors.attractors import Attractors
from symbolic_sgd.charges.charge import Charge
from symbolic_sgd.documents.document import Block, Items
from symbolic_sgd.documents.findings import Findings
from symbolic_sgd.errors import SymbolicSGDError
from symbolic_sgd.function_space.induced import InducedRegularizer
from symbolic_sgd.printing.blocks import display
from symbolic_sgd.printing.prose import sentence

MOST_POINTS, MOST_CHARGES = 8, 6
"""Fixed points and charges that are listed; of further ones the number is said."""


@dataclass(frozen=True)
class Wants:
    """The three answers, each there or with the reason why it is not.

    Args:
        induced: R̂ of the predictor that was asked for.
        attractors: the fixed points of the limit.
        charges: what the noiseless flow conserves, with its laws.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> wants = sde.what_the_noise_wants([u*v])
    >>> print(wants.charges[0])
    u**2 - v**2 decays exactly as exp(-t).
    """

    induced: InducedRegularizer | SymbolicSGDError
    attractors: Attractors | SymbolicSGDError
    charges: tuple[Charge, ...] | SymbolicSGDError

    def __str__(self) -> str:
        return "\n".join(["What the noise wants", *(f"  {line}" for line in self.lines())])

    def __repr__(self) -> str:
        return f"Wants({self.induced!r}, {self.attractors!r}, charges={len(self._charges())})"

    def lines(self) -> list[str]:
        """A line each."""
        return [
            *self._induced_lines(),
            *self._attractor_lines(),
            *(charge.sentence for charge in self._charges()[:MOST_CHARGES]),
        ]

    def _charges(self) -> tuple[Charge, ...]:
        return () if isinstance(self.charges, SymbolicSGDError) else self.charges

    def _induced_lines(self) -> list[str]:
        if isinstance(self.induced, SymbolicSGDError):
            return [f"No R̂: {self.induced}"]
        return [line.strip() for line in str(self.induced).splitlines()]

    def _attractor_lines(self) -> list[str]:
        found = self.attractors
        if isinstance(found, SymbolicSGDError):
            return [f"Fixed points: {found}"]
        more = len(found) - MOST_POINTS
        return [
            "Fixed points" + (":" if found.complete else " that were found:"),
            *(f"  {point}" for point in tuple(found)[:MOST_POINTS]),
            *([f"  and {more} more"] if more > 0 else []),
        ]


def section(findings: Findings) -> tuple[Block, ...]:
    """The same as blocks of a document; () where nobody asked."""
    wants = findings.wants
    return () if wants is None else tuple(_blocks(wants))


def _blocks(wants: Wants) -> Iterator[Block]:
    found = wants.induced
    if isinstance(found, SymbolicSGDError):
        yield sentence(f"The regularizer in function space is not known: {found}.")
    else:
        yield from _in_function_space(found)
    points = wants.attractors
    if isinstance(points, SymbolicSGDError):
        yield sentence(f"Fixed points: {points}.")
    else:
        yield sentence("Fixed points on all of Γ:" if points.complete else "Fixed points that were found on Γ:")
        yield Items(tuple(sentence(f"{point}.") for point in tuple(points)[:MOST_POINTS]))
        yield sentence(f"{_capital(points.reason)}.")
    charges = () if isinstance(wants.charges, SymbolicSGDError) else wants.charges
    if charges:
        yield sentence("What the flow conserves has laws of its own:")
        yield Items(tuple(sentence(charge.sentence) for charge in charges[:MOST_CHARGES]))


def _tuple(expressions: Sequence[Any]) -> str:
    written = ", ".join(map(sp.latex, expressions))
    return written if len(expressions) == 1 else rf"\left({written}\right)"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _in_function_space(found: InducedRegularizer) -> Iterator[Block]:
    names, outputs = _tuple(found.symbols), _tuple(found.predictor)
    yield sentence("Among all parameters that predict the same, the least R is")
    shown = found.expression if found.expression is not None else r"\text{not known in closed form}"
    value = shown if isinstance(shown, str) else sp.latex(shown)
    argument = names if len(found.symbols) > 1 else f"({names})"
    yield display(rf"\hat R{argument} = \inf\{{R(x) : {outputs} = {names}\}} = {value}")
    yield sentence(f"{_capital(str(found.attainment))}. It is {found.evidence}.")
    yield Items(
        tuple(sentence(f"{_capital(statement)}.") for statement in (*found.evidence.statements, *found.caveats))
    )
