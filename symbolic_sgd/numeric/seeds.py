"""What an argument rng may be."""

import numbers
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadInput


def generator_of(rng: Any) -> np.random.Generator:
    """The generator itself, or that of a seed.

    Raises:
        BadInput: it is neither.
    """
    if rng is None or isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool) and int(rng) >= 0:
        return np.random.default_rng(int(rng))
    raise BadInput(f"rng is {rng!r}; give a NumPy Generator or a seed (an integer ≥ 0)")
