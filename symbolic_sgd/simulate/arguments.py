"""What a caller states as numbers, seeds and files, or `BadInput` where it makes no sense."""

import numbers
import os
from pathlib import Path
from typing import Any

import numpy as np

from symbolic_sgd.errors import BadInput

MOST = 2**53
"""Steps, at most: beyond, float64 does not count them."""


def writable_place(path: Any, name: str) -> None:
    """The name of a file in a folder that is there, or `BadInput`: before a long run, not after it."""
    if not isinstance(path, (str, Path)):
        raise BadInput(f"{name} is {path!r}; give the name of a file")
    if not Path(path).absolute().parent.is_dir():
        raise BadInput(f"{name} is {str(path)!r}, and its folder is not there: make it first")


def steps_of(duration: float, step: float, name: str) -> int:
    """How many steps make a time, or `BadInput` where they could never be done."""
    if not duration / step <= MOST:
        raise BadInput(
            f"{name} of {step:.3g} takes {duration / step:.3g} steps to t = {duration:.6g}: that many can never be done"
        )
    return max(1, int(np.ceil(duration / step - 1e-9)))


def positive(value: Any, name: str) -> float:
    """A positive finite number, or `BadInput`."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if real else float("nan")
    except OverflowError:
        raise BadInput(f"{name} is a number beyond float64; it has to be smaller") from None
    if not 0 < number < float("inf"):
        raise BadInput(f"{name} is {value!r}; it has to be a positive number")
    return number


def learning_rate_of(value: Any) -> float:
    """η, whose square is the time of a step."""
    rate = positive(value, "learning_rate")
    if not 0 < rate * rate < float("inf"):
        raise BadInput(f"learning_rate is {value!r}, and η², the time of a step, is no number of float64")
    return rate


def count(value: Any, name: str) -> int:
    """A whole number from 1 to 2⁵³, or `BadInput`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < 1:
        raise BadInput(f"{name} is {value!r}; it has to be a whole number, at least 1")
    if int(value) > MOST:
        raise BadInput(f"{name} is {_short(int(value))}; that many can never be done")
    return int(value)


def _short(value: int) -> str:
    return f"{value:.3g}" if value.bit_length() < 1000 else f"a number of {value.bit_length()} bits"


def entropy_of(rng: Any) -> int:
    """The seed that a Generator, a seed, or None stands for."""
    if rng is None:
        return fresh_entropy()
    if isinstance(rng, np.random.Generator):
        return int.from_bytes(rng.bytes(16), "little")
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool) and int(rng) >= 0:
        return int(rng)
    raise BadInput(f"rng is {rng!r}; give a NumPy Generator or a seed (an integer ≥ 0)")


def fresh_entropy() -> int:
    """A seed from the operating system."""
    return int.from_bytes(os.urandom(16), "little")
