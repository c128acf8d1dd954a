"""Functions of one variable that are applied to every entry, with their derivatives."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import sympy as sp

X = sp.Dummy("x", dummy_index=0, real=True)
"""The variable of every such function: equal to no symbol that anybody can state."""


@dataclass(frozen=True)
class Entrywise:
    """φ^{(k)}.

    Args:
        expression: φ, in `X`.
        order: k.
    """

    expression: Any
    order: int = 0

    @cached_property
    def key(self) -> tuple[str, int]:
        """Equal for equal functions, and ordered."""
        return sp.srepr(self.expression), self.order

    @cached_property
    def value(self) -> Any:
        """φ^{(k)}, in `X`."""
        return sp.diff(self.expression, X, self.order) if self.order else self.expression

    @property
    def power(self) -> Any:
        """p where it is x^p, else None."""
        base, exponent = self.expression.as_base_exp()
        return exponent if base == X and not self.order and not exponent.has(X) else None

    def prime(self) -> tuple[Any, "Entrywise | None"]:
        """(c, ψ) with the derivative cψ; ψ is None for 1.

        >>> Entrywise(X ** sp.Rational(1, 2)).prime() == (sp.Rational(1, 2), Entrywise(X ** sp.Rational(-1, 2)))
        True
        """
        return _prime(self)


@lru_cache(maxsize=1024)
def _prime(function: Entrywise) -> tuple[Any, Entrywise | None]:
    slope = sp.diff(function.value, X)
    factor, rest = slope.as_independent(X, as_Add=False)
    if rest == 1:
        return factor, None
    if rest == function.expression or Entrywise(rest).power is not None:
        return factor, Entrywise(rest)
    return sp.S.One, Entrywise(function.expression, function.order + 1)
