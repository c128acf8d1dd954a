"""A closed form of R̂, with what proves it: a lower bound, and a point where it is attained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

Attain = Callable[[Mapping[sp.Symbol, Any]], Mapping[sp.Symbol, Any]]
"""β ↦ x with F(x) = β and R(x) = R̂(β)."""


class NotAttainedHere(Exception):
    """That the infimum is attained for this β is not known, though it is for almost every one: a term of R vanishes on its fibre."""


class NoPointHere(Exception):
    """The proof has no point for this β: no x predicts it."""


@dataclass(frozen=True)
class Attainment:
    """Whether the infimum is a minimum.

    Args:
        kind: "attained", "boundary" (of the stated domain), "infinity" (not attained: parameters grow without bound),
            "conditional" (attained under a condition on the data, which the words say) or "unknown".
        words: where.
        direction: for "infinity": x_p e^{direction_p s} with s → ∞ comes as near as one likes.

    >>> import sympy as sp
    >>> from symbolic_sgd import induced_regularizer
    >>> u, v, b = sp.symbols("u v b")
    >>> found = induced_regularizer([u*v], (u**2 + v**2)/4, parameters=(u, v), symbols=(b,))
    >>> found.attainment.kind
    'attained'
    """

    kind: str
    words: str
    direction: Mapping[sp.Symbol, Any] | None = None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class ClosedForm:
    """R̂(β) = expression.

    Args:
        expression: in β; None where only `invariant` is known.
        tier: the kind of argument, in a word or two.
        bound: why R(x) is never below it, in words.
        attain: where it is attained; None where it is not.
        attainment: the same in words.
        condition: of what β the formula holds, as relations; elsewhere it says nothing.
        invariant: the same value as a function of x, constant on the orbits along which it is the infimum.
    """

    expression: Any
    tier: str
    bound: tuple[str, ...]
    attain: Attain | None
    attainment: Attainment
    condition: tuple[Any, ...] = ()
    invariant: Any = None
