"""How many samples each step of a family draws: one, a batch, or all of them."""

from dataclasses import replace
from typing import Any

import sympy as sp

from symbolic_sgd.algebra.translation import Expression
from symbolic_sgd.errors import BadInput
from symbolic_sgd.problems.noise import FamilyNoise, LabelNoise


def batch_of(noise: FamilyNoise) -> Expression:
    """b, the samples of a step, each of which has signs of its own.

    Raises:
        BadInput: it is neither a whole number nor a symbol of one.

    >>> batch_of(LabelNoise(1)), batch_of(LabelNoise(1, batch_size=4))
    (1, 4)
    """
    if not isinstance(noise, LabelNoise) or noise.batch_size is None:
        return sp.S.One
    stated: Any = noise.batch_size
    number = sp.sympify(stated) if isinstance(stated, (int, sp.Basic)) and not isinstance(stated, bool) else None
    if number is None or not (number.is_integer and number.is_positive):
        raise BadInput(
            f"noise: batch_size is {stated!r}; give a whole number, or a size of the family such as its samples n, declared "
            "integer=True, positive=True"
        )
    return number


def share_of_one_sample(count: Any, batch: Any) -> Expression:
    """α = (n − b)/(b(n − 1)) for sizes: see `problems.noise.share_of_one`.

    >>> n = sp.Symbol("n")
    >>> share_of_one_sample(n, 1), share_of_one_sample(5, 2), share_of_one_sample(n, n)
    (1, 3/8, 0)
    """
    return sp.S.One if batch == 1 else sp.sympify(count - batch) / (batch * (count - 1))


def of_one_sample(noise: FamilyNoise) -> FamilyNoise:
    """The noise of a step that draws one."""
    return replace(noise, batch_size=None) if isinstance(noise, LabelNoise) else noise
